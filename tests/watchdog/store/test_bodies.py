"""Incidents and signals come back from JSON, and a version is what a person would call a change."""

import json
from dataclasses import replace

import pytest

from watchdog.store.bodies import incident_body, incident_of, is_new_version, signal_body, signal_of
from watchdog.vocabulary.incidents import Incident, IncidentState
from watchdog.vocabulary.signals import Signal


def test_an_incident_comes_back_as_it_was(incident: Incident) -> None:
    assert incident_of(json.loads(json.dumps(incident_body(incident)))) == incident


def test_a_signal_comes_back_as_it_was(signal: Signal) -> None:
    assert signal_of(json.loads(json.dumps(signal_body(signal)))) == signal


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
def test_a_version_is_more_than_another_line_merged_in(
    change: dict[str, object], is_new: bool, incident: Incident
) -> None:
    before = json.loads(json.dumps(incident_body(incident)))
    assert is_new_version(before, incident_body(replace(incident, **change))) is is_new  # type: ignore[arg-type]


def test_the_first_is_a_version(incident: Incident) -> None:
    assert is_new_version(None, incident_body(incident))
