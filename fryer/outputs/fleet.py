"""What people and scripts see of a run over many nodes: one contract, one way of showing a file (`fleet_*`)."""

from typing import Protocol

from fryer.fleet.orders import Message
from fryer.localise import Round
from fryer.result import RunInfo, RunResult

STATES = ("waiting", "connected", "burning", "qualified", "collecting", "left out", "done")
"""A node's way through a run. ``left out``: it failed, or ended, and takes no further part."""


class FleetOutput(Protocol):
    """Told of everything in a run over many nodes as it happens, from one thread."""

    def start(self, info: RunInfo) -> None:
        """The run begins: all nodes wait."""

    def state(self, node: str, state: str, why: str = "") -> None:
        """A node came into one of `STATES`; `why` is one sentence where it is left out."""

    def message(self, message: Message) -> None:
        """A worker said something."""

    def round(self, this: Round) -> None:
        """Groups begin to measure together."""

    def sweep(self, scope: str, groups: tuple[tuple[str, ...], ...], what: str) -> None:
        """A sweep begins: ``inside`` each node or ``between`` all; `what` is it for people."""

    def finish(self, result: RunResult) -> None:
        """The run is over, and this is what it found."""

    def close(self) -> None:
        """Give the terminal back; also called when the run broke."""
