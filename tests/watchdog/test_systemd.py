"""sd_notify's protocol, over the real kind of socket."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from watchdog import systemd


@pytest.fixture(params=["path", "abstract"])
def received(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    """systemd's end."""
    name = str(tmp_path / "s") if request.param == "path" else f"@fryer-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(name.replace("@", "\0"))
        end.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield end


def test_each_notice_is_one_datagram_of_lines(received: socket.socket) -> None:
    assert systemd.ready("8 GPUs")
    assert systemd.show("1 finding")
    assert systemd.beat()
    assert systemd.stopping()
    texts = [received.recv(1000).decode() for _ in range(4)]
    assert texts == ["READY=1\nSTATUS=8 GPUs", "STATUS=1 finding", "WATCHDOG=1", "STOPPING=1"]


def test_a_status_of_several_lines_can_not_forge_others(received: socket.socket) -> None:
    assert systemd.show("gpu 3\nMAINPID=1\r\nfailed")
    assert received.recv(1000) == b"STATUS=gpu 3 MAINPID=1 failed"


def test_reloading_tells_the_time(received: socket.socket) -> None:
    assert systemd.reloading()
    first, _, second = received.recv(1000).decode().partition("\n")
    assert first == "RELOADING=1"
    name, _, microseconds = second.partition("=")
    assert name == "MONOTONIC_USEC"
    assert int(microseconds) > 0


def test_nothing_happens_where_systemd_did_not_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not systemd.ready()
    assert not systemd.beat()


def test_nobody_at_the_other_end_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    assert not systemd.beat()


def test_a_full_queue_does_not_block(received: socket.socket) -> None:
    sent = 0
    while sent < 10_000 and systemd.beat():
        sent += 1
    assert 0 < sent < 10_000


@pytest.mark.parametrize(
    ("microseconds", "pid", "seconds"),
    [
        ("30000000", None, 15.0),
        ("2000000", "own", 1.0),
        ("2000000", "1", None),  # asked of another process
        ("0", None, None),
        ("", None, None),
        ("soon", None, None),
    ],
)
def test_the_heartbeat_is_half_of_what_the_unit_allows(
    microseconds: str, pid: str | None, seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", microseconds)
    if pid is None:
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
    else:
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()) if pid == "own" else pid)
    assert systemd.heartbeat_seconds() == seconds


def test_without_systemd_there_is_no_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    assert systemd.heartbeat_seconds() is None
