"""The daemon is killed (SIGKILL) over and over under load: what it acknowledged is there, and nothing comes twice."""

import random
import shutil
import sqlite3
import statistics
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from watched import IS_LONG, NoAnswerError, Watched, say, wait_until

from watchdog.client import Client
from watchdog.store import Store, WatchLog

KILLS = 100 if IS_LONG else 5
BETWEEN_KILLS_SECONDS = (0.2, 2.5)
RANKS = 4
STEP_SECONDS = 0.02
LINES = (
    ("NVRM: Xid (PCI:0000:1b:00): 94, pid={n}, name=python3, Ch 00000008", "xid", 94),
    ("NVRM: Xid (PCI:0000:2b:00): 31, pid={n}, name=python3, Ch 00000008, intr 00000000.", "xid", 31),
    (
        "NVRM: Xid (PCI:0000:3b:00): 48, pid={n}, name=python3, An uncorrectable double bit error has occurred",
        "xid",
        48,
    ),
    ("nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 20034, Fatal, Link {n} LTSSM Fault Up", "sxid", 20034),
)


class Load:
    """Clients that step, a plain poster that notes what was acknowledged, a kernel that prints, an onlooker."""

    def __init__(self, watched: Watched, seed: int = 1) -> None:
        self.watched = watched
        self.acked: list[int] = []
        """Steps of run ``plain`` that the daemon said it keeps."""
        self.seen: set[str] = set()
        """Ids of incidents that the daemon answered from its store."""
        self.shown: set[tuple[str, str]] = set()
        """(root, code) of incidents that its state ever showed."""
        self.written: Counter[tuple[str, int]] = Counter()
        self.stepped = [0] * RANKS
        self._over = threading.Event()
        self._random = random.Random(seed)
        self._threads = [threading.Thread(target=work) for work in (self._post, self._print, self._look)]
        self._threads += [threading.Thread(target=self._step, args=(rank,)) for rank in range(RANKS)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(60)

    def _step(self, rank: int) -> None:
        client = Client(run="trained", rank=rank, world_size=RANKS, socket_path=self.watched.socket)
        client.begin()
        while not self._over.wait(STEP_SECONDS):
            client.step(self.stepped[rank], tokens=4096, loss=2.0, grad_norm=1.0)
            self.stepped[rank] += 1
        client.end("done", wait_seconds=40)
        assert client.health.num_dropped == 0

    def _post(self) -> None:
        step = 0
        while not self._over.wait(0.01):
            steps = range(step, step + 10)
            body = {"steps": [{"run": "plain", "rank": 0, "step": step, "at": time.time()} for step in steps]}
            try:
                is_kept = self.watched.ask("/v1/steps", body)["type"] == "kept"
            except NoAnswerError:
                continue
            assert is_kept
            self.acked += steps
            step = steps.stop

    def _print(self) -> None:
        number = 0
        while not self._over.wait(self._random.uniform(0.0, 0.04)):
            line, kind, code = self._random.choice(LINES)
            copies = self._random.choice((1, 1, 1, 7))
            self.watched.write(*(line.format(n=number + i) for i in range(copies)))
            number += copies
            self.written[kind, code] += copies

    def _look(self) -> None:
        while not self._over.wait(0.1):
            try:
                kept, state = self.watched.ask("/v1/incidents"), self.watched.ask("/v1/state")
            except NoAnswerError:
                continue
            self.seen |= {incident["id"] for incident in kept["incidents"]}
            self.shown |= {(incident["root"], incident["root_code"]) for incident in state["incidents"]}


def counted(watched: Watched) -> Counter[tuple[str, int]]:
    """Lines by (kind, code), as the daemon's exporter counts them."""
    found: Counter[tuple[str, int]] = Counter()
    for line in watched.ask("/metrics").splitlines():
        for unit, kind in (("gpu", "xid"), ("switch", "sxid")):
            if line.startswith(f"fryer_{unit}_{kind}_events_total{{"):
                code = int(line.partition(f',{kind}="')[2].partition('"')[0])
                found[kind, code] += int(float(line.rpartition(" ")[2]))
    return found


def in_incidents(watched: Watched) -> int:
    """Lines in all incidents; one that was merged into another is in that one."""
    incidents = watched.ask("/v1/state")["incidents"]
    return sum(one["count"] for one in incidents if not one["closed_because"].startswith("merged"))


def look_at_what_is_left(watched: Watched, load: Load, folder: Path, since: int) -> None:
    """In a copy, so that the next daemon has to recover the file by itself."""
    acked, seen = load.acked[since:], set(load.seen)
    shutil.copytree(watched.state, folder)
    with closing(sqlite3.connect(folder / watched.database().name)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    store = Store.open(folder)
    log = WatchLog(store)
    kept = {step.step for step in log.steps("plain", min(acked, default=0), 10**6)}
    assert set(acked) <= kept
    assert seen <= {incident.id for incident in log.incidents(0.0, 10**6)}
    store.engine.dispose()
    shutil.rmtree(folder)


@pytest.mark.timeout(1800)
def test_what_was_acknowledged_survives_every_kill_and_each_line_counts_once(watched: Watched, tmp_path: Path) -> None:
    draw, checked = random.Random(2), 0
    with Load(watched) as load:
        for number in range(KILLS):
            time.sleep(draw.uniform(*BETWEEN_KILLS_SECONDS))
            acked = len(load.acked)
            watched.kill()
            look_at_what_is_left(watched, load, tmp_path / f"left{number}", checked)
            checked = acked
            watched.start()
    wait_until("every line counted", lambda: counted(watched) == load.written, 20)
    assert in_incidents(watched) == load.written.total()
    shown = {(one["root"], one["root_code"]) for one in watched.ask("/v1/state")["incidents"]}
    assert load.shown <= shown
    code, _ = watched.stop()
    assert code == 0
    log = WatchLog(Store.open(watched.state))
    for rank in range(RANKS):
        kept = [step.step for step in log.steps("trained", 0, 10**7) if step.rank == rank]
        assert sorted(kept) == list(range(load.stepped[rank]))
    assert load.acked
    say(
        f"{KILLS} kills: {sum(load.stepped)} steps of {RANKS} clients, {len(load.acked)} acknowledged one by one, "
        f"{sum(load.written.values())} kernel lines, {len(load.seen)} incidents; none lost, none twice; "
        f"a start takes {statistics.median(watched.started_seconds):.2f} s (longest {max(watched.started_seconds):.2f})"
    )
