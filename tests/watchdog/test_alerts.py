"""Alerts to a real receiver on loopback: healthy, slow, failing, dead."""

import json
import logging
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from watchdog import alerts
from watchdog.alerts import Alert, AlertSender, AlertSettings, alert_of, breaker_alert
from watchdog.vocabulary.errors import SourceFailed, UsageError
from watchdog.vocabulary.findings import Severity
from watchdog.vocabulary.incidents import Incident, IncidentState
from watchdog.vocabulary.subjects import Subject

NOW = time.time()
INCIDENT = Incident(
    id="11111111-0000-4000-8000-000000000001",
    node="node1",
    opened_at=1_700_000_000.25,
    updated_at=1_700_000_001.0,
    state=IncidentState.OPEN,
    severity=Severity.FAIL,
    root=Subject("node1", "gpu", "GPU-4"),
    root_code="xid_79",
    title="xid_79 on node1/gpu:GPU-4: fallen off the bus",
    action="reboot_node",
)
ALERT = alert_of(INCIDENT)


@dataclass
class Receiver:
    """What came, and what is answered: statuses one after the other, the last for ever."""

    statuses: list[int] = field(default_factory=lambda: [200])
    bodies: list[Any] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    seconds: float = 0.0
    url: str = ""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        self.bodies.append(json.loads(body))
        self.headers.append(dict(request.headers))
        self.paths.append(request.path)
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        time.sleep(self.seconds)
        request.send_response(status)
        request.send_header("Location", f"{self.url}/elsewhere")
        request.send_header("Content-Length", "0")
        request.end_headers()


@contextmanager
def serving(receiver: Receiver, port: int = 0) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.answer(self)

        def do_GET(self) -> None:
            receiver.answer(self)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver.url
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def settings(url: str, **more: Any) -> AlertSettings:
    waits = {"first_wait_seconds": 0.02, "longest_wait_seconds": 0.05}
    return AlertSettings(url=f"{url}/api/v2/alerts", **{**waits, **more})


def until(holds: Callable[[], bool]) -> None:
    for _ in range(1000):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("did not happen within 10 s")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    with serving(one):
        yield one


@pytest.fixture
def alertmanager(tmp_path) -> Iterator[str]:
    """URL of a real Alertmanager that tells nobody."""
    program = shutil.which("prometheus-alertmanager")
    if program is None:
        assert os.environ.get("CI") != "true", "prometheus-alertmanager is not installed"
        pytest.skip("prometheus-alertmanager is not installed")
    config = tmp_path / "am.yml"
    config.write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    arguments = (f"--config.file={config}", f"--storage.path={tmp_path}", f"--web.listen-address={address}")
    process = subprocess.Popen([program, *arguments, "--cluster.listen-address="], stderr=subprocess.DEVNULL)
    try:
        until(lambda: is_ready(f"http://{address}/-/ready"))
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(10)


def is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def test_an_incident_is_sent_once_as_alertmanager_takes_it(receiver):
    sender = AlertSender(settings(receiver.url))
    for tick in range(5):
        sender.offer([ALERT], NOW + tick)
    sender.close(10)
    (body,) = receiver.bodies
    (one,) = body
    assert receiver.paths == ["/api/v2/alerts"]
    assert one["labels"] == {
        "alertname": "FryerIncident",
        "incident": INCIDENT.id,
        "node": "node1",
        "subject": "node1/gpu:GPU-4",
        "code": "xid_79",
        "severity": "critical",
    }
    assert one["annotations"] == {"summary": INCIDENT.title, "action": "reboot_node", "state": "open"}
    assert one["startsAt"] == "2023-11-14T22:13:20.250Z"
    assert one["endsAt"] > one["startsAt"]
    assert (sender.counters.num_sent, sender.counters.num_queued) == (1, 0)


def test_each_state_is_sent_and_the_last_ends_the_alert(receiver):
    sender = AlertSender(settings(receiver.url))
    closed = replace(INCIDENT, state=IncidentState.CLOSED, closed_at=NOW + 2)
    for index, incident in enumerate([INCIDENT, replace(INCIDENT, state=IncidentState.ACTED), closed, closed]):
        sender.offer([alert_of(incident)], NOW + index)
        until(lambda index=index: sender.counters.num_sent == min(index + 1, 3))
    sender.close(10)
    assert [body[0]["annotations"]["state"] for body in receiver.bodies] == ["open", "acted", "closed"]


def test_a_severity_that_rises_ends_the_alert_with_the_old_label(receiver):
    sender = AlertSender(settings(receiver.url))
    sender.offer([replace(ALERT, severity=Severity.WARN)], NOW)
    until(lambda: sender.counters.num_sent == 1)
    sender.offer([ALERT], NOW + 1)
    sender.close(10)
    before, after = receiver.bodies[1]
    assert [before["labels"]["severity"], after["labels"]["severity"]] == ["warning", "critical"]
    assert before["endsAt"] < after["endsAt"]


