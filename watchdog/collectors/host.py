"""One look at the host: who else wants the processors, how fast they run, and how much memory is free."""

import os
from dataclasses import dataclass
from pathlib import Path

import psutil

from watchdog.collectors.readings import HostReading

_MICRO = 1e-6


@dataclass(frozen=True, slots=True)
class _Times:
    """Processor seconds since boot, and time on the run's clock."""

    at_seconds: float
    total: float
    busy: float
    steal: float
    ours: float
    pressure_seconds: float | None
    real_seconds: float


class HostReader:
    """Reads what happened since its last look; the first look has no ratios."""

    def __init__(self, root: Path = Path("/")) -> None:
        """`root`: where proc and sys are found."""
        self._root = root
        self._last: _Times | None = None
        self._process_times: dict[int, float] = {}
        self._ended = 0.0

    def read(self, at_seconds: float) -> HostReading:
        """One look; `at_seconds` is copied into it."""
        now = self._times(at_seconds)
        last, self._last = self._last, now
        total = now.total - last.total if last else 0.0
        pressure = None
        if last and now.pressure_seconds is not None and last.pressure_seconds is not None:
            waited = now.real_seconds - last.real_seconds
            pressure = _ratio(now.pressure_seconds - last.pressure_seconds, waited)
        return HostReading(
            at_seconds=at_seconds, pressure_some_ratio=pressure,
            others_ratio=_ratio(now.busy - last.busy - (now.ours - last.ours), total) if last else None,
            steal_ratio=_ratio(now.steal - last.steal, total) if last else None,
            clock_hertz=self._clock_hertz(), memory_available_bytes=self._memory_available())

    def _times(self, at_seconds: float) -> _Times:
        words = (self._text("proc/stat") or "cpu 0").splitlines()[0].split()[1:9]
        ticks = [int(word) / os.sysconf("SC_CLK_TCK") for word in words] + [0.0] * 8
        user, nice, system, _, _, irq, softirq, steal = ticks[:8]
        uptime = self._text("proc/uptime")
        return _Times(
            at_seconds=at_seconds, total=sum(ticks[:8]), busy=user + nice + system + irq + softirq, steal=steal,
            ours=self._our_seconds(), pressure_seconds=self._pressure_seconds(),
            real_seconds=float(uptime.split()[0]) if uptime else 0.0)

    def _our_seconds(self) -> float:
        """Processor seconds of our own process tree. A child that ended keeps what it had used when last seen."""
        me = psutil.Process()
        seen: dict[int, float] = {}
        for process in [me, *me.children(recursive=True)]:
            try:
                times = process.cpu_times()
            except psutil.Error:
                continue
            seen[process.pid] = times.user + times.system
        self._ended += sum(used for pid, used in self._process_times.items() if pid not in seen)
        self._process_times = seen
        return self._ended + sum(seen.values())

    def _pressure_seconds(self) -> float | None:
        """Total time in which some task waited for a processor (Linux, Documentation/accounting/psi.rst)."""
        for line in (self._text("proc/pressure/cpu") or "").splitlines():
            if line.startswith("some "):
                return int(line.rpartition("total=")[2]) * _MICRO
        return None

    def _clock_hertz(self) -> float | None:
        """Mean of what /proc/cpuinfo calls MHz."""
        lines = (self._text("proc/cpuinfo") or "").splitlines()
        clocks = [float(line.partition(":")[2]) for line in lines if line.startswith("cpu MHz")]
        return sum(clocks) / len(clocks) * 1e6 if clocks else None

    def _memory_available(self) -> int | None:
        for line in (self._text("proc/meminfo") or "").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return None

    def _text(self, name: str) -> str | None:
        try:
            return (self._root / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None


def _ratio(part: float, whole: float) -> float | None:
    """`part` of `whole` within 0 and 1; None when nothing passed."""
    return min(1.0, max(0.0, part / whole)) if whole > 0 else None
