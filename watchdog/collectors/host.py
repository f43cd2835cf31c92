"""One look at the host: who else wants the processors, how fast they run, and how much memory is free. Linux only."""

import os
from dataclasses import dataclass
from pathlib import Path

from watchdog.collectors.readings import HostReading

_MICRO = 1e-6
_MEGA = 1e6
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class _Totals:
    """Running totals in seconds; None where the kernel does not tell."""

    processors: float | None
    """Processor time that passed, idle or not, over all processors."""
    busy: float
    steal: float
    ours: float
    pressure: float | None
    uptime: float | None


class HostReader:
    """Reads what happened since its last look; the first look has no ratios."""

    def __init__(self, root: Path = Path("/"), pid: int | None = None) -> None:
        """`root`: where proc and sys are found. `pid`: head of the tree of processes that are ours; default: this."""
        self._root = root
        self._pid = os.getpid() if pid is None else pid
        self._last: _Totals | None = None

    def read(self, at_seconds: float) -> HostReading:
        """One look; `at_seconds` is copied into it. Takes a few milliseconds for a thousand processes."""
        now, last = self._totals(), self._last
        self._last = now
        return HostReading(
            at_seconds=at_seconds,
            pressure_some_ratio=_pressure(last, now),
            others_ratio=_others(last, now),
            steal_ratio=_steal(last, now),
            clock_hertz=self._clock_hertz(),
            memory_available_bytes=self._available(),
        )

    def _totals(self) -> _Totals:
        line = (self._text("proc/stat") or "").partition("\n")[0].split()
        # user nice system idle iowait irq softirq steal; guest time is already in user (proc_stat(5))
        ticks = [int(word) / _TICKS for word in line[1:9]] if len(line) >= 9 and line[0] == "cpu" else []
        uptime = self._text("proc/uptime")
        return _Totals(
            processors=sum(ticks) if ticks else None,
            busy=sum(ticks[:3] + ticks[5:7]),
            steal=sum(ticks[7:]),
            ours=self._our_seconds(),
            pressure=self._pressure_seconds(),
            uptime=float(uptime.split()[0]) if uptime else None,
        )

    def _our_seconds(self) -> float:
        """Processor time of our process tree, ended children included: who waited for them keeps their time.

        The sum of utime, stime, cutime and cstime (proc_pid_stat(5)) over the living, so a child that was born and
        died between two looks counts too. A descendant whose parent ended before it is init's, and no longer ours.
        """
        times: dict[int, float] = {}
        children: dict[int, list[int]] = {}
        for folder in (self._root / "proc").glob("[0-9]*"):
            words = (self._text(f"proc/{folder.name}/stat") or "").rpartition(")")[2].split()
            if len(words) >= 15:  # else it ended meanwhile
                children.setdefault(int(words[1]), []).append(int(folder.name))
                times[int(folder.name)] = sum(int(word) for word in words[11:15]) / _TICKS
        total, found = 0.0, [self._pid]
        while found:
            pid = found.pop()
            total += times.get(pid, 0.0)
            found += children.get(pid, ())
        return total

    def _pressure_seconds(self) -> float | None:
        """Total time in which some task waited for a processor (Linux, Documentation/accounting/psi.rst)."""
        for line in (self._text("proc/pressure/cpu") or "").splitlines():
            if line.startswith("some "):
                return int(line.rpartition("total=")[2]) * _MICRO
        return None

    def _clock_hertz(self) -> float | None:
        """Mean over processors: /proc/cpuinfo where it has clocks (x86), else cpufreq (kHz), which is a file each."""
        lines = (self._text("proc/cpuinfo") or "").splitlines()
        clocks = [float(line.partition(":")[2]) * _MEGA for line in lines if line.startswith("cpu MHz")]
        if not clocks:
            files = (self._root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_cur_freq")
            texts = [self._text(str(file.relative_to(self._root))) for file in files]
            clocks = [int(text) * 1e3 for text in texts if text and text.strip().isdigit()]
        return sum(clocks) / len(clocks) if clocks else None

    def _available(self) -> int | None:
        for line in (self._text("proc/meminfo") or "").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return None

    def _text(self, name: str) -> str | None:
        try:
            return (self._root / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None


def _pressure(last: _Totals | None, now: _Totals) -> float | None:
    if last is None or last.pressure is None or now.pressure is None or last.uptime is None or now.uptime is None:
        return None
    return _ratio(now.pressure - last.pressure, now.uptime - last.uptime)


def _others(last: _Totals | None, now: _Totals) -> float | None:
    if last is None or last.processors is None or now.processors is None:
        return None
    ours = max(0.0, now.ours - last.ours)  # falls when a process of ours ends without being waited for
    return _ratio(now.busy - last.busy - ours, now.processors - last.processors)


def _steal(last: _Totals | None, now: _Totals) -> float | None:
    if last is None or last.processors is None or now.processors is None:
        return None
    return _ratio(now.steal - last.steal, now.processors - last.processors)


def _ratio(part: float, whole: float) -> float | None:
    """`part` of `whole` within 0 and 1; None when nothing passed."""
    return min(1.0, max(0.0, part / whole)) if whole > 0 else None
