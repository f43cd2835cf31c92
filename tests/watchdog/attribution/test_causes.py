"""What is known of an event as ranked causes: words for scripts, order, and sentences."""

from dataclasses import replace

import pytest

from watchdog.attribution import Again, Change, Facts, SourceRise, causes_of
from watchdog.detectors.training.words import Kind, TrainingFinding
from watchdog.vocabulary.findings import Severity
from watchdog.vocabulary.subjects import Subject

SCRATCH = Subject("node7", "disk", "/scratch")
SLOW_DISK = Change(cause="storage", subject=SCRATCH, at=960.0, message="read latency on /scratch rose 12x")


def found(kind: Kind = "drop", phase: str = "", metric: str = "tokens_per_second") -> TrainingFinding:
    return TrainingFinding(
        kind=kind,
        metric=metric,
        shape="deep",
        start=1939,
        end=1941,
        onset=1939,
        last=1941,
        severity=Severity.WARN,
        message="tokens/s fell 39 %",
        evidence={"phase": phase},
        subject="rank 6" if kind == "straggler" else "",
    )


AGAIN = Again(
    other="launch 2", answer="again", hits=15, total=16, chance=1e-9, num_others=16, at=1940, steps=(1939, 1941)
)
NOT_AGAIN = replace(AGAIN, answer="not_again", hits=0, chance=1.0, num_others=0, at=None)

OF_THE_LOADER = (
    "same steps again → loader: 15 of 16 drops come at the same steps in launch 2, by chance less than 1 in a million"
)
NOT_OF_THE_LOADER = (
    "not again → hardware: storage, network or a GPU: launch 2 trained steps 1939 to 1941 without it "
    "(if it had the same data and code)"
)


def said(finding: TrainingFinding, facts: Facts) -> list[tuple[str, str]]:
    return [(cause.code, cause.message) for cause in causes_of(finding, facts)]


def test_nothing_known_is_no_cause() -> None:
    assert causes_of(found(), Facts()) == []


def test_drops_at_the_same_steps_are_the_loaders() -> None:
    assert said(found(), Facts(again=[AGAIN])) == [
        (
            "loader",
            OF_THE_LOADER,
        )
    ]


def test_a_phase_that_got_longer_names_the_software() -> None:
    assert said(found(phase="gc"), Facts(again=[AGAIN]))[0][0] == "software"
    assert said(found(phase="data"), Facts(again=[AGAIN]))[0][0] == "loader"


def test_a_shift_that_did_not_come_again_is_no_loaders() -> None:
    causes = said(found("shift"), Facts(again=[NOT_AGAIN]))
    assert causes == [
        (
            "hardware",
            NOT_OF_THE_LOADER,
        )
    ]


def test_as_many_at_other_steps_clear_single_parts() -> None:
    often = replace(NOT_AGAIN, num_others=16, hits=1)
    assert [code for code, _ in said(found(), Facts(again=[often]))] == ["software"]
    assert [code for code, _ in said(found("spike", metric="loss"), Facts(again=[often]))] == ["state"]


def test_spikes_at_the_same_steps_are_of_data_and_others_of_state_or_hardware() -> None:
    spike = found("spike", metric="loss")
    assert [code for code, _ in said(spike, Facts(again=[AGAIN]))] == ["data"]
    assert [code for code, _ in said(spike, Facts(again=[NOT_AGAIN]))] == ["state", "hardware"]


def test_a_spike_that_a_rewind_does_not_show_again_is_of_hardware_unless_the_batch_was_another() -> None:
    spike, rewind = found("spike", metric="loss"), replace(NOT_AGAIN, is_rewind=True)
    assert said(spike, Facts(again=[rewind])) == [
        ("hardware", "not again → hardware: steps 1939 to 1941 went by without it when trained again")
    ]
    assert said(spike, Facts(again=[rewind], is_other_batch=True)) == []


def test_a_rewind_says_more_than_another_launch() -> None:
    spike, rewind = found("spike", metric="loss"), replace(AGAIN, is_rewind=True)
    causes = causes_of(spike, Facts(again=[NOT_AGAIN, rewind]))
    assert [cause.code for cause in causes] == ["data", "state"]


def test_a_nodes_storage_is_told_with_its_time_and_what_was_calm() -> None:
    facts = Facts(changes=[SLOW_DISK], seen=frozenset({"storage", "gpu"}), at_seconds=1000.0, again=[NOT_AGAIN])
    assert said(found("shift"), facts) == [
        ("storage", "read latency on /scratch rose 12x 40 s before; no GPU changed"),
        (
            "hardware",
            NOT_OF_THE_LOADER,
        ),
    ]


def test_two_signs_of_one_cause_are_surer_than_each() -> None:
    facts = Facts(changes=[SLOW_DISK], at_seconds=1000.0)
    alone, both = causes_of(found("shift"), facts), causes_of(found("shift", phase="data"), facts)
    assert [(cause.code, cause.confidence) for cause in alone] == [("storage", 0.6)]
    assert [(cause.code, cause.confidence) for cause in both] == [("storage", 0.66)]


def test_slow_storage_explains_no_spike_of_the_loss() -> None:
    facts = Facts(changes=[SLOW_DISK], at_seconds=1000.0)
    assert causes_of(found("spike", metric="loss"), facts) == []


def test_the_source_whose_loss_rose_alone_is_named() -> None:
    rise = SourceRise(source="code", before=1.2, value=4.8, step=1939, is_alone=True)
    assert said(found("spike", metric="loss"), Facts(source=rise)) == [
        ("data", "the loss of source code rose from 1.2 to 4.8, the other sources did not")
    ]


@pytest.mark.parametrize(
    ("finding", "code"),
    [
        (found("straggler", metric="seconds"), "hardware"),
        (found("nonfinite", metric="loss_scale"), "precision"),
        (found("shift", phase="communication"), "network"),
        (found("shift", phase="forward_backward"), "gpu"),
        (found("drop", phase="checkpoint"), "software"),
    ],
)
def test_an_event_alone_may_suggest_its_cause(finding: TrainingFinding, code: str) -> None:
    assert [cause.code for cause in causes_of(finding, Facts())] == [code]


def test_an_offset_asks_no_node() -> None:
    assert causes_of(found("offset", metric="loss"), Facts(changes=[SLOW_DISK], at_seconds=1000.0)) == []
