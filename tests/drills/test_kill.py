"""The daemon is killed (SIGKILL) over and over under load: what it acknowledged is there, and nothing comes twice."""

import random
import shutil
import sqlite3
import statistics
import time
from contextlib import closing
from pathlib import Path

import pytest
from loaded import RANKS, Load, counted
from watched import IS_LONG, Watched, say, wait_until

from watchdog.store import Store, WatchLog

KILLS = 100 if IS_LONG else 5
BETWEEN_KILLS_SECONDS = (0.2, 2.5)


def in_incidents(log: WatchLog) -> int:
    """Lines in all incidents of the kernel log ever; one that was merged into another is in that one.

    From the store: the state shows the newest 256 closed ones only, and people close them faster here.
    """
    incidents = [one for one in log.incidents(0.0, 10**6) if one.root_code.startswith(("xid", "sxid"))]
    return sum(one.count for one in incidents if not one.closed_because.startswith("merged"))


def look_at_what_is_left(watched: Watched, load: Load, folder: Path, since: int) -> None:
    """In a copy, so that the next daemon has to recover the file by itself."""
    acked, seen, marked = load.acked[since:], set(load.seen), load.marked[-5:]
    shutil.copytree(watched.kept, folder)
    with closing(sqlite3.connect(folder / watched.database().name)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    store = Store.open(folder)
    log = WatchLog(store)
    kept = {step.step for step in log.steps("plain", min(acked, default=0), 10**6)}
    assert set(acked) <= kept
    assert seen <= {incident.id for incident in log.incidents(0.0, 10**6)}
    assert all(log.incident(name)[1] for name in marked)
    store.engine.dispose()
    shutil.rmtree(folder)


@pytest.mark.timeout(1800)
def test_what_was_acknowledged_survives_every_kill_and_each_line_counts_once(watched: Watched, tmp_path: Path) -> None:
    draw, checked = random.Random(2), 0
    with Load(watched, marks=True) as load:
        for number in range(KILLS):
            time.sleep(draw.uniform(*BETWEEN_KILLS_SECONDS))
            acked = len(load.acked)
            watched.kill()
            look_at_what_is_left(watched, load, tmp_path / f"left{number}", checked)
            checked = acked
            watched.start()
    wait_until("every line counted", lambda: counted(watched) == load.written, 20)
    roots = {one["root"] for one in watched.ask("/v1/state")["incidents"] if one["root_code"] == "xid_94"}
    assert len(roots) == 1  # by its UUID, also in lines that were there before NVML was
    shown = {(one["root"], one["root_code"]) for one in watched.ask("/v1/state")["incidents"]}
    assert load.shown <= shown
    code, _ = watched.stop()
    assert code == 0
    log = WatchLog(Store.open(watched.kept))
    assert in_incidents(log) == load.written.total()
    for rank in range(RANKS):
        kept = [step.step for step in log.steps("trained", 0, 10**7) if step.rank == rank]
        assert sorted(kept) == list(range(load.stepped[rank]))
    assert load.acked
    assert load.marked
    starts = watched.started_seconds
    say(
        f"{KILLS} kills: {sum(load.stepped)} steps of {RANKS} clients, {len(load.acked)} acknowledged one by one, "
        f"{load.written.total()} kernel lines, {len(load.seen)} incidents, {len(load.marked)} closed by a person; none "
        f"lost, none twice; a start takes {statistics.median(starts):.2f} s (longest {max(starts):.2f})"
    )
