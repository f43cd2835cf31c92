"""What is read over HTTP."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from fake_service import GPU, SIGNAL, STATE, FakeService
from served import Served, serving, wait_until

from watchdog.vocabulary.findings import Severity


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/healthz", "alive"),
        ("/v1/health", "health"),
        ("/v1/state", "state"),
        ("/v1/findings", "findings"),
        ("/v1/incidents", "incidents"),
        ("/v1/incidents/i-1", "incident"),
        ("/v1/samples?subject=node001/gpu:GPU-1", "samples"),
        ("/v1/events", "events"),
        ("/v1/signal", "signal"),
        ("/v1/runs", "runs"),
        ("/v1/steps?run=r", "steps"),
    ],
)
def test_each_document_says_its_type_schema_and_version(served: Served, path: str, kind: str) -> None:
    document = served.http.get(path).raise_for_status().json()
    assert (document["type"], document["schema"], document["version"]) == (kind, "fryer/watch", 1)


def test_state_has_all_that_is_known_with_nan_and_infinity_as_strings(served: Served) -> None:
    state = served.http.get("/v1/state").json()
    assert state["severity"] == "FAIL"
    assert state["findings"][0]["subject"] == "node001/gpu:GPU-1"
    assert state["findings"][0]["evidence"]["margin"] == "NaN"
    assert state["rows"][0]["values"] == {"power_watts": 700.0, "temperature_celsius": "Infinity"}
    assert state["facts"] == {"node001/gpu:GPU-1": {"index": 0}}
    assert state["xid_counts"] == [{"where": "GPU-1", "code": 79, "count": 2, "last_at": 1000.0}]
    assert state["incidents"][0]["victims"] == ["node001/rank:3"]


@pytest.mark.parametrize(
    ("severity", "age", "word", "code"),
    [
        (Severity.OK, 10, "OK", 0),
        (Severity.WARN, 10, "WARN", 0),
        (Severity.FAIL, 10, "FAIL", 1),
        (Severity.UNKNOWN, 10, "UNKNOWN", 3),
        (Severity.OK, 61, "UNKNOWN", 3),
        (Severity.WARN, 61, "UNKNOWN", 3),
        (Severity.FAIL, 61, "FAIL", 1),
    ],
)
def test_health_is_the_gravest_finding_and_unknown_when_it_is_old(
    served: Served, severity: Severity, age: float, word: str, code: int
) -> None:
    served.publish(severity=severity, at=1010.0 - age)
    health = served.http.get("/v1/health").json()
    assert (health["severity"], health["exit_code"], health["age_seconds"]) == (word, code, age)


def test_kept_rows_events_and_incidents_are_chosen_by_time_and_limit(served: Served) -> None:
    assert len(served.http.get("/v1/samples", params={"subject": str(GPU), "since": 1000}).json()["rows"]) == 1
    assert served.http.get("/v1/samples", params={"subject": str(GPU), "since": 1000.5}).json()["rows"] == []
    assert served.http.get("/v1/events", params={"since": 1001}).json()["events"] == []
    assert [i["id"] for i in served.http.get("/v1/incidents").json()["incidents"]] == ["i-1", "i-0"]
    assert [i["id"] for i in served.http.get("/v1/incidents?limit=1").json()["incidents"]] == ["i-1"]


def test_an_incident_that_is_no_longer_published_comes_from_the_store(served: Served) -> None:
    assert served.http.get("/v1/incidents/i-0").json()["incident"]["id"] == "i-0"
    missing = served.http.get("/v1/incidents/i-9")
    assert (missing.status_code, missing.json()["error"]) == (404, "no incident 'i-9'")


@pytest.mark.parametrize(
    ("run", "expires", "seen"),
    [("r", 1011.0, True), ("", 1011.0, True), ("other", 1011.0, False), ("r", 1010.0, False)],
)
def test_a_run_sees_its_own_unexpired_signal(served: Served, run: str, expires: float, seen: bool) -> None:
    served.publish(signal=replace(SIGNAL, expires_at=expires))
    document = served.http.get("/v1/signal", params={"run": run}).json()
    assert document["at"] == 1010.0
    assert (document["signal"] is not None) is seen


def test_waiting_for_a_signal_ends_when_it_comes(served: Served) -> None:
    got = []
    asking = threading.Thread(
        target=lambda: got.append(served.http.get("/v1/signal?run=r&wait_seconds=15").json()["signal"])
    )
    asking.start()
    wait_until(lambda: served.service.readers)
    served.publish(findings=())  # no new signal: goes on waiting
    served.publish(signal=SIGNAL)
    asking.join(10)
    assert got[0]["id"] == "s-1"
    assert served.http.get("/v1/signal?run=r&wait_seconds=0.01&known=s-1").json()["signal"]["id"] == "s-1"
    assert served.call(lambda: served.service.readers) == []


def test_a_known_signal_that_is_withdrawn_ends_the_wait(served: Served) -> None:
    assert served.http.get("/v1/signal?run=r&known=s-1&wait_seconds=15").json()["signal"] is None


def test_metrics_are_rendered_when_they_are_asked_for(served: Served, tmp_path: Path) -> None:
    answer = served.http.get("/metrics")
    assert answer.text == "up 1\n"
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    with serving(tmp_path / "without.sock") as other:
        assert other.http.get("/metrics").status_code == 404


def test_unknown_paths_parameters_and_methods_are_refused_with_what_was_meant(served: Served) -> None:
    before = served.server.rejected
    path = served.http.get("/v1/incident")
    assert (path.status_code, path.json()["hint"]) == (404, "did you mean '/v1/incidents'?")
    parameter = served.http.get("/v1/events?sinse=3")
    assert (parameter.status_code, parameter.json()["error"]) == (
        422,
        "query: unknown field 'sinse'; did you mean 'since'?",
    )
    method = served.http.delete("/v1/state")
    assert (method.status_code, method.headers["allow"]) == (405, "GET")
    subject = served.http.get("/v1/samples?subject=n/gpuu:3")
    assert subject.status_code == 422
    assert served.http.get("/v1/events?since=nan").status_code == 422
    assert served.server.rejected - before == {404: 1, 405: 1, 422: 3}


def test_a_fault_of_the_daemon_is_a_500_in_json_and_the_next_request_is_answered(tmp_path: Path) -> None:
    with serving(tmp_path / "w.sock", FakeService(error=RuntimeError("secret detail"))) as served:
        answer = served.http.get("/v1/events")
        assert (answer.status_code, answer.json()["error"]) == (500, "the daemon failed to answer")
        assert "secret" not in answer.text
        assert served.http.get("/v1/state").status_code == 200


def test_the_state_that_is_published_is_not_changed_by_reading(served: Served) -> None:
    served.http.get("/v1/state")
    assert served.service.state == STATE
