"""The seam between the conductor and nodes: real ones behind a launcher, or simulated ones."""

from collections.abc import Sequence
from typing import Protocol

from fryer.fleet.orders import Message, Order


class Hosts(Protocol):
    """Workers on nodes. Called from one thread; nothing here blocks longer than it says."""

    def start(self, nodes: Sequence[str]) -> None:
        """Begin to start one worker a node; each answers later with `Hello` or `Ended`."""

    def send(self, order: Order) -> None:
        """To all workers that live; returns at once."""

    def receive(self, seconds: float) -> Sequence[Message]:
        """What came; waits up to `seconds` (real time) for the first. A worker's end comes exactly once, as `Ended`."""

    def now(self) -> float:
        """Seconds on the clock that deadlines of this fleet run on: monotonic, or the simulation's."""

    def close(self) -> None:
        """End all workers, kill what does not end within seconds, leave nothing behind on any node."""
