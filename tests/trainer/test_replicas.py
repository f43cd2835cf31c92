from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from trainer.replicas import Held, Weight, problem_of

NORM, MATRIX = "decoder.layers.0.input_layernorm.weight", "decoder.layers.0.mlp.linear_fc1.weight"


def weight(digest: str, *, is_sharded: bool = False, is_random: bool = True) -> Weight:
    return Weight(digest=digest, is_sharded=is_sharded, is_random=is_random)


def rank(tensor: int, **weights: Weight) -> Held:
    """`norm` is a constant that all have, `matrix` is split over tensor parallel ranks."""
    basic = {NORM: weight("n", is_random=False), MATRIX: weight(f"m{tensor}", is_sharded=True)}
    names = {"norm": NORM, "matrix": MATRIX}
    return Held(tensor=tensor, weights=basic | {names.get(name, name): each for name, each in weights.items()})


def test_copies_that_agree_and_parts_that_differ_may_train() -> None:
    assert problem_of([rank(0), rank(1), rank(0), rank(1)]) == ""


def test_parts_that_are_equal_are_the_seed_bug() -> None:
    shard = weight("same", is_sharded=True)
    assert problem_of([rank(0, matrix=shard), rank(1, matrix=shard)]) == (
        f"ranks 0 and 1 hold different parts of {MATRIX}, and these are equal to the bit: their generators had one "
        f"seed; give each tensor parallel rank its own"
    )


def test_parts_that_are_one_value_throughout_say_nothing_of_seeds() -> None:
    zeros = weight("zeros", is_sharded=True, is_random=False)
    assert problem_of([rank(0, matrix=zeros), rank(1, matrix=zeros)]) == ""


def test_copies_between_tensor_parallel_ranks_must_agree() -> None:
    assert problem_of([rank(0), rank(1, norm=weight("other"))]) == (
        f"ranks 0 and 1 hold copies of {NORM} that differ (n and other); weights were drawn or loaded differently "
        f"there, or memory is bad: test both nodes, then resume"
    )


def test_copies_between_data_parallel_ranks_must_agree() -> None:
    found = problem_of([rank(0), rank(1), rank(0), rank(1, matrix=weight("other", is_sharded=True))])
    assert found.startswith(f"ranks 1 and 3 hold copies of {MATRIX} that differ (m1 and other)")


def test_layers_of_two_pipeline_stages_that_are_equal_are_the_seed_bug() -> None:
    first = Held(tensor=0, weights={"decoder.layers.0.mlp.linear_fc1.weight": weight("same")})
    second = Held(tensor=0, weights={"decoder.layers.2.mlp.linear_fc1.weight": weight("same")})
    assert problem_of([first, second]) == (
        "decoder.layers.0.mlp.linear_fc1.weight of rank 0 and decoder.layers.2.mlp.linear_fc1.weight of rank 1 are "
        "equal to the bit: their generators had one seed; give each pipeline stage its own"
    )


def test_tied_embeddings_of_the_first_and_last_stage_must_agree() -> None:
    tied = Held(tensor=0, weights={"embedding.word_embeddings.weight": weight("e", is_sharded=True)})
    assert problem_of([tied, tied]) == ""
    other = Held(tensor=0, weights={"embedding.word_embeddings.weight": weight("f", is_sharded=True)})
    assert "copies of embedding.word_embeddings.weight that differ" in problem_of([tied, other])


@given(st.integers(1, 3), st.integers(1, 3), st.data())
def test_any_one_change_of_a_copy_is_found_and_named(tensor: int, data: int, draw: st.DataObject) -> None:
    ranks = [rank(number % tensor) for number in range(tensor * data)]
    assert problem_of(ranks) == ""
    at = draw.draw(st.integers(0, len(ranks) - 1))
    name = draw.draw(st.sampled_from([NORM, MATRIX]))
    old = ranks[at].weights[name]
    ranks[at] = replace(ranks[at], weights={**ranks[at].weights, name: replace(old, digest="flipped")})
    holders = len(ranks) if name == NORM else data
    found = problem_of(ranks)
    assert (found != "") == (holders > 1)
    assert (name in found) == (holders > 1)
