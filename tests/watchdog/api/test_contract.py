"""The contract over HTTP: fuzzed by its own OpenAPI, shown in docs/api.md, and as wide as the daemon's own words."""

import dataclasses
from pathlib import Path

import pytest
import schemathesis
from fake_service import FakeService
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from watchdog.api import documents, posted
from watchdog.api.app import make_app
from watchdog.api.limits import ApiLimits
from watchdog.api.page import PAGE, render_page
from watchdog.service import Ack, Checkpoint, RunBegin, RunEnd, Step
from watchdog.state import CollectorState, RunState, State
from watchdog.vocabulary.findings import Finding
from watchdog.vocabulary.incidents import Incident
from watchdog.vocabulary.samples import Event, Row
from watchdog.vocabulary.signals import Signal

APP = make_app(
    FakeService(),
    token=None,
    limits=ApiLimits(requests_per_second=1e6, burst=1_000_000, wait_seconds=0.01),
    render_metrics=lambda: "up 1\n",
)
CONTRACT = schemathesis.openapi.from_asgi("/v1/openapi.json", APP)
CHECKS = (
    not_a_server_error,
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)


@CONTRACT.exclude(path="/v1/stream").parametrize()
@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_no_request_makes_a_5xx_or_an_answer_outside_the_contract(case: schemathesis.Case) -> None:
    case.call_and_validate(checks=CHECKS)


def test_the_page_shows_the_contract_as_it_is() -> None:
    page = Path(__file__).parents[3] / PAGE
    assert page.read_text(encoding="utf-8") == render_page(), f"write it anew: python -m watchdog.api.page > {PAGE}"


@pytest.mark.parametrize(
    ("own", "model"),
    [
        (Finding, documents.FindingPart),
        (Incident, documents.IncidentPart),
        (Signal, documents.SignalPart),
        (Row, documents.RowPart),
        (Event, documents.EventPart),
        (Step, documents.StepPart),
        (CollectorState, documents.CollectorPart),
        (RunState, documents.RunPart),
        (RunBegin, posted.RunBeginPosted),
        (RunEnd, posted.RunEndPosted),
        (Step, posted.StepPosted),
        (Checkpoint, posted.CheckpointPosted),
        (Ack, posted.AckPosted),
    ],
)
def test_each_part_has_the_fields_of_the_daemons_own(own: type, model: type) -> None:
    fields = set(model.model_fields) - {"schema_", "version"}
    assert fields == {field.name for field in dataclasses.fields(own)}


def test_the_state_document_has_the_fields_of_the_state() -> None:
    fields = set(documents.StateDocument.model_fields) - {"type", "schema_", "version"} | {"version"}
    assert fields - {"daemon"} == {field.name for field in dataclasses.fields(State)}


def test_no_two_documents_have_the_same_type() -> None:
    kinds = [model.model_fields["type"].default for model in documents.Document.__subclasses__()]
    assert len(kinds) == len(set(kinds)) == 13
