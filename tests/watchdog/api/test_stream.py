"""The stream of states."""

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from served import Served, serving, wait_until

from watchdog.api.limits import ApiLimits
from watchdog.vocabulary.findings import Severity


@pytest.fixture
def streaming(tmp_path):
    with serving(tmp_path / "w.sock", limits=ApiLimits(streams=2, heartbeat_seconds=0.1)) as server:
        yield server


def events(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    for line in answer.iter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def test_it_gives_the_present_state_and_then_each_change(streaming: Served) -> None:
    with streaming.http.stream("GET", "/v1/stream") as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        seen = events(answer)
        assert next(seen)["severity"] == "FAIL"
        streaming.publish(severity=Severity.OK)
        assert next(seen)["severity"] == "OK"
        streaming.publish(severity=Severity.WARN)
        assert next(seen)["severity"] == "WARN"
    wait_until(lambda: not streaming.call(lambda: streaming.service.readers))


def test_it_says_that_it_lives_when_nothing_changes(streaming: Served) -> None:
    with streaming.http.stream("GET", "/v1/stream") as answer:
        lines = answer.iter_lines()
        assert [next(lines) for _ in range(7)][3:] == [": alive", "", ": alive", ""]


def test_there_are_no_more_streams_than_the_limit(streaming: Served) -> None:
    with ExitStack() as stack:
        open_streams = [events(stack.enter_context(streaming.http.stream("GET", "/v1/stream"))) for _ in range(2)]
        assert [next(seen)["type"] for seen in open_streams] == ["state", "state"]
        refused = streaming.http.get("/v1/stream")
        assert (refused.status_code, refused.json()["error"]) == (429, "2 streams are open, which is the most")
    wait_until(lambda: not streaming.call(lambda: streaming.service.readers))
    with streaming.http.stream("GET", "/v1/stream") as answer:
        assert next(events(answer))["type"] == "state"


def test_streams_and_waits_end_when_the_daemon_stops(streaming: Served) -> None:
    ended = []

    def wait() -> None:
        ended.append(streaming.http.get("/v1/signal?wait_seconds=20").json()["signal"])

    def read() -> None:
        with streaming.http.stream("GET", "/v1/stream") as answer:
            ended.append(len(list(events(answer))))

    threads = [threading.Thread(target=wait), threading.Thread(target=read)]
    for thread in threads:
        thread.start()
    wait_until(lambda: streaming.call(lambda: len(streaming.service.readers)) == 2)
    streaming.stop()
    for thread in threads:
        thread.join(5)
    assert sorted(ended, key=str) == [1, None]


def test_a_reader_that_falls_behind_misses_states_and_holds_nothing_up(streaming: Served) -> None:
    with streaming.http.stream("GET", "/v1/stream") as answer:
        seen = events(answer)
        next(seen)
        wait_until(lambda: streaming.call(lambda: streaming.service.readers))

        def publish_all() -> None:
            for number in range(1000):
                streaming.service.publish(counters={"number": float(number)})

        streaming.call(publish_all)
        assert next(seen)["counters"] == {"number": 999.0}
