"""`fryer watch` itself with simulated GPUs, in the unit as it is shipped, under a real systemd as PID 1."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from watchdog.unit_file import UNIT, unit_text

FRYER = ("/opt/fryer/venv/bin/python", "/opt/fryer/venv/bin/fryer")
DROP_IN = f"""[Service]
ExecStart=
ExecStart={" ".join(FRYER)} watch --simulate healthy
Environment=PYTHONPATH=/opt/fryer/source
WatchdogSec=4
TimeoutAbortSec=1
RestartSec=100ms
"""


@pytest.fixture
def daemon(machine: Any) -> Iterator[Any]:
    machine.install(UNIT, unit_text(Path("/opt/fryer/venv/bin/fryer"), "fryer"), DROP_IN)
    machine.start(UNIT)
    yield machine
    machine.systemctl("stop", UNIT)


@pytest.mark.slow
def test_it_becomes_ready_answers_is_restarted_when_it_freezes_and_stops_cleanly(daemon: Any) -> None:
    """One test, since each start takes seconds."""
    daemon.wait(UNIT, "StatusText", lambda found: "findings" in found)
    listed = daemon.run("stat", "--format=%U %a", "/run/fryer/watchdog.sock")
    assert listed == "fryer 600"
    status = json.loads(daemon.run("env", "PYTHONPATH=/opt/fryer/source", *FRYER, "status", "--json", check=False))
    assert {"state", "findings", "incidents", "signal"} <= set(status)
    before = daemon.show(UNIT, "MainPID")
    daemon.systemctl("kill", "--kill-whom=main", "--signal=STOP", UNIT)
    daemon.wait(UNIT, "MainPID", lambda found: found not in ("0", before))
    daemon.wait(UNIT, "ActiveState", lambda found: found == "active")
    assert "Failed with result 'watchdog'" in daemon.journal(UNIT)
    daemon.systemctl("stop", UNIT)
    assert daemon.show(UNIT, "Result") == "success"
    assert daemon.run("systemctl", "is-active", UNIT, check=False) == "inactive"
