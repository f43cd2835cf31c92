"""What the daemon tells systemd: ready, alive, stopping. Nothing happens where systemd did not ask (no NOTIFY_SOCKET).

The protocol is a datagram of ``KEY=VALUE`` lines (sd_notify(3)). A beat is sent by the loop itself, never by a thread
beside it: one that beats while the loop hangs is worse than none.
"""

import logging
import os
import socket
import time

log = logging.getLogger(__name__)


def ready(status: str = "") -> bool:
    """Started: until this, ``systemctl start`` waits."""
    return notify("READY=1", *_status(status))


def show(status: str) -> bool:
    """One line for ``systemctl status``."""
    return notify(*_status(status))


def beat() -> bool:
    """The loop goes round. To be sent at least every `heartbeat_seconds`."""
    return notify("WATCHDOG=1")


def stopping(status: str = "") -> bool:
    """Shutting down on purpose."""
    return notify("STOPPING=1", *_status(status))


def reloading() -> bool:
    """Reading the settings anew; `ready` ends it. The time is what Type=notify-reload asks for."""
    return notify("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")


def heartbeat_seconds() -> float | None:
    """How often to `beat`: half of the unit's WatchdogSec, as sd_watchdog_enabled(3) advises; None where not asked for.

    A child that inherited the variables is not the one that is asked: WATCHDOG_PID says who is.
    """
    microseconds, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not microseconds.isdecimal() or int(microseconds) == 0:
        return None
    if pid and pid != str(os.getpid()):
        return None
    return int(microseconds) / 2e6


def notify(*lines: str) -> bool:
    """Send `lines`; whether systemd got them. Never blocks and never raises: a daemon does not die of its notices."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address or not lines:
        return False
    if address.startswith("@"):  # in the abstract namespace
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as way:
            way.setblocking(False)
            way.sendto("\n".join(lines).encode(errors="replace"), address)
    except OSError as error:
        log.warning("systemd was not told lines=%s error=%s", ",".join(lines), error)
        return False
    return True


def _status(text: str) -> tuple[str, ...]:
    """The protocol's lines end at a line break, so a text has none."""
    return (f"STATUS={' '.join(text.split())}",) if text else ()