def test_an_open_incident_is_repeated_after_its_time_and_a_closed_one_is_not(receiver):
    sender = AlertSender(settings(receiver.url, repeat_seconds=100.0))
    closed = replace(ALERT, key="b", ended_at=NOW, state="closed")
    for at in (0, 99, 100, 199, 200):
        sender.offer([ALERT, closed], NOW + at)
        until(lambda: sender.counters.num_queued == 0)
    sender.close(10)
    assert [body[0]["labels"]["incident"] for body in receiver.bodies] == [ALERT.key, "b", ALERT.key, ALERT.key]


def test_what_is_too_small_or_was_over_before_the_start_is_not_sent(receiver):
    sender = AlertSender(settings(receiver.url))
    old = replace(ALERT, key="old", ended_at=NOW - 1)
    sender.offer([replace(ALERT, severity=Severity.UNKNOWN), old], NOW)
    sender.close(10)
    assert receiver.bodies == []


def test_a_real_alertmanager_takes_it_and_takes_its_end(alertmanager):
    sender = AlertSender(AlertSettings(url=f"{alertmanager}/api/v2/alerts"))

    def known() -> list[tuple[str, str, str]]:
        with urllib.request.urlopen(f"{alertmanager}/api/v2/alerts", timeout=10) as answer:
            alerts_ = json.load(answer)
        return [(one["labels"]["code"], one["labels"]["severity"], one["annotations"]["state"]) for one in alerts_]

    sender.offer([replace(ALERT, severity=Severity.WARN)], NOW)
    until(lambda: known() == [("xid_79", "warning", "open")])
    sender.offer([ALERT], NOW)
    until(lambda: known() == [("xid_79", "critical", "open")])
    sender.offer([replace(ALERT, state="closed", ended_at=time.time())], NOW)
    until(lambda: known() == [])
    sender.close(10)
    assert (sender.counters.num_sent, sender.counters.num_rejected) == (3, 0)


def test_our_own_form_carries_the_whole_incident(receiver):
    sender = AlertSender(settings(receiver.url, format="json"))
    sender.offer([ALERT], NOW)
    sender.offer([breaker_alert("node1", "62% is bad at once", NOW)], NOW)
    sender.close(10)
    incident, breaker = receiver.bodies
    assert (incident["schema"], incident["version"], incident["severity"]) == ("fryer/alert", 1, "FAIL")
    assert incident["incident"]["root"] == "node1/gpu:GPU-4"
    assert incident["incident"]["root_code"] == "xid_79"
    assert (breaker["name"], breaker["title"], breaker["incident"]) == ("FryerBreaker", "62% is bad at once", None)


def test_a_receiver_that_fails_gets_it_again_until_it_takes_it(receiver, caplog):
    receiver.statuses = [500, 503, 429, 200]
    caplog.set_level(logging.INFO, "watchdog.alerts")
    sender = AlertSender(settings(receiver.url))
    sender.offer([ALERT], NOW)
    until(lambda: sender.counters.num_sent == 1)
    sender.close(10)
    assert len(receiver.bodies) == 4
    assert (sender.counters.num_failures, sender.counters.last_error) == (3, "")
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


@pytest.mark.parametrize("status", [302, 400, 401, 404])
def test_a_refusal_for_good_is_counted_and_does_not_hold_up_the_next(receiver, status):
    receiver.statuses = [status, 200]
    sender = AlertSender(settings(receiver.url))
    sender.offer([ALERT, replace(ALERT, key="b")], NOW)
    until(lambda: sender.counters.num_sent == 1)
    sender.offer([ALERT], NOW + 1)
    sender.close(10)
    assert receiver.paths == ["/api/v2/alerts"] * 2
    assert (sender.counters.num_rejected, sender.counters.num_sent) == (1, 1)


def test_a_slow_receiver_is_given_up_at_the_deadline(receiver):
    receiver.seconds = 0.6
    with pytest.raises(SourceFailed, match=r"^http://127\.0\.0\.1:\d+: alert not sent: no answer within 0\.2 s$"):
        alerts.test_alert(settings(receiver.url, deadline_seconds=0.2), "node1")


def test_a_receiver_that_answers_byte_by_byte_is_given_up_too():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                for _ in range(100):
                    try:
                        connection.sendall(b"H")
                    except OSError:
                        return
                    time.sleep(0.05)

        thread = threading.Thread(target=drip)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(SourceFailed, match=r"no answer within 0\.3 s"):
            alerts.test_alert(settings(url, deadline_seconds=0.3), "node1")
        thread.join(10)
        assert not thread.is_alive()


