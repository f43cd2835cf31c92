"""Kill -9 of the writer under load, many times over one file (FRYER_KILLS, 20 by default; a release is tried with 100).

The process also rolls up and packs at the same time, as the daemon does, so that those die half-way too.
"""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from watchdog.store import Store, WatchLog
from watchdog.store.upkeep import roll_up
from watchdog.vocabulary.subjects import Subject

KILLS = int(os.environ.get("FRYER_KILLS", "20"))
GPU = Subject("n1", "gpu", "GPU-a")

SERVER = """
import os, sys, threading
from pathlib import Path
sys.path.insert(0, "tests/watchdog/store")
from conftest import INCIDENT
from dataclasses import replace
from watchdog.store import Cursor, Retention, Store, WatchLog, Writer, Keep
from watchdog.store.upkeep import pack_steps, roll_up
from watchdog.vocabulary.runs import Step
from watchdog.vocabulary.samples import Event, Row
from watchdog.vocabulary.subjects import Subject

GPU = Subject("n1", "gpu", "GPU-a")
store = Store.open(Path(sys.argv[1]))

def items(number):
    return [
        Row(subject=GPU, at=number / 10.0, values={"power_watts": float(number)}),
        Event(kind="xid", subject=GPU, at=number / 10.0, code=79, message=f"event {number}"),
        Step(run="r", rank=0, step=number, at=number / 10.0),
        replace(INCIDENT, count=number),
        Cursor(source="kmsg", boot_id="b", sequence=number),
        Keep(key="book", value={"number": number}),
    ]

def keep_small():
    while True:
        roll_up(store)
        pack_steps(store, 1e9, Retention())

def work():
    writer = Writer(store, period_seconds=0.002).start()
    threading.Thread(target=keep_small, daemon=True).start()
    cursor = WatchLog(store).remembered(0.0).cursors.get("kmsg")
    number = cursor.sequence if cursor else 0
    while True:
        number += 1
        future = writer.submit(items(number))
        future.add_done_callback(lambda done, number=number: os.write(1, b"ack %d\\n" % number))
        if number % 7 == 0:
            future.result(60)

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        work()
    os.write(1, b"pid %d\\n" % child)
    os.waitpid(child, 0)
    os.write(1, b"dead\\n")
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Imports once, and forks a writer for each line that it is sent."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(tmp_path)],
        cwd=Path(__file__).parents[3],
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    yield process
    process.communicate(timeout=60)  # closes its input, at which it ends


def killed(server: subprocess.Popen[str], after_seconds: float) -> int:
    """Start a writer, let it acknowledge something, kill it; the last number that it acknowledged."""
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write("go\n")
    server.stdin.flush()
    pid, newest = 0, 0
    for line in server.stdout:
        word, *number = line.split()
        if word == "dead":
            break
        if word == "pid":
            pid = int(number[0])
        else:
            newest = max(newest, int(number[0]))
        if pid and newest:
            time.sleep(after_seconds)
            os.kill(pid, signal.SIGKILL)
            pid = 0
    return newest


def test_what_was_acknowledged_survives_every_kill(tmp_path: Path, server: subprocess.Popen[str]) -> None:
    chance = random.Random(7)
    acknowledged = 0
    for _ in range(KILLS):
        acknowledged = max(acknowledged, killed(server, chance.uniform(0.0, 0.1)))
        check(Store.open(tmp_path), acknowledged)
    assert acknowledged > KILLS


def check(store: Store, acknowledged: int) -> None:
    log = WatchLog(store)
    remembered = log.remembered(0.0)
    cursor = remembered.cursors["kmsg"].sequence
    assert cursor >= acknowledged
    # whatever is kept is kept whole: nothing is ahead of the cursor, nor behind it
    everything = list(range(1, cursor + 1))
    assert [event.message for event in log.events(0.0, 10**6)] == [f"event {number}" for number in everything]
    assert [step.step for step in log.steps("r", 0, 10**6)] == everything
    assert [row.values["power_watts"] for row in log.rows(GPU, 0.0, 10**6)] == everything
    assert [incident.count for incident in log.incidents(0.0, 9)] == [cursor]
    assert remembered.values == {"book": {"number": cursor}}
    assert remembered.xid_counts == {("GPU-a", 79): (cursor, cursor / 10.0)}
    roll_up(store)
    assert sum(minute.values["power_watts"].count for minute in log.minutes(GPU, 0.0, 10**6)) == cursor
    connection = sqlite3.connect(store.path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
