"""What people and scripts see of a run: one contract, one way of showing a file.

stdout is for results, stderr for diagnostics; progress is drawn only on a terminal.
"""

from typing import Protocol

from fryer.evidence import DeviceInfo
from fryer.records import Record
from fryer.result import RunInfo, RunResult
from watchdog.collectors.readings import GpuReading


class Output(Protocol):
    """Told of everything in a run as it happens, from one thread. `finish` also ends a stopped run."""

    def start(self, info: RunInfo) -> None:
        """The run begins."""

    def node(self, node: str, devices: tuple[DeviceInfo, ...]) -> None:
        """A node's devices are known."""

    def phase(self, node: str, burn: str, seconds: float) -> None:
        """A burn begins on a node, and will measure for so long (on the run's clock)."""

    def record(self, node: str, record: Record) -> None:
        """A device measured, found or could not do something."""

    def reading(self, node: str, device: str, reading: GpuReading) -> None:
        """The NVML reader looked at a device."""

    def finish(self, result: RunResult) -> None:
        """The run is over, and this is what it found."""

    def close(self) -> None:
        """Give the terminal back; also called when the run broke."""
