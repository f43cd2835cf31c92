"""The trainer's client against a daemon that is dead, stopped, slow or lying: training goes on as if nothing were."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from served import wait_until

from watchdog import client as client_module
from watchdog.client import NONE, Client

SERVE = Path(__file__).parents[1] / "fakes" / "serve_fake.py"


@contextmanager
def answering(path: Path, answer: Callable[[socket.socket], None]) -> Iterator[list[int]]:
    """A server that does `answer` on each connection, in a thread of its own; gives a list that grows with each."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    listener.settimeout(0.05)
    stopped, count = threading.Event(), []

    def one(end: socket.socket) -> None:
        with end, suppress(OSError):
            end.settimeout(5)
            end.recv(1 << 16)
            answer(end)
        count.append(1)

    def serve() -> None:
        while not stopped.is_set():
            with suppress(TimeoutError):
                threading.Thread(target=one, args=(listener.accept()[0],)).start()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield count
    finally:
        stopped.set()
        thread.join()
        listener.close()


def http(body: object, status: str = "200 OK") -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data


def train(client: Client, steps: int = 50) -> None:
    client.begin()
    for step in range(steps):
        with client.section("forward"):
            pass
        client.step(step, loss=1.0)
        assert client.poll() is NONE
    client.checkpoint(steps, "/c", "good")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "BACKOFF_SECONDS", (0.01, 0.05))
    monkeypatch.setattr(client_module, "POST_SECONDS", 0.5)
    monkeypatch.setattr(client_module, "WAIT_SECONDS", 0.1)


GIVEN = {"id": "s", "action": "stop", "reason": "", "confidence": 1, "created_at": 100, "expires_at": 200, "run": "r"}
GOOD = {"not_after_step": None, "incident": None, "is_observed_only": False, **GIVEN}


def reply(at: Any = 100, **changes: Any) -> bytes:
    return http({"type": "signal", "at": at, "signal": {**GOOD, **changes}})


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"garbage",
        b"\x00" * 1000,
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n{}",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        http(b"{"),
        http(b"[" * 100_000),
        http(b"1" * 10_000),
        http(b"\xff\xfe"),
        http([]),
        http(None),
        http({}),
        http({"type": "kept"}),
        http({"type": "signal", "at": 1.0}),
        http({"type": "signal", "signal": "stop"}),
        http({"type": "kept", "num_kept": 1, "started_at": 1.0, "signal": None}, "500 Oh"),
        http({"error": "no"}, "503 Busy"),
        http({"error": "no"}, "401 Who"),
        reply(action="explode"),
        reply(action=["stop"]),
        reply(action="none"),
        reply(id=""),
        reply(id=7),
        reply(run="other"),
        reply(run=None),
        reply(expires_at=100),
        reply(expires_at=99),
        reply(expires_at="later"),
        reply(expires_at=None),
        reply(expires_at=1e12),
        reply(expires_at=10**400),
        http(reply(expires_at=0).partition(b"\r\n\r\n")[2].replace(b'"expires_at": 0', b'"expires_at": NaN')),
        reply(at="now"),
        reply(at=None),
        reply(not_after_step="7"),
        reply(not_after_step=True),
        reply(is_observed_only=None),
        reply(is_observed_only=True),
        reply(confidence="high"),
    ],
)
def test_nonsense_is_no_signal_and_harms_nobody(tmp_path: Path, sent: bytes) -> None:
    path = tmp_path / "w.sock"
    with answering(path, lambda end: end.sendall(sent)) as count:
        client = Client(run="r", socket_path=path)
        train(client)
        wait_until(lambda: len(count) >= 6)
        assert client.poll() is NONE


def test_the_signal_that_the_nonsense_is_made_of_would_be_one(tmp_path: Path) -> None:
    path = tmp_path / "w.sock"
    with answering(path, lambda end: end.sendall(reply())):
        client = Client(run="r", socket_path=path)
        client.begin()
        wait_until(lambda: client.poll().action == "stop")


def test_a_signal_does_not_live_longer_by_being_read_again(tmp_path: Path) -> None:
    path = tmp_path / "w.sock"
    with answering(path, lambda end: end.sendall(reply(expires_at=100.4))) as count:
        client = Client(run="r", socket_path=path)
        client.begin()
        wait_until(lambda: client.poll().action == "stop")
        until = client.poll().until
        seen = len(count)
        wait_until(lambda: len(count) > seen + 4)
        assert client.poll().until in (until, float("inf"))
        wait_until(lambda: client.poll() is NONE)


def test_an_endless_answer_is_cut_off(tmp_path: Path) -> None:
    sizes = []

    def pour(end: socket.socket) -> None:
        sent = 0
        try:
            end.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while sent < 1 << 28:
                sent += end.send(b"x" * 65536)
        finally:
            sizes.append(sent)

    with answering(tmp_path / "w.sock", pour):
        client = Client(run="r", socket_path=tmp_path / "w.sock")
        train(client)
        wait_until(lambda: len(sizes) >= 2)
        assert max(sizes) < 1 << 23
        assert "more than" in client.health.problem


def test_an_answer_that_drips_ends_at_the_deadline(tmp_path: Path) -> None:
    times = []

    def drip(end: socket.socket) -> None:
        began = time.monotonic()
        try:
            while time.monotonic() - began < 30:
                end.sendall(b"x")
                time.sleep(0.02)
        finally:
            times.append(time.monotonic() - began)

    with answering(tmp_path / "w.sock", drip):
        client = Client(run="r", socket_path=tmp_path / "w.sock")
        train(client)
        wait_until(lambda: len(times) >= 2)
        assert max(times) < 20


def test_a_dead_daemon_costs_no_memory_and_the_newest_steps_stay(tmp_path: Path) -> None:
    client = Client(run="r", socket_path=tmp_path / "nobody.sock", most_steps=1000)
    train(client, 5000)
    health = client.health
    assert not health.is_connected
    assert health.num_posted == 0
    assert 5000 - 1000 - client_module.BATCH <= health.num_dropped <= 5000 - 1000
    client.end(wait_seconds=0.05)
    assert "No such file" in client.health.problem


def test_the_trainers_own_random_numbers_stay_as_they_are(tmp_path: Path) -> None:
    before = random.getstate()
    client = Client(run="r", socket_path=tmp_path / "nobody.sock")
    train(client)
    wait_until(lambda: client.health.problem)
    time.sleep(0.1)
    assert random.getstate() == before


def test_what_the_daemon_will_never_take_is_counted_and_passed_over(tmp_path: Path) -> None:
    with answering(tmp_path / "w.sock", lambda end: end.sendall(http({"error": "unknown field"}, "422 No"))):
        client = Client(run="r", socket_path=tmp_path / "w.sock")
        train(client, 3)
        client.end(wait_seconds=20)
        assert client.health.num_refused == 6
        assert "unknown field" in client.health.problem


def test_a_stopped_daemon_holds_nothing_up_and_gets_everything_when_it_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "w.sock"
    process = subprocess.Popen([sys.executable, SERVE, path], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process:
        try:
            assert process.stdout.readline() == b"ready\n"
            client = Client(run="frozen", socket_path=path)
            client.step(0)
            wait_until(lambda: client.health.num_posted == 1)
            os.kill(process.pid, signal.SIGSTOP)
            train(client, 300)
            wait_until(lambda: not client.health.is_connected)
            os.kill(process.pid, signal.SIGCONT)
            client.end(wait_seconds=30)
            with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://x") as reading:
                steps = reading.get("/v1/steps?run=frozen&limit=2000").json()["steps"]
            assert {step["step"] for step in steps} == set(range(300))
        finally:
            process.kill()
