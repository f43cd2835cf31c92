"""The host from the kernel's files: processors, memory, pressure, stuck processes, memory errors, when it was booted.

Ratios are of the time since the last look, by the kernel's own clock (`/proc/uptime`), so a jump of the wall clock does
not change them; the first look has none. How full disks are is `storage`'s to read: a hung mount would hang this.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from watchdog.collectors import Collected
from watchdog.collectors.sysfs import folders, text, whole
from watchdog.vocabulary.errors import SourceFailed
from watchdog.vocabulary.samples import Row
from watchdog.vocabulary.subjects import Subject

_TICKS = os.sysconf("SC_CLK_TCK")
_MICRO, _KIBI = 1e-6, 1024
_PRESSURES = (
    ("cpu", "some", "cpu_pressure_ratio"),
    ("memory", "some", "memory_pressure_ratio"),
    ("memory", "full", "memory_pressure_full_ratio"),
    ("io", "some", "io_pressure_ratio"),
    ("io", "full", "io_pressure_full_ratio"),
)
"""Resource, line and metric (Linux, Documentation/accounting/psi.rst): share of time in which some, or all, waited."""
_MEMORY = (
    ("MemTotal", "memory_total_bytes"),
    ("MemAvailable", "memory_available_bytes"),
    ("Dirty", "memory_dirty_bytes"),
)
_MOST_NAMED = 8
"""Stuck processes that the facts name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`[watchdog.collectors.host]`."""

    procfs: Path = Path("/proc")
    sysfs: Path = Path("/sys")


@dataclass(frozen=True, slots=True)
class _Totals:
    """Running totals in seconds, by metric; what the kernel does not tell is absent."""

    uptime: float
    processors: float
    """Processor time that passed, idle or not, over all processors."""
    of_processors: dict[str, float]
    of_time: dict[str, float]


@dataclass(frozen=True, slots=True, order=True)
class _Process:
    """A process that is not to be confused with a later one of the same number."""

    pid: int
    started_ticks: int
    name: str


class HostNode:
    """This host, as a row of its node."""

    def __init__(self, node: str, settings: Settings | None = None) -> None:
        """Nothing is read before `collect`."""
        self._node = Subject(node)
        self._settings = settings or Settings()
        self._last: _Totals | None = None
        self._waiting: frozenset[_Process] = frozenset()
        self._told: dict[str, object] = {}

    def collect(self, now: float) -> Collected:
        """One look; raises `SourceFailed` where `/proc` is not to be read, which it always is on Linux."""
        totals = self._totals()
        waiting = frozenset(self._uninterruptible())
        stuck = sorted(waiting & self._waiting)
        values = {
            **_ratios(self._last, totals),
            **self._memory(),
            **self._counts(),
            "uptime_seconds": totals.uptime,
            "processes_uninterruptible": float(len(waiting)),
        }
        if self._last is not None:
            values["processes_stuck"] = float(len(stuck))
        self._last, self._waiting = totals, waiting
        known = {**self._boot(), "stuck": [f"{one.name} ({one.pid})" for one in stuck[:_MOST_NAMED]]}
        facts = {self._node: known} if known != self._told else {}
        self._told = known
        return Collected(rows=(Row(subject=self._node, at=now, values=values),), facts=facts)

    def close(self) -> None:
        """Nothing is held."""

    def _totals(self) -> _Totals:
        words = (self._text("stat") or "").partition("\n")[0].split()
        uptime = (self._text("uptime") or "").split()
        if not uptime or len(words) < 9 or words[0] != "cpu":
            raise SourceFailed(f"host: {self._settings.procfs}/stat and uptime can't be read; is it mounted?")
        # user nice system idle iowait irq softirq steal; guest time is already in user (proc_stat(5))
        ticks = [int(word) / _TICKS for word in words[1:9]]
        pressures = {metric: self._pressure(resource, line) for resource, line, metric in _PRESSURES}
        return _Totals(
            uptime=float(uptime[0]),
            processors=sum(ticks),
            of_processors={
                "cpu_busy_ratio": sum(ticks[:3] + ticks[5:]),
                "cpu_io_wait_ratio": ticks[4],
                "cpu_steal_ratio": ticks[7],
            },
            of_time={metric: seconds for metric, seconds in pressures.items() if seconds is not None},
        )

    def _pressure(self, resource: str, line: str) -> float | None:
        for found in (self._text(f"pressure/{resource}") or "").splitlines():
            if found.startswith(f"{line} "):
                return int(found.rpartition("total=")[2]) * _MICRO
        return None

    def _memory(self) -> dict[str, float]:
        lines = (line.split() for line in (self._text("meminfo") or "").splitlines())
        found = {words[0].rstrip(":"): int(words[1]) * _KIBI for words in lines if len(words) == 3}
        values = {metric: float(found[name]) for name, metric in _MEMORY if name in found}
        if "SwapTotal" in found and "SwapFree" in found:
            values["swap_total_bytes"] = float(found["SwapTotal"])
            values["swap_used_bytes"] = float(found["SwapTotal"] - found["SwapFree"])
        return values

    def _counts(self) -> dict[str, float]:
        """Load, kills for want of memory, and memory errors that the controllers counted."""
        values = {}
        load = (self._text("loadavg") or "").split()
        if load:
            values["load_1m"] = float(load[0])
        for line in (self._text("vmstat") or "").splitlines():
            if line.startswith("oom_kill "):
                values["oom_kills_total"] = float(line.split()[1])
        controllers = self._settings.sysfs / "devices/system/edac/mc"
        for file, metric in (("ce_count", "memory_corrected_total"), ("ue_count", "memory_uncorrected_total")):
            counts = [whole(folder / file) for folder in folders(controllers) if folder.name.startswith("mc")]
            known = [count for count in counts if count is not None]
            if known:
                values[metric] = float(sum(known))
        return values

    def _uninterruptible(self) -> Iterator[_Process]:
        """Processes in state D, which no signal ends: a disk, a network mount or a driver does not answer them."""
        for folder in folders(self._settings.procfs):
            if folder.name.isdigit():
                head, _, tail = (text(folder / "stat") or "").rpartition(")")
                words = tail.split()
                if len(words) >= 20 and words[0] == "D":
                    yield _Process(int(folder.name), int(words[19]), head.partition("(")[2])

    def _boot(self) -> dict[str, object]:
        booted = next(
            (line.split()[1] for line in (self._text("stat") or "").splitlines() if line.startswith("btime ")), None
        )
        found = {
            "boot_id": self._text("sys/kernel/random/boot_id"),
            "kernel": self._text("sys/kernel/osrelease"),
            "booted_at": float(booted) if booted else None,
        }
        return {name: value for name, value in found.items() if value}

    def _text(self, name: str) -> str | None:
        return text(self._settings.procfs / name)


def _ratios(last: _Totals | None, now: _Totals) -> dict[str, float]:
    if last is None or now.uptime <= last.uptime:
        return {}
    found = {}
    for before, after, passed in (
        (last.of_processors, now.of_processors, now.processors - last.processors),
        (last.of_time, now.of_time, now.uptime - last.uptime),
    ):
        for metric, seconds in after.items():
            if metric in before and passed > 0:
                found[metric] = min(1.0, max(0.0, (seconds - before[metric]) / passed))
    return found
