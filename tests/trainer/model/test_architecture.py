"""The model is the one that the plan describes: against an implementation in plain torch, and by what it can't see."""

import pytest


@pytest.mark.parametrize("variant", ["plain tied", "plain untied"])
def test_logits_are_those_of_a_plain_implementation(alone, variant):
    """With grouped queries, every third layer without rotary embedding, and each document attended to by itself."""
    assert alone[variant]["logits"] < 1e-5
    assert alone[variant]["num_tensors"][0] == alone[variant]["num_tensors"][1]


@pytest.mark.parametrize("variant", ["plain tied", "plain untied"])
def test_three_steps_are_those_of_plain_torch(alone, variant):
    """Losses, log(Z)^2, clipped norms, and AdamW that decays matrices only, and tables where the plan says so."""
    for ours, theirs in zip(alone[variant]["losses"], alone[variant]["plain losses"], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5)
    assert alone[variant]["weights"] < 1e-5
    assert alone[variant]["moved"] > 1e-2


@pytest.mark.parametrize(("ranks", "fact"), [("alone", "masking"), ("pair", "masking tp2"), ("pair", "masking cp2")])
def test_a_document_does_not_see_the_one_before_it(request, ranks, fact):
    """To the bit, on every rank; the changed document itself does change."""
    found = request.getfixturevalue(ranks)
    for each in [found] if ranks == "alone" else found:
        assert each[fact]["num_second"] > 0
        assert each[fact]["second"] == 0.0
        assert each[fact]["first"] > 0.1


def test_without_masking_it_does(alone):
    assert alone["masking off"]["second"] > 0.1


def test_the_plan_counts_parameters_exactly(alone):
    for has, counted in alone["parameters"]:
        assert has == counted


def test_a_change_of_theta_gives_the_model_that_is_built_with_it(alone):
    assert alone["theta"]["as built"] is True
    assert alone["theta"]["difference"] > 0.1
    assert alone["theta"]["back"] is True


def test_a_longer_sequence_after_a_change_of_stage_keeps_its_beginning(alone):
    assert alone["theta"]["longer"] < 1e-5


def test_attention_by_blocks_is_attention_by_a_dense_mask(alone):
    """The kernel that GPUs use, uncompiled."""
    assert len(alone["blocks"]) == 4
    assert max(alone["blocks"].values()) < 1e-5


def test_attention_goes_by_blocks_on_gpus_where_the_kernel_can(alone):
    """It has no dropout, and no heads below 16."""
    assert alone["kernel"] == [True, False, False, False]


def test_dropout_follows_the_generators_and_is_off_in_evaluation(alone):
    found = alone["dropout"]
    assert found["again"] == found["first"]
    assert found["following"] != found["first"]
    assert found["still in evaluation"] is True
