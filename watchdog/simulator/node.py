"""One node of a scenario, as processes pass it on: small, frozen, picklable."""

from dataclasses import dataclass

from watchdog.clock import RunClock
from watchdog.simulator.scenario import Scenario, load


@dataclass(frozen=True, slots=True)
class SimulatedNode:
    """A node, the scenario that it is in, and the clock on which the faults happen."""

    scenario_path: str
    """Path of a scenario file, or the name of a ready one."""
    node: str
    clock: RunClock

    def scenario(self) -> Scenario:
        """The scenario; raises `UsageError`. Read once a process."""
        return load(self.scenario_path)
