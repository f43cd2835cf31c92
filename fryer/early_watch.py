"""Looks now and then whether a node that burns fails so clearly that its burns may end. The runner asks it.

It decides nothing of its own: `fryer.early_stop` says what is clear, on what the last minute brought.
"""

import time
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import TypeVar

from fryer.early_stop import SOAK_SECONDS, WINDOW_SECONDS, clear_failures, is_worth
from fryer.evidence import NodeEvidence
from fryer.hardware import Hardware
from fryer.plan import Plan
from fryer.records import Mismatch, Point, Problem, Record
from fryer.steady import measure
from fryer.telemetry import Seen
from watchdog.collectors.readings import GpuReading

LOOK_SECONDS = 1.0
"""Between two looks, in real time."""

_Stamped = TypeVar("_Stamped", Point, Mismatch, GpuReading)


class EarlyWatch:
    """Of one node. Seconds are of the run's clock."""

    def __init__(self, plan: Plan, hardware: Hardware) -> None:
        self._plan = plan
        self._hardware = hardware
        self._began: float | None = None
        self._looked = time.monotonic()

    def note(self, record: Record) -> None:
        """From the first thing that was measured on the node soaks."""
        if self._began is None and not isinstance(record, Problem):
            self._began = self._hardware.clock.now()

    def look(
        self, points: Sequence[Point], mismatches: Sequence[Mismatch], problems: Sequence[Problem], seen: Seen
    ) -> tuple[Problem, ...]:
        """The clear failures so far; empty too where a look is not due, or an early end would save nothing."""
        if not self._plan.has_early_stop or time.monotonic() - self._looked < LOOK_SECONDS or self._began is None:
            return ()
        self._looked = time.monotonic()
        now = self._hardware.clock.now()
        burnt = now - self._began
        if burnt < SOAK_SECONDS or not is_worth(self._plan.seconds - burnt):
            return ()
        names = {info.uuid: info.name for info in self._hardware.infos}
        return clear_failures(
            NodeEvidence(
                node=self._hardware.node,
                devices=self._hardware.infos,
                versions={},
                measurements=tuple(measure(_since(points, now - WINDOW_SECONDS))),
                mismatches=tuple(mismatches),
                problems=tuple(problems),
                gpu_readings=_readings(seen, names, now - WINDOW_SECONDS),
                xids=tuple(seen.xids),
                gpu_processes=self._hardware.processes,
            )
        )


def stopped_by(failures: Sequence[Problem]) -> str:
    """What ended the run, for `NodeEvidence.interrupted`."""
    devices = ", ".join(dict.fromkeys(problem.device for problem in failures))
    return f"a clear failure of {devices} (--no-early-stop burns on)"


def _readings(seen: Seen, names: Mapping[str, str], since: float) -> dict[str, tuple[GpuReading, ...]]:
    """The reader's thread goes on meanwhile: lists are copied whole before they are looked at."""
    return {names[uuid]: tuple(_since(list(own), since)) for uuid, own in list(seen.gpus.items()) if uuid in names}


def _since(stamped: Sequence[_Stamped], since: float) -> list[_Stamped]:
    """The last ones; they come about in order of time."""
    return list(takewhile(lambda one: one.at_seconds >= since, reversed(stamped)))[::-1]
