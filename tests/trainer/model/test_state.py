"""A step can be left out, a state kept and put back: to the bit."""

import pytest


def of_each(request, ranks, fact):
    found = request.getfixturevalue(ranks)
    return [each[fact] for each in ([found] if ranks == "alone" else found)]


@pytest.mark.parametrize("ranks", ["alone", "pair"])
def test_a_veto_leaves_every_bit_as_it_was(request, ranks):
    """One rank's NaN is every rank's: the norm is of all gradients together."""
    for found in of_each(request, ranks, "veto"):
        assert found["norm"] == "nan"
        assert found["untouched"] is True


@pytest.mark.parametrize("ranks", ["alone", "pair"])
def test_nothing_of_a_vetoed_gradient_is_in_later_steps(request, ranks):
    for found in of_each(request, ranks, "veto"):
        assert found["gradients left"] == 0.0
        assert found["same"] is True


@pytest.mark.parametrize(("ranks", "fact"), [("alone", "local"), ("pair", "local"), ("pair", "local bf16")])
def test_a_ranks_own_tensors_bring_back_the_state_and_what_follows(request, ranks, fact):
    for found in of_each(request, ranks, fact):
        assert found["changed meanwhile"] is True
        assert found["restored"] is True
        assert found["same"] is True


@pytest.mark.parametrize(("ranks", "fact"), [("alone", "local"), ("pair", "local"), ("pair", "local bf16")])
def test_they_fit_another_process_of_the_same_layout(request, ranks, fact):
    for found in of_each(request, ranks, fact):
        assert found["other seed differs"] is True
        assert found["into a new model"] is True


def test_tensors_of_another_model_are_refused_before_anything_is_changed(alone):
    assert "other tensors than this model" in alone["other model"]["said"]
    assert alone["other model"]["untouched"] is True


@pytest.mark.parametrize(
    ("ranks", "fact"), [("alone", "saved"), ("alone", "saved bf16"), ("pair", "saved"), ("pair", "saved whole")]
)
def test_megatrons_checkpoint_is_gone_on_from_to_the_bit(request, ranks, fact):
    for found in of_each(request, ranks, fact):
        assert found == {"loaded": True, "same": True}


def test_weights_are_whole_on_each_rank_once_they_are_forced_to_be(pair):
    """Right after a step each rank has new values only of the shards that it owns."""
    first, second = (each["stale"] for each in pair)
    assert first["raw"] != second["raw"]
    assert first["whole"] == second["whole"]


@pytest.mark.parametrize("ranks", ["alone", "pair"])
def test_the_norm_of_an_update_is_that_of_the_weights_change(request, ranks):
    for found in of_each(request, ranks, "update norm"):
        assert found["told"] == pytest.approx(found["measured"], rel=1e-6)


def test_fresh_moments_are_zero_and_count_from_one_again(alone):
    found = alone["fresh moments"]
    assert found["largest"] == 0
    assert found["num_moments"] == 34
    assert found["steps then"] == [1, 1]
    assert found["optimizer changed"] is True
    assert found["weights kept"] is True


def test_a_look_at_the_loss_changes_nothing(alone):
    found = alone["forward only"]
    assert found["same"] is True
    assert found["looked"] == found["trained"]
