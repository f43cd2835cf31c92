"""One fault of a scenario, as data: what it does, to whom, and when. Checked where it is read (`fault_file`)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One `[[fault]]` of a scenario. Keys that its kind does not use are None."""

    on: str
    """As written: ``node0017/gpu3``, ``node[01-04]``, ``node0003-node0007``, ``rank3``, ``run``."""
    kind: str
    """A key of `KINDS`."""
    nodes: frozenset[str] = frozenset()
    """Nodes that `on` names; none for a rank or the run."""
    unit: str | None = None
    """``gpu3`` or ``nic0`` on those nodes, ``path`` between the two, ``rank3`` or ``run``; None for whole nodes."""
    at_seconds: float = 0.0
    for_seconds: float | None = None
    """None: for good."""
    step: int | None = None
    """For training drills: the step at which it begins, in place of a time."""
    factor: float | None = None
    code: int | None = None
    count: int | None = None
    per_second: float | None = None
    celsius: float | None = None
    bits: int | None = None
    """Bits flipped in one element of a result."""
    nan: bool | None = None
    """A NaN in place of one element of a result."""
    every: int | None = None
    """Only each n-th result is wrong."""
    corrected: bool | None = None
    pending: bool | None = None
    failed: bool | None = None
    recovery_action: int | None = None
    width: int | None = None
    generation: int | None = None
    what: str | None = None
    sensor: str | None = None
    seconds: float | None = None
    ratio: float | None = None
    package: str | None = None
    version: str | None = None
    source: str | None = None

    @property
    def end_seconds(self) -> float:
        """When it is over; infinity for good."""
        return float("inf") if self.for_seconds is None else self.at_seconds + self.for_seconds

    def is_active(self, at_seconds: float) -> bool:
        """It is in force at this time (never for a fault that begins at a training step)."""
        return self.step is None and self.at_seconds <= at_seconds < self.end_seconds

    def elapsed_seconds(self, at_seconds: float) -> float:
        """How long it has been in force up to `at_seconds`."""
        if self.step is not None:
            return 0.0
        return max(0.0, min(at_seconds, self.end_seconds) - self.at_seconds)

    def is_on(self, node: str, unit: str | None) -> bool:
        """It concerns this unit, being on the unit itself or on its whole node."""
        return node in self.nodes and (self.unit is None or self.unit == unit)
