"""One model in every layout: the same losses, norms and updates from one state, known alike to all ranks."""

import pytest

TWO = ["dp2", "tp2", "tp2 sp", "pp2", "cp2"]
FOUR = ["tp2 pp2", "tp2 cp2 sp", "pp2 dp2"]


def assert_same_steps(found, wanted):
    for each, one in zip(found, wanted, strict=True):
        assert each["loss"] == pytest.approx(one["loss"], rel=1e-5)
        assert each["z_loss"] == pytest.approx(one["z_loss"], rel=1e-5)
        assert each["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-5)
        assert each["update_norm"] == pytest.approx(one["update_norm"], rel=1e-5)
        assert each["num_tokens"] == one["num_tokens"]
        assert each["sample_losses"] == pytest.approx(one["sample_losses"], rel=1e-5)
        assert each["by_source"].keys() == one["by_source"].keys()
        for source, sums in each["by_source"].items():
            assert sums == pytest.approx(one["by_source"][source], rel=1e-5)


@pytest.mark.parametrize("layout", TWO)
def test_two_ranks_take_the_steps_of_one(alone, pair, layout):
    assert_same_steps(pair[0][layout], alone["one"])


@pytest.mark.parametrize("layout", TWO)
def test_both_ranks_know_the_same_to_the_bit(pair, layout):
    assert pair[0][layout] == pair[1][layout]


@pytest.mark.slow
@pytest.mark.parametrize("layout", FOUR)
def test_four_ranks_take_the_steps_of_one(alone, four, layout):
    assert_same_steps(four[0][layout], alone["one"])
    assert all(each[layout] == four[0][layout] for each in four)


def test_moments_that_are_whole_on_each_rank_give_the_same_steps(alone, pair):
    assert_same_steps(pair[0]["from the seed"], alone["from the seed"])


def test_losses_by_sample_and_by_source_make_up_the_loss(alone):
    step = alone["one"][0]
    assert sorted(step["sample_losses"]) == [str(100 + index) for index in range(8)]
    assert sum(loss for loss, _ in step["by_source"].values()) / 249 == pytest.approx(step["loss"])
    assert sum(tokens for _, tokens in step["by_source"].values()) == step["num_tokens"] == 249


@pytest.mark.parametrize("ranks", ["alone", "pair"])
def test_the_loss_of_a_split_vocabulary_is_that_of_the_whole(request, ranks):
    """Cross-entropy, log Z, and the gradients of both; the logits stay as they were."""
    found = request.getfixturevalue(ranks)
    for each in [found] if ranks == "alone" else found:
        assert each["loss"]["loss"] < 1e-5
        assert each["loss"]["log_z"] < 1e-5
        assert each["loss"]["gradient"] < 1e-5
        assert each["loss"]["logits kept"] is True


@pytest.mark.parametrize("kind", ["selective", "full"])
def test_recomputed_activations_change_no_bit(alone, kind):
    """With dropout: what is computed again draws the same numbers again."""
    assert alone["recompute"][kind] == alone["recompute"]["none"]


def test_bf16_learns_on_float32_weights_moments_and_gradients(alone):
    found = alone["bf16"]
    assert found["losses"][-1] < found["losses"][0] / 10
    assert found["weights"] == ["torch.bfloat16"]
    assert found["main"] == found["moments"] == ["torch.float32"]
    assert found["gradients"] == "torch.float32"
