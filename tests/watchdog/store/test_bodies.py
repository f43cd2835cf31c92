"""Incidents and signals come back from JSON, and a version is what a person would call a change."""

import json
from dataclasses import replace

import pytest

from watchdog.store.bodies import incident_body, incident_of, is_new_version, signal_body, signal_of
from watchdog.vocabulary.findings import Severity
from watchdog.vocabulary.incidents import Incident, IncidentState
from watchdog.vocabulary.signals import Action, Signal
from watchdog.vocabulary.subjects import Subject

INCIDENT = Incident(
    id="i1",
    node="n1",
    opened_at=1.0,
    updated_at=2.0,
    state=IncidentState.ACTED,
    severity=Severity.FAIL,
    root=Subject("n1", "gpu", "GPU-a"),
    root_code="xid_79",
    title="GPU-a fell off the bus",
    action="reboot_node",
    victims=(Subject("n1", "rank", "3"), Subject("n1", "gpu", "GPU-b")),
    count=3,
    codes=("xid_79", "sxid_20034"),
    repeats=1,
    previous="i0",
    acted_at=2.0,
    cost={"steps": 4.0},
    evidence=({"line": "NVRM: Xid"},),
)
SIGNAL = Signal(
    id="s1",
    action=Action.DRAIN,
    reason="GPU-a is lost",
    confidence=0.9,
    created_at=1.0,
    expires_at=61.0,
    run="r",
    not_after_step=7,
    incident="i1",
    is_observed_only=True,
)


def test_an_incident_comes_back_as_it_was() -> None:
    assert incident_of(json.loads(json.dumps(incident_body(INCIDENT)))) == INCIDENT


def test_a_signal_comes_back_as_it_was() -> None:
    assert signal_of(json.loads(json.dumps(signal_body(SIGNAL)))) == SIGNAL


@pytest.mark.parametrize(
    ("change", "is_new"),
    [
        ({}, False),
        ({"count": 4, "updated_at": 9.0, "evidence": (), "cost": {}}, False),
        ({"state": IncidentState.CLOSED}, True),
        ({"victims": ()}, True),
        ({"codes": ("xid_79",)}, True),
    ],
)
def test_a_version_is_more_than_another_line_merged_in(change: dict[str, object], is_new: bool) -> None:
    before = json.loads(json.dumps(incident_body(INCIDENT)))
    assert is_new_version(before, incident_body(replace(INCIDENT, **change))) is is_new  # type: ignore[arg-type]


def test_the_first_is_a_version() -> None:
    assert is_new_version(None, incident_body(INCIDENT))
