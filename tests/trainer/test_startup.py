"""The checks of the start, on real ranks with models that Megatron-core built."""

import pytest
from looked_at import MATRIX, NORM
from trainer_ranks import run_ranks

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def two() -> dict[str, str]:
    """What two ranks say, by case."""
    first, second = run_ranks(2, "looked_at:two_start")
    assert first == second
    return dict(first)


@pytest.mark.parametrize("where", ["", ", drawn on device"])
@pytest.mark.parametrize("layout", ["dp", "tp", "pp"])
def test_ranks_that_were_built_as_they_should_may_train(two: dict[str, str], layout: str, where: str) -> None:
    assert two[layout + where] == ""


def test_one_seed_on_all_tensor_parallel_ranks_is_found_before_the_first_step(two: dict[str, str]) -> None:
    """The bug that cost SmolLM3 its first 1T tokens."""
    assert two["tp, one seed"] == (
        "ranks 0 and 1 hold different parts of embedding.word_embeddings.weight, and these are equal to the bit: their "
        "generators had one seed; give each tensor parallel rank its own"
    )


def test_one_seed_is_right_where_all_ranks_hold_copies(two: dict[str, str]) -> None:
    assert two["dp, one seed"] == ""


def test_one_seed_on_all_pipeline_stages_is_found_before_the_first_step() -> None:
    first, *others = run_ranks(3, "looked_at:three_start")
    assert others == [first] * 2
    assert first == (
        "decoder.layers.1.self_attention.linear_proj.weight of rank 1 and "
        "decoder.layers.2.self_attention.linear_proj.weight of rank 2 are equal to the bit: their generators had one "
        "seed; give each pipeline stage its own"
    )


def test_a_copy_that_differs_is_found_and_named(two: dict[str, str]) -> None:
    assert two["dp, changed"].startswith(f"ranks 0 and 1 hold copies of {MATRIX} that differ")
    assert two["tp, changed"].startswith(f"ranks 0 and 1 hold copies of {NORM} that differ")


def test_a_weight_that_one_rank_alone_holds_has_no_copy_to_differ_from(two: dict[str, str]) -> None:
    assert two["pp, changed"] == ""


def test_ranks_with_other_versions_must_not_train_together(two: dict[str, str]) -> None:
    assert two["other versions"] == "rank 0 has numpy 0 and rank 1 1; install the same on all nodes"
