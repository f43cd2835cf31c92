"""What an event of a training run asks for."""

import pytest

from watchdog.detectors.training.words import KINDS, Kind, TrainingFinding
from watchdog.policy.training import remedy_of
from watchdog.vocabulary.findings import Severity


def found(kind: Kind, shape: str = "", severity: Severity = Severity.FAIL) -> TrainingFinding:
    return TrainingFinding(
        kind=kind,
        metric="loss",
        shape=shape,
        start=1003,
        end=1009,
        onset=1000,
        last=1009,
        severity=severity,
        message="it happened",
    )


@pytest.mark.parametrize(
    ("finding", "cause", "action"),
    [
        (found("nonfinite", "one_step"), "", "veto"),
        (found("nonfinite", "repeated"), "", "veto"),
        (found("nonfinite", "persistent"), "", "rollback"),
        (found("spike", "one_step", Severity.WARN), "", "veto"),
        (found("spike", "plateau", Severity.WARN), "", "veto"),
        (found("spike", "plateau"), "", "rollback"),
        (found("spike", "not_recovering"), "", "rollback"),
        (found("divergence", "ramp"), "", "save"),
        (found("noise", "higher"), "", "save"),
        (found("offset", "above_reference"), "", "save"),
        (found("drop", "deep"), "loader", "none"),
        (found("shift", "lower"), "storage", "none"),
        (found("shift", "lower"), "gpu", "exclude"),
        (found("drift"), "network", "exclude"),
        (found("straggler", "slow_rank"), "hardware", "exclude"),
        (found("hang", "ranks_missing"), "", "stop"),
    ],
)
def test_the_decision_table(finding: TrainingFinding, cause: str, action: str) -> None:
    assert remedy_of(finding, cause).action == action


def test_a_rollback_goes_to_before_the_onset_and_leaves_out_what_came_from_there() -> None:
    assert remedy_of(found("spike", "not_recovering")).why == (
        "roll back to a good checkpoint 100 steps or more before 1000, and leave out the data of steps 1000 to 1009"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_remedy_in_words(kind: Kind) -> None:
    assert remedy_of(found(kind)).why
