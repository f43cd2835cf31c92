"""Starts and ends that are out of the ordinary: under load, over a damaged database, without GPUs, as anybody."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from loaded import LINES, Load, counted
from watched import FRYER, Watched, say, wait_until

from watchdog.store import Store, WatchLog

Make = Callable[..., Watched]
NOBODY = 65534
STOP_SECONDS = 5.0
XID_79 = "NVRM: Xid (PCI:0000:4b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."


def test_sigterm_under_load_ends_in_order_and_the_next_daemon_goes_on(watched: Watched) -> None:
    watched.write(XID_79)
    wait_until("a signal", lambda: watched.ask("/v1/state")["signal"])
    application_errors = tuple(line for line in LINES if line[2] == 31)  # they ask for no repair
    with Load(watched, application_errors) as load:
        load.written["xid", 79] += 1
        wait_until("acknowledged steps", lambda: len(load.acked) > 20)
        before = watched.ask("/v1/state")
        code, seconds = watched.stop()
        acked = set(load.acked)
        assert acked <= {step.step for step in WatchLog(Store.open(watched.kept)).steps("plain", 0, 10**6)}
        watched.start()
        wait_until("a first judgement", lambda: watched.ask("/v1/state")["signal"])
        after = watched.ask("/v1/state")
    assert (code, seconds < STOP_SECONDS) == (0, True)
    assert {one["id"] for one in before["incidents"]} <= {one["id"] for one in after["incidents"]}
    assert {(one["code"], one["subject"]) for one in before["findings"]} <= {
        (one["code"], one["subject"]) for one in after["findings"]
    }
    assert after["signal"]["id"] == before["signal"]["id"]
    assert (before["severity"], after["severity"]) == ("FAIL", "FAIL")
    wait_until("each line counted once", lambda: counted(watched) == load.written, 20)
    say(f"SIGTERM under load: exit 0 after {seconds:.2f} s, {len(acked)} acknowledged steps and all else still there")


def test_a_damaged_database_is_set_aside_and_told(watched: Watched) -> None:
    wait_until("a first commit", lambda: watched.database().stat().st_size > 50_000)
    assert watched.stop()[0] == 0
    watched.database().write_bytes(b"SQLite format 3\0" + os.urandom(200_000))
    watched.start()
    finding = wait_until("the finding", lambda: watched.findings().get("store_damaged"))
    assert finding["severity"] == "WARN"
    assert Path(finding["evidence"]["path"]).stat().st_size == 200_016
    assert watched.is_intact()
    say(f"a damaged database: {finding['message']}")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that others than root can reach, unlike pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="fryer-drill-"))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("who", ["as we are", "as nobody, with a kernel log that may not be read"])
def test_without_gpus_and_rights_the_state_is_unknown_and_never_ok(
    make_watched: Make, open_folder: Path, who: str
) -> None:
    as_nobody: tuple[str, ...] = ()
    if who != "as we are" and os.geteuid() == 0:
        as_nobody = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    watched = make_watched(
        folder=open_folder,
        scenario="",
        before=as_nobody,
        user=NOBODY if as_nobody else None,
        environment={"HOME": str(open_folder)},
    )
    if who != "as we are":
        watched.kmsg.chmod(0)
    watched.start()
    collectors = wait_until("collectors were called", lambda: looked(watched))
    wait_until("a first judgement", watched.findings)
    command = [*as_nobody, FRYER, "status", "--socket", watched.socket, "--json"]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=30, check=False)
    status = json.loads(done.stdout)
    assert (done.returncode, status["state"]) == (3, "UNKNOWN")
    assert any(finding["severity"] == "UNKNOWN" for finding in status["findings"])
    assert watched.stop()[0] == 0
    assert watched.is_intact()
    missing = [name for name, collector in collectors.items() if collector["is_missing"]]
    say(f"{who}: {status['state']}, {[finding['code'] for finding in status['findings']]}, missing: {missing}")


def looked(watched: Watched) -> dict[str, dict] | None:
    collectors = {one["name"]: one for one in watched.ask("/v1/state")["collectors"]}
    return collectors if all(one["num_calls"] for one in collectors.values()) else None
