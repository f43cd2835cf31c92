"""The unit as it is shipped, but for the program and shorter times, under a real systemd as PID 1."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from watchdog.unit_file import UNIT, unit_text

DROP_IN = """[Service]
ExecStart=
ExecStart=/opt/fryer/venv/bin/python /opt/fryer/source/tests/deploy/systemd/notifier.py
Environment=PYTHONPATH=/opt/fryer/source
WatchdogSec=2
TimeoutAbortSec=1
RestartSec=100ms
"""


@pytest.fixture
def service(machine: Any) -> Iterator[Any]:
    machine.install(UNIT, unit_text(Path("/opt/fryer/venv/bin/fryer"), "fryer"), DROP_IN)
    machine.start(UNIT)
    yield machine
    machine.systemctl("stop", UNIT)
    machine.systemctl("reset-failed")


def test_start_waits_until_it_is_ready_and_shows_its_word(service: Any) -> None:
    assert service.show(UNIT, "ActiveState") == "active"
    assert service.show(UNIT, "StatusText") == "watching 8 GPUs"
    assert service.show(UNIT, "NRestarts") == "0"


def test_it_can_do_what_a_reader_of_hardware_must_and_no_more(service: Any) -> None:
    """But for devices: what DevicePolicy forbids is not forbidden in a container without that control group."""
    found = json.loads((service.root / "var/lib/fryer/abilities.json").read_text())
    assert found == {
        "kmsg": "ok",
        "gpu": "ENXIO",  # allowed, and no driver is there to answer
        "sysfs": "ok",
        "pressure": "ok",
        "process of root": "ok",
        "program": "ok",
        "library": "ok",
        "database": "ok",
        "run": "ok",
        "etc": "EROFS",
        "kernel setting": "EROFS",
        "clock": "EPERM",
    }


def test_its_folders_are_its_own(service: Any) -> None:
    listed = service.run("stat", "--format=%U %a %n", "/var/lib/fryer", "/run/fryer")
    assert listed.splitlines() == ["fryer 750 /var/lib/fryer", "fryer 755 /run/fryer"]


def freeze(service: Any, how: str) -> str:
    """Stop the beats of the one that runs; its journal once another one is active."""
    before = service.show(UNIT, "MainPID")
    service.run("sh", "-c", f"printf {how} >/run/fryer/freeze")  # systemd empties the folder when it starts anew
    return restarted(service, before)


def restarted(service: Any, before: str) -> str:
    service.wait(UNIT, "MainPID", lambda found: found not in ("0", before))
    service.wait(UNIT, "ActiveState", lambda found: found == "active")
    journal: str = service.journal(UNIT)
    return journal[journal.rindex(f"process {before} ") if f"process {before} " in journal else 0 :]


def test_one_that_no_longer_beats_is_aborted_and_started_again(service: Any) -> None:
    journal = freeze(service, "quiet")
    assert "with signal SIGABRT" in journal
    assert "code=killed, status=6/ABRT" in journal
    assert "Failed with result 'watchdog'" in journal


def test_one_that_does_not_hear_the_abort_is_killed_and_started_again(service: Any) -> None:
    journal = freeze(service, "deaf")
    assert "with signal SIGKILL" in journal
    assert "code=killed, status=9/KILL" in journal
    assert "Failed with result 'watchdog'" in journal


def test_one_that_is_stopped_by_a_signal_is_aborted_and_started_again(service: Any) -> None:
    before = service.show(UNIT, "MainPID")
    service.systemctl("kill", "--kill-whom=main", "--signal=STOP", UNIT)
    assert "Failed with result 'watchdog'" in restarted(service, before)


def test_one_that_is_killed_is_started_again(service: Any) -> None:
    before = service.show(UNIT, "MainPID")
    service.systemctl("kill", "--signal=KILL", UNIT)
    assert "Failed with result 'signal'" in restarted(service, before)


def test_a_stop_lets_it_end_by_itself_and_does_not_start_it_again(service: Any) -> None:
    stopped = service.root / "var/lib/fryer/stopped"
    stopped.unlink(missing_ok=True)
    service.systemctl("stop", UNIT)
    assert service.show(UNIT, "ActiveState") == "inactive"
    assert service.show(UNIT, "Result") == "success"
    assert stopped.exists()
