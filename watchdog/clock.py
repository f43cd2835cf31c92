"""The run's clock: seconds since the start, real, or faster than real in a simulation."""

import time
from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    """Seconds since the start of the run, and a sleep in the same seconds."""

    def now(self) -> float:
        """Seconds since the start."""

    def sleep(self, seconds: float) -> None:
        """Block for `seconds` of this clock."""


@dataclass(frozen=True, slots=True)
class RunClock:
    """A clock that starts at `origin` and runs `speed` times as fast as the machine's monotonic clock.

    CLOCK_MONOTONIC is one clock for all processes of a machine, so a copy sent to a worker agrees with the parent's.
    """

    origin: float
    """`time.monotonic()` at the start of the run."""
    speed: float = 1.0
    """Seconds of this clock in a real second; other than 1 only in a simulation."""

    @classmethod
    def start(cls, speed: float = 1.0) -> "RunClock":
        """A clock that reads 0 now."""
        return cls(origin=time.monotonic(), speed=speed)

    def now(self) -> float:
        """Seconds since the start."""
        return (time.monotonic() - self.origin) * self.speed

    def sleep(self, seconds: float) -> None:
        """Block for `seconds` of this clock."""
        if seconds > 0:
            time.sleep(seconds / self.speed)
