"""What runs and persons post."""

import asyncio
import json
import math
import threading
from typing import Any

import pytest
from fake_service import FakeService
from served import Served, serving

from watchdog.service import Ack, Checkpoint, RunBegin, RunEnd, Step
from watchdog.vocabulary.errors import StoreError

WHO = {"run": "r", "rank": 3, "at": 5.0}
STEP = {**WHO, "step": 7}


@pytest.mark.parametrize(
    ("path", "body", "record"),
    [
        (
            "/v1/runs/begin",
            {**WHO, "world_size": 8, "pid": 12},
            RunBegin(run="r", rank=3, at=5.0, world_size=8, pid=12),
        ),
        ("/v1/runs/end", {**WHO, "reason": "done"}, RunEnd(run="r", rank=3, at=5.0, reason="done")),
        (
            "/v1/steps",
            {"steps": [{**STEP, "loss": "Infinity", "lr": 1, "times": {"data": 0.5}}]},
            Step(run="r", rank=3, at=5.0, step=7, loss=math.inf, lr=1.0, times={"data": 0.5}),
        ),
        (
            "/v1/checkpoints",
            {"checkpoints": [{**STEP, "path": "/c", "state": "good", "num_bytes": 9}]},
            Checkpoint(run="r", rank=3, at=5.0, step=7, path="/c", state="good", num_bytes=9),
        ),
        (
            "/v1/acks",
            {"acks": [{**WHO, "signal_id": "s-1", "result": "done"}]},
            Ack(run="r", rank=3, at=5.0, signal_id="s-1", result="done"),
        ),
    ],
)
def test_each_record_becomes_the_daemons_own(served: Served, path: str, body: dict[str, Any], record: object) -> None:
    answer = served.http.post(path, json={"schema": "fryer/watch", "version": 1, **body})
    assert answer.json() == {
        "type": "kept",
        "schema": "fryer/watch",
        "version": 1,
        "num_kept": 1,
        "started_at": 900.0,
    }
    assert served.service.records == [record]


def test_nan_comes_as_a_string_and_goes_as_a_string(served: Served) -> None:
    served.http.post(
        "/v1/steps", json={"steps": [{**STEP, "loss": "NaN", "grad_norm": "-Infinity"}]}
    ).raise_for_status()
    record = served.service.records[0]
    assert isinstance(record, Step)
    assert record.loss is not None
    assert math.isnan(record.loss)
    step = served.http.get("/v1/steps?run=r").json()["steps"][0]
    assert (step["loss"], step["grad_norm"], step["lr"]) == ("NaN", "-Infinity", None)


def test_it_is_answered_only_when_it_is_kept(tmp_path) -> None:
    service = FakeService()
    with serving(tmp_path / "w.sock", service) as served:
        held = served.call(asyncio.Event)
        service.held = held
        answers: list[int] = []
        posting = threading.Thread(
            target=lambda: answers.append(served.http.post("/v1/steps", json={"steps": [STEP]}).status_code)
        )
        posting.start()
        posting.join(0.3)
        assert answers == []
        served.call(held.set)
        posting.join(10)
        assert answers == [200]


def test_what_could_not_be_kept_is_asked_for_again(tmp_path) -> None:
    with serving(tmp_path / "w.sock", FakeService(error=StoreError("disk full"))) as served:
        answer = served.http.post("/v1/steps", json={"steps": [STEP]})
        assert (answer.status_code, answer.json()["error"], answer.headers["retry-after"]) == (503, "disk full", "1")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"steps": [{**STEP, "los": 1}]}, "steps.0: unknown field 'los'; did you mean 'loss'?"),
        ({"step": [STEP]}, "body: unknown field 'step'; did you mean 'steps'?"),
        ({"steps": [{**STEP, "loss": "nan"}]}, "steps.0.loss: Input should be a valid number"),
        ({"steps": [{**STEP, "step": True}]}, "steps.0.step: Input should be a valid integer"),
        ({"steps": [{**STEP, "step": "7"}]}, "steps.0.step: Input should be a valid integer"),
        ({"steps": [{**STEP, "step": -1}]}, "steps.0.step: Input should be greater than or equal to 0"),
        ({"steps": [{**STEP, "step": 2**63}]}, "steps.0.step: Input should be less than 9223372036854775808"),
        ({"steps": [{**STEP, "step": 10**400}]}, "steps.0.step: Input should be"),
        ({"steps": [{**STEP, "at": 1e12}]}, "steps.0.at: Input should be less than or equal to 100000000000"),
        ({"steps": [{**STEP, "run": "a\nb"}]}, "steps.0.run: String should match pattern"),
        ({"steps": [{**STEP, "run": ""}]}, "steps.0.run: String should have at least 1 character"),
        ({"steps": [{**STEP, "run": "\ud800"}]}, "steps.0.run: Input should be a valid string"),
        ({"steps": [{**STEP, "times": {"\ud800": 1}}]}, "steps.0.times."),
        ({"steps": [{**STEP, "\ud800": 1}]}, "steps.0: unknown field '\\ud800'"),
        ({"steps": []}, "steps: List should have at least 1 item"),
        ({"steps": [STEP] * 1001}, "steps: List should have at most 1000 items"),
        ({"steps": [STEP], "version": 2}, "version: Input should be 1"),
        ({"steps": [STEP], "schema": "x"}, "schema: Input should be 'fryer/watch'"),
        ([], "body: Input should be a valid dictionary"),
        (None, "body: Input should be"),
        (7, "body: Input should be"),
    ],
)
def test_a_wrong_body_is_refused_with_its_place_and_nothing_is_kept(served: Served, body: object, error: str) -> None:
    answer = served.http.post("/v1/steps", content=json.dumps(body), headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(error)
    assert served.service.records == []


@pytest.mark.parametrize("content", [b"{", b"[" * 500_000, b'{"a":' * 100_000, b"\xff\xfe", b"1" * 5000, b'"\\ud800'])
def test_what_is_no_json_is_refused(served: Served, content: bytes) -> None:
    answer = served.http.post("/v1/steps", content=content, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.json()["type"] == "error"


def test_a_word_on_an_incident_is_added_with_the_daemons_time(served: Served) -> None:
    answer = served.http.post("/v1/incidents/i-1/mark-healthy", json={"by": "ada", "reason": "reseated"})
    assert answer.json()["incident"]["id"] == "i-1"
    mark = served.service.marks[0]
    assert (mark.incident, mark.by, mark.reason, mark.at) == ("i-1", "ada", "reseated", 1010.0)
    assert served.http.post("/v1/incidents/i-9/mark-healthy", json={"by": "a", "reason": "b"}).status_code == 404
    assert served.http.post("/v1/incidents/i-1/mark-healthy", json={"by": "a"}).status_code == 422
