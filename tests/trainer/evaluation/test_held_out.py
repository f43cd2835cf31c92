"""Evaluation with a real model on one and two ranks."""

from typing import Any

import pytest
from trainer_ranks import run_ranks

pytestmark = pytest.mark.slow

LAYOUTS: dict[str, dict[str, Any]] = {
    "dp": {},
    "dp, micro-batches of 4": {"micro_batch": 4},
    "tp": {"tensor": 2},
    "cp": {"context": 2},
    "pp": {"pipeline": 2},
}


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    """One rank."""
    return dict(run_ranks(1, "looked_at:held_out", layouts={"alone": {}})[0])


@pytest.fixture(scope="module")
def pair() -> list[dict[str, Any]]:
    """Two ranks."""
    return run_ranks(2, "looked_at:held_out", layouts=LAYOUTS)


def test_each_source_with_held_out_text_has_a_loss(alone: dict[str, Any]) -> None:
    assert sorted(alone["alone"]) == ["code", "few", "text"]
    assert all(4 < loss < 9 for loss in alone["alone"].values())
    assert len(set(alone["alone"].values())) == 3


def test_it_gives_the_same_each_time_though_the_model_has_dropout(alone: dict[str, Any]) -> None:
    assert alone["left alone"]["after"] == alone["left alone"]["again"]
    assert alone["left alone"]["is_training"]


def test_training_does_not_notice_it(alone: dict[str, Any], pair: list[dict[str, Any]]) -> None:
    """To the bit: losses, norms, weights, moments and generators, with an evaluation after each step and with none."""
    for rank in (alone, *pair):
        looked_at, left_alone = rank["looked at"], rank["left alone"]
        assert len(looked_at["between"]) == 3
        assert looked_at["steps"] == left_alone["steps"]
        assert looked_at["digest"] == left_alone["digest"]
        assert looked_at["after"] == left_alone["after"]


def test_all_ranks_get_the_same_numbers(pair: list[dict[str, Any]]) -> None:
    first, second = pair
    assert {name: first[name] for name in LAYOUTS} == {name: second[name] for name in LAYOUTS}


@pytest.mark.parametrize("layout", ["dp", "dp, micro-batches of 4", "tp", "cp"])
def test_any_layout_evaluates_the_same_sequences(
    alone: dict[str, Any], pair: list[dict[str, Any]], layout: str
) -> None:
    assert pair[0][layout] == pytest.approx(alone["alone"], rel=1e-5)


def test_stages_of_a_pipeline_evaluate_together(pair: list[dict[str, Any]]) -> None:
    """Their layers are drawn from other seeds than one rank's, so the losses are their own."""
    assert sorted(pair[0]["pp"]) == ["code", "few", "text"]
    assert all(4 < loss < 9 for loss in pair[0]["pp"].values())
