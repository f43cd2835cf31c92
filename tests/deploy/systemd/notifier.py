"""A tiny daemon for the unit: ready, a beat at each turn unless there is a file `FREEZE`, and what it may do."""

import ctypes
import errno
import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from watchdog import systemd

FREEZE = Path("/run/fryer/freeze")


def outcome(act: Callable[[], object]) -> str:
    """``ok``, or the name of the error."""
    try:
        act()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "?")
    return "ok"


def kernel_record() -> None:
    with Path("/dev/kmsg").open("rb", buffering=0) as ring:
        assert ring.read(16384)


def set_clock() -> None:
    time.clock_settime(time.CLOCK_REALTIME, time.time())


def database() -> None:
    with sqlite3.connect(Path(os.environ["FRYER_STATE_DIRECTORY"]) / "test.db") as store:
        store.execute("pragma journal_mode = wal")
        store.execute("create table if not exists runs (at real)")
        store.execute("insert into runs values (?)", (time.time(),))


def abilities() -> dict[str, str]:
    """What a reader of hardware needs, and what it must not have."""
    return {
        "kmsg": outcome(kernel_record),
        "gpu": outcome(lambda: os.open("/dev/nvidia0", os.O_RDWR)),
        "sysfs": outcome(lambda: list(Path("/sys/devices").iterdir())),
        "pressure": outcome(lambda: Path("/proc/pressure/cpu").read_text()),
        "process of root": outcome(lambda: Path("/proc/1/stat").read_text()),
        "program": outcome(lambda: subprocess.run(["/bin/true"], check=True)),
        "library": outcome(lambda: ctypes.CDLL("libc.so.6").getpid()),
        "database": outcome(database),
        "run": outcome(lambda: Path("/run/fryer/test").write_text("x")),
        "etc": outcome(lambda: Path("/etc/test").write_text("x")),
        "kernel setting": outcome(lambda: Path("/proc/sys/kernel/panic").write_text("1")),
        "clock": outcome(set_clock),
    }


def main() -> None:
    seconds = systemd.heartbeat_seconds()
    assert seconds is not None
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: ended.append(number))
    Path("/var/lib/fryer/abilities.json").write_text(json.dumps(abilities()))
    systemd.ready("watching 8 GPUs")
    while not ended:
        if not FREEZE.exists():
            systemd.beat()
        elif FREEZE.read_text() == "deaf":
            signal.signal(signal.SIGABRT, signal.SIG_IGN)
        time.sleep(seconds / 4)
    systemd.stopping("stopped on request")
    Path("/var/lib/fryer/stopped").write_text("")


if __name__ == "__main__":
    main()
