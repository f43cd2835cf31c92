"""Where a run stands, kept from what an `Output` is told: the state behind the live view.

It draws nothing and reads no clock: each call brings the time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from fryer.evidence import DeviceInfo
from fryer.plan import Phase, Plan
from fryer.records import Counted, Mismatch, Point, Problem, Record
from watchdog.collectors.readings import GpuReading
from watchdog.vocabulary.verdicts import Verdict

STALE_SECONDS = 10.0
"""A rate older than this is shown as old: the device may be stuck, or between two cases."""
_LEAST_SPAN_SECONDS = 2.0
_SAME_SPEED = 0.1


class RunTime:
    """The run's clock as told by what it stamped: in a simulation it runs faster than ours, from an unknown start."""

    def __init__(self) -> None:
        self._first: tuple[float, float] | None = None
        self._last = (0.0, 0.0)
        self._is_set = False

    def see(self, at_seconds: float, now: float) -> None:
        """Something stamped `at_seconds` on the run's clock arrived at `now` on ours."""
        if self._first is None:
            self._first = (at_seconds, now)
        if not self._is_set or at_seconds > self._last[0]:
            self._last, self._is_set = (at_seconds, now), True

    def start(self, now: float) -> None:
        """The run's clock started about now."""
        self._last, self._is_set, self._first = (0.0, now), True, None

    @property
    def speed(self) -> float:
        """Seconds of the run's clock in one of ours: 1 unless it plainly is another."""
        if self._first is None or self._last[1] - self._first[1] < _LEAST_SPAN_SECONDS:
            return 1.0
        speed = (self._last[0] - self._first[0]) / (self._last[1] - self._first[1])
        return 1.0 if abs(speed - 1) < _SAME_SPEED else speed

    def at(self, now: float) -> float:
        """Seconds on the run's clock at `now` on ours."""
        return self._last[0] + max(0.0, now - self._last[1]) * self.speed


@dataclass(slots=True)
class DeviceState:
    """What is known of one device now."""

    node: str
    info: DeviceInfo
    point: Point | None = None
    """Newest rate of the present phase."""
    progress_at: float | None = None
    """Time of the newest sign of work in the present phase, on the run's clock."""
    reading: GpuReading | None = None
    num_verified: int = 0
    """Products, in all phases."""
    num_bytes_verified: int = 0
    num_wrong: int = 0
    problem: Problem | None = None
    """Newest one that is not a skip, in any phase."""

    @property
    def is_in_trouble(self) -> bool:
        """Something was found that a person should see first."""
        return self.num_wrong > 0 or self.problem is not None

    def take(self, record: Record) -> None:
        """Keep what a record says of this device."""
        match record:
            case Point():
                self.point, self.progress_at = record, record.at_seconds
            case Counted(what="bytes"):
                self.num_bytes_verified += record.count
            case Counted():
                self.num_verified += record.count
            case Mismatch():
                self.num_wrong += 1
                self.progress_at = record.at_seconds
            case Problem() if record.verdict is not Verdict.SKIPPED:
                self.problem = record


@dataclass(slots=True)
class Progress:
    """The whole run."""

    plan: Plan
    run_id: str
    time: RunTime = field(default_factory=RunTime)
    devices: dict[tuple[str, str], DeviceState] = field(default_factory=dict)
    node: str = ""
    phase: Phase | None = None
    phase_index: int = 0
    """Of the present phase in the plan, from 0."""
    phase_began: float = 0.0
    """On the run's clock."""

    def begin_node(self, node: str, devices: Sequence[DeviceInfo], now: float) -> None:
        """A node's devices are known, and its clock starts."""
        self.time.start(now)
        self.node, self.phase = node, None
        self.devices.update({(node, info.name): DeviceState(node=node, info=info) for info in devices})

    def begin_phase(self, node: str, burn: str, seconds: float, now: float) -> None:
        """A burn begins on a node."""
        self.node, self.phase = node, Phase(burn=burn, seconds=seconds)
        self.phase_began = self.time.at(now)
        self.phase_index = next((i for i, phase in enumerate(self.plan.phases) if phase.burn == burn), 0)
        for state in self.devices.values():
            if state.node == node:
                state.point, state.progress_at = None, None

    def take(self, node: str, record: Record, now: float) -> None:
        """A device said something."""
        if isinstance(record, Point | Mismatch):
            self.time.see(record.at_seconds, now)
        state = self.devices.get((node, record.device))
        if state is not None:
            state.take(record)

    def read(self, node: str, device: str, reading: GpuReading, now: float) -> None:
        """A device was looked at."""
        self.time.see(reading.at_seconds, now)
        state = self.devices.get((node, device))
        if state is not None:
            state.reading = reading

    def ratio_of(self, state: DeviceState) -> float:
        """How much of the present phase this device has worked through, 0 to 1."""
        if self.phase is None or state.progress_at is None or state.node != self.node:
            return 0.0
        return min(1.0, max(0.0, (state.progress_at - self.phase_began) / self.phase.seconds))

    def seconds_left(self, now: float) -> float:
        """About how long the burns of all nodes still measure, in our seconds."""
        whole = sum(phase.seconds for phase in self.plan.phases)
        rest = sum(phase.seconds for phase in self.plan.phases[self.phase_index + 1 :])
        if self.phase is None:
            here = whole
        else:
            here = rest + max(0.0, self.phase.seconds - (self.time.at(now) - self.phase_began))
        later = len(self.plan.nodes) - self._num_nodes_begun()
        return (here + max(0, later) * whole) / self.time.speed

    def is_stale(self, state: DeviceState, now: float) -> bool:
        """The device's newest rate is old."""
        return state.progress_at is not None and self.time.at(now) - state.progress_at > STALE_SECONDS

    def _num_nodes_begun(self) -> int:
        return len({node for node, _ in self.devices})