def test_offers_to_a_dead_receiver_are_bounded_and_the_newest_state_survives():
    one = Receiver()
    with serving(one) as url:
        port = int(url.rpartition(":")[2])
    sender = AlertSender(settings(url, most_queued=3))
    sender.offer([ALERT], NOW)
    until(lambda: sender.counters.num_failures >= 2)
    sender.offer([replace(ALERT, key=f"k{index}") for index in range(5)], NOW)
    sender.offer([replace(ALERT, key="k4", state="acted")], NOW)
    assert (sender.counters.num_queued, sender.counters.num_dropped) == (3, 3)
    assert "alert not sent" in sender.counters.last_error
    with serving(one, port):
        until(lambda: sender.counters.num_queued == 0)
    sender.close(10)
    assert [(body[0]["labels"]["incident"], body[0]["annotations"]["state"]) for body in one.bodies] == [
        ("k2", "open"),
        ("k3", "open"),
        ("k4", "acted"),
    ]


def test_an_alert_that_could_not_be_sent_for_too_long_is_dropped():
    with serving(Receiver()) as url:
        pass
    sender = AlertSender(settings(url, give_up_seconds=0.01))
    sender.offer([ALERT], NOW - 1)
    until(lambda: sender.counters.num_dropped == 1)
    sender.close(10)
    assert sender.counters.num_queued == 0


def test_closing_does_not_wait_for_a_dead_receiver():
    with serving(Receiver()) as url:
        pass
    sender = AlertSender(settings(url, first_wait_seconds=3600.0, longest_wait_seconds=3600.0))
    sender.offer([ALERT], NOW)
    until(lambda: sender.counters.num_failures == 1)
    sender.close(10)
    assert all(thread.name != "alerts" for thread in threading.enumerate())


def test_the_secret_goes_into_its_header_and_nowhere_else(receiver, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    secret = tmp_path / "secret"
    secret.write_text("Bearer hunter2\n")
    chosen = settings(f"{receiver.url}/T0KEN", secret_file=secret, secret_header="X-Secret")
    assert alerts.test_alert(chosen, "node1").status == 200
    secret.write_text("Bearer changed\n")
    receiver.statuses = [500]
    sender = AlertSender(chosen)
    sender.offer([ALERT], NOW)
    until(lambda: sender.counters.num_failures >= 1)
    sender.close(10)
    assert [headers["X-Secret"] for headers in receiver.headers[:2]] == ["Bearer hunter2", "Bearer changed"]
    said = f"{caplog.text}{sender.counters}"
    assert not any(word in said for word in ("hunter2", "changed", "T0KEN"))


@pytest.mark.parametrize("content", ["", "one\ntwo", "x" * 9000])
def test_a_secret_that_is_not_one_line_is_refused_without_being_quoted(tmp_path, content):
    secret = tmp_path / "secret"
    secret.write_text(content)
    with pytest.raises(UsageError, match="not one line") as caught:
        alerts.test_alert(settings("http://127.0.0.1:9", secret_file=secret), "node1")
    assert content == "" or content not in str(caught.value)
    with pytest.raises(UsageError, match="secret_file can't be read"):
        alerts.test_alert(settings("http://127.0.0.1:9", secret_file=tmp_path / "none"), "node1")


def test_a_test_alert_says_that_nothing_is_wrong(receiver):
    answer = alerts.test_alert(settings(receiver.url), "node1")
    assert (answer.status, answer.is_taken) == (200, True)
    (one,) = receiver.bodies[0]
    assert one["labels"]["alertname"] == "FryerTest"
    assert one["annotations"]["summary"] == "Test alert from node1: nothing is wrong"


def test_without_a_url_there_is_no_sender():
    with pytest.raises(UsageError, match="url is empty"):
        AlertSender(AlertSettings())
    with pytest.raises(UsageError, match="url is empty"):
        alerts.test_alert(AlertSettings(), "node1")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"url": "ftp://host/x"}, "no http or https scheme"),
        ({"url": "http://ana:pw@host/x"}, "put the whole header value into secret_file"),
        ({"url": "http://host:port/x"}, "can't be read"),
        ({"url": "http://host/a b"}, "blanks or letters"),
        ({"format": "alertmanger"}, "did you mean 'alertmanager'"),
        ({"least_severity": "warn"}, "least_severity is 'warn'; known: FAIL, UNKNOWN, WARN"),
        ({"secret_header": "X Y"}, "secret_header"),
        ({"deadline_seconds": 0.0}, "deadline_seconds is 0"),
        ({"most_queued": 0}, "most_queued is 0"),
    ],
)
def test_wrong_settings_say_what_is_allowed_and_quote_no_password(wrong, says):
    with pytest.raises(ValueError, match=says) as caught:
        AlertSettings(**wrong)
    assert "pw" not in str(caught.value)


def test_an_alert_that_cannot_be_written_does_not_hold_up_the_next(receiver):
    sender = AlertSender(settings(receiver.url, format="json"))
    broken: Alert = replace(ALERT, details={"cost": float("nan")})
    sender.offer([broken, replace(ALERT, key="b")], NOW)
    sender.close(10)
    assert (sender.counters.num_rejected, sender.counters.num_sent) == (1, 1)
