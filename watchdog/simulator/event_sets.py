"""Event sets of the simulated NVML: each Xid once, at its time, and nothing from before the registration."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from watchdog.simulator.scenario import Scenario

XID = 0x8
"""`nvmlEventTypeXidCriticalError`: the only type that is delivered."""


@dataclass(slots=True)
class EventSets:
    """The sets that one process made. Handles are small even numbers that are never used again."""

    scenario: Scenario
    node: str
    now: Callable[[], float]
    """Scenario seconds."""
    _registered: dict[int, dict[int, float]] = field(default_factory=dict)
    """Set -> GPU index -> since when."""
    _delivered: set[tuple[int, int, int]] = field(default_factory=set)
    _num_made: int = 0

    def make(self) -> int:
        """A new empty set."""
        self._num_made += 1
        handle = 2 * self._num_made
        self._registered[handle] = {}
        return handle

    def free(self, handle: int) -> bool:
        """Forget a set; False if there is none."""
        return self._registered.pop(handle, None) is not None

    def is_known(self, handle: int) -> bool:
        """It was made and not yet freed."""
        return handle in self._registered

    def register(self, handle: int, index: int, kinds: int) -> bool:
        """Deliver events of GPU `index` from now on; False for a set that does not exist, or a type that isn't had."""
        if handle not in self._registered or kinds & ~XID or not kinds:
            return False
        self._registered[handle].setdefault(index, self.now())
        return True

    def take(self, handle: int) -> tuple[int, int] | None:
        """(GPU index, Xid) of the next event that is due, in order of time; None when none is."""
        due = min(self._due(handle), default=None)
        if due is None:
            return None
        _, index, number, code = due
        self._delivered.add((handle, index, number))
        return index, code

    def _due(self, handle: int) -> Iterator[tuple[float, int, int, int]]:
        now = self.now()
        for index, since in self._registered.get(handle, {}).items():
            for number, fault in enumerate(self.scenario.all_faults_on(self.node, f"gpu{index}")):
                is_new = (handle, index, number) not in self._delivered
                if fault.kind == "xid" and fault.step is None and since <= fault.at_seconds <= now and is_new:
                    yield fault.at_seconds, index, number, fault.code or 0
