"""How far this node's clock may be off: chrony's word where it runs, else the kernel's (adjtimex); and its steps.

chronyd steers the clock by its rate and leaves the kernel's offset at 0, so its own figure goes first. An offset of a
clock that nothing synchronises is not known, and is absent.
"""

import ctypes
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

from watchdog.collectors import Collected
from watchdog.vocabulary.errors import SourceFailed, SourceMissing
from watchdog.vocabulary.samples import Row
from watchdog.vocabulary.subjects import Subject

_STA_UNSYNC, _STA_NANO = 0x0040, 0x2000
_TIME_ERROR = 5
"""linux/timex.h"""
_MICRO, _NANO = 1e-6, 1e-9
_TRACKING_COLUMNS = 14
"""`chronyc -c tracking`: reference id, name, stratum, reference time, offset, last offset, RMS offset, frequency,
residual, skew, root delay, root dispersion, update interval, leap status (chronyc(1))."""


class _Timex(ctypes.Structure):
    """``struct timex`` of 64-bit Linux (adjtimex(2))."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("time_seconds", ctypes.c_long),
        ("time_fraction", ctypes.c_long),
        ("tick", ctypes.c_long),
        ("padding", ctypes.c_long * 32),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelClock:
    """What adjtimex tells; reading it needs no right."""

    state: int
    """What the call returned: `TIME_OK` 0 to `TIME_ERROR` 5."""
    status: int
    offset: int
    """Microseconds, or nanoseconds with `STA_NANO`."""
    max_error_microseconds: int
    estimated_error_microseconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`[watchdog.collectors.clock]`."""

    chronyc: str = "chronyc"
    """Program that asks chronyd; empty: only the kernel is asked."""
    deadline_seconds: float = 3.0


class ClockSkew:
    """The clock of this node."""

    def __init__(
        self,
        node: str,
        settings: Settings | None = None,
        read_kernel: Callable[[], KernelClock] | None = None,
        read_clocks: Callable[[], tuple[float, float]] | None = None,
    ) -> None:
        """`read_kernel` and `read_clocks` (seconds since 1970, seconds since boot) stand for the kernel in tests."""
        self._node = Subject(node)
        self._settings = settings or Settings()
        self._read_kernel = read_kernel or read_kernel_clock
        self._read_clocks = read_clocks or _clocks
        self._ahead: float | None = None
        self._told: dict[str, object] = {}

    def collect(self, now: float) -> Collected:
        """One look. Raises `SourceMissing` where neither tells anything, `SourceFailed` where chronyd is silent.

        `clock_step_seconds` is how far the clock was set since the last look, apart from the passing of time.
        """
        wall, boot = self._read_clocks()
        values = {} if self._ahead is None else {"clock_step_seconds": wall - boot - self._ahead}
        self._ahead = wall - boot
        tracking = self._tracking()
        # The kernel is asked only then: a hardened service (ProtectClock) may ask chronyd and not adjtimex.
        values |= kernel_values(self._read_kernel()) if tracking is None else tracking_values(tracking)
        known: dict[str, object] = {"clock_source": "kernel" if tracking is None else "chrony"}
        facts = {self._node: known} if known != self._told else {}
        self._told = known
        return Collected(rows=(Row(subject=self._node, at=now, values=values),), facts=facts)

    def close(self) -> None:
        """Nothing is held."""

    def _tracking(self) -> str | None:
        """chrony's line; None where there is no chronyc, or no chronyd for it to ask."""
        if not self._settings.chronyc:
            return None
        try:
            done = subprocess.run(
                [self._settings.chronyc, "-c", "-n", "tracking"],
                capture_output=True,
                text=True,
                timeout=self._settings.deadline_seconds,
                stdin=subprocess.DEVNULL,
                check=False,
            )
        except (FileNotFoundError, PermissionError):
            return None
        except subprocess.TimeoutExpired as error:
            seconds = self._settings.deadline_seconds
            raise SourceFailed(f"clock: chronyc did not answer within {seconds:g} s; is chronyd hung?") from error
        return done.stdout.strip() if done.returncode == 0 else None


def read_kernel_clock() -> KernelClock:
    """Ask the kernel, changing nothing; raises `SourceMissing` where it does not allow or know the call."""
    timex = _Timex(modes=0)
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    if state < 0:
        why = os.strerror(ctypes.get_errno())
        raise SourceMissing(f"clock: no chronyd answers, and adjtimex says {why!r} here; run chronyd")
    return KernelClock(
        state=state,
        status=timex.status,
        offset=timex.offset,
        max_error_microseconds=timex.maxerror,
        estimated_error_microseconds=timex.esterror,
    )


def kernel_values(clock: KernelClock) -> dict[str, float]:
    """Offset and errors in seconds; no offset while nothing synchronises the clock.

    An offset above 0 is a clock that is ahead; the kernel's is what is still to be added, so it has the other sign.
    """
    is_synchronised = clock.state != _TIME_ERROR and not clock.status & _STA_UNSYNC
    values = {
        "clock_synchronised": float(is_synchronised),
        "clock_max_error_seconds": clock.max_error_microseconds * _MICRO,
    }
    if is_synchronised:
        values["clock_offset_seconds"] = -clock.offset * (_NANO if clock.status & _STA_NANO else _MICRO)
        values["clock_estimated_error_seconds"] = clock.estimated_error_microseconds * _MICRO
    return values


def tracking_values(line: str) -> dict[str, float]:
    """Of `chronyc -c tracking`; raises `SourceFailed` for another line.

    An offset above 0 is a clock that is ahead; chrony calls that one "fast" and prints it below 0. Greatest error:
    offset, root dispersion and half the root delay (chronyc(1), "tracking").
    """
    columns = line.split(",")
    try:
        if len(columns) < _TRACKING_COLUMNS:
            raise ValueError(f"{len(columns)} columns")
        offset, rms, root_delay, root_dispersion = (float(columns[column]) for column in (4, 6, 10, 11))
    except ValueError as error:
        raise SourceFailed(f"clock: {line[:200]!r} is not what chronyc -c tracking prints ({error})") from error
    if columns[13] == "Not synchronised":
        return {"clock_synchronised": 0.0}
    return {
        "clock_synchronised": 1.0,
        "clock_offset_seconds": -offset,
        "clock_max_error_seconds": abs(offset) + root_dispersion + root_delay / 2,
        "clock_estimated_error_seconds": rms,
    }


def _clocks() -> tuple[float, float]:
    return time.time(), time.clock_gettime(time.CLOCK_BOOTTIME)
