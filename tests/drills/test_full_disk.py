"""The disk of the store is full for a while: judging and answering go on, and what waited is kept in the end."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from watched import Asking, Watched, say, wait_until

from watchdog.client import Client
from watchdog.store import Store, WatchLog

XID_79 = "NVRM: Xid (PCI:0000:1b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."


@contextmanager
def small_disk(path: Path) -> Iterator[None]:
    """A file system of 16 MiB at `path`."""
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16m,mode=0700", "tmpfs", str(path)]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        assert os.environ.get("CI") != "true", f"CI may mount: {done.stderr.decode()}"
        pytest.skip(f"a tmpfs can't be mounted: {done.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


def fill(path: Path) -> None:
    """Write until there is no room left, to the last byte."""
    with path.open("wb", buffering=0) as end:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    end.write(b"\0" * size)
            except OSError:
                continue


def test_a_full_disk_is_told_holds_up_no_judgement_and_heals_by_itself(
    make_watched: Callable[..., Watched], tmp_path: Path
) -> None:
    with small_disk(tmp_path / "state"):
        watched = make_watched()
        watched.start()
        client = Client(run="r", socket_path=watched.socket)
        client.begin()
        with Asking(watched).going_on() as asking:
            fill(watched.state / "filler")
            begun = time.monotonic()
            step = 0
            while "store_failing" not in watched.findings():
                assert time.monotonic() - begun < 60
                client.step(step, loss=2.0)
                step += 1
                time.sleep(0.05)
            told_seconds = time.monotonic() - begun
            watched.write(XID_79)
            begun = time.monotonic()
            wait_until("the signal", lambda: watched.ask("/v1/state")["signal"], 5)
            signal_seconds = time.monotonic() - begun
            (watched.state / "filler").unlink()
            begun = time.monotonic()
            wait_until("healed", lambda: "store_failing" not in watched.findings(), 60)
            healed_seconds = time.monotonic() - begun
        assert asking.problems == []
        assert max(asking.seconds) < 2.0
        client.end("done", wait_seconds=40)
        assert watched.stop()[0] == 0
        assert watched.is_intact()
        log = WatchLog(Store.open(watched.kept))
        assert [kept.step for kept in log.steps("r", 0, 10**6)] == list(range(step))
        assert [(event.kind, event.code) for event in log.events(0.0, 100)] == [("xid", 79)]
        assert [one.root_code for one in log.incidents(0.0, 100) if one.root_code.startswith("xid")] == ["xid_79"]
    say(
        f"a full disk: told after {told_seconds:.1f} s; a signal meanwhile after {signal_seconds * 1e3:.0f} ms; healed "
        f"{healed_seconds:.1f} s after there was room; nothing lost; API: {asking.told()}"
    )
