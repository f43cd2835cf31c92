"""Which GPUs are left out of looks because a call on them blocked, since when, and until when. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

FIRST_SECONDS = 30.0
LONGEST_SECONDS = 300.0
"""A GPU that blocks costs a whole deadline each time it is tried, so it is tried after 30 s, 60 s ... 5 minutes."""


@dataclass(slots=True)
class _Blocked:
    since: float
    until: float
    times: int


@dataclass(slots=True)
class LeftOut:
    """GPUs by NVML index. Times are of the run's clock."""

    least_seconds: float = FIRST_SECONDS
    """The first pause is no shorter: trying must cost a small share of the time."""
    _blocked: dict[int, _Blocked] = field(default_factory=dict)

    def add(self, index: int, since: float, now: float) -> None:
        """A call on this GPU, begun at `since`, blocked; each time in a row it is left out for twice as long."""
        before = self._blocked.get(index)
        times = before.times + 1 if before else 1
        first = max(FIRST_SECONDS, self.least_seconds)
        pause = min(first * 2 ** (times - 1), max(LONGEST_SECONDS, first))
        self._blocked[index] = _Blocked(since=before.since if before else since, until=now + pause, times=times)

    def answered(self, indices: Iterable[int]) -> None:
        """These GPUs can be read again."""
        for index in indices:
            self._blocked.pop(index, None)

    def indices(self, now: float) -> tuple[int, ...]:
        """GPUs not to touch now."""
        return tuple(sorted(index for index, blocked in self._blocked.items() if now < blocked.until))

    def all(self) -> list[tuple[int, float]]:
        """Every GPU that has not answered since it blocked, and since when."""
        return sorted((index, blocked.since) for index, blocked in self._blocked.items())
