"""Which GPUs do not answer, since when, and when to ask them again. Pure: the time is given."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from watchdog.collectors.nvml_child import Ask
from watchdog.collectors.readings import GpuIdentity, ReaderGap

LEAVE_OUT_SECONDS = (30.0, 300.0)
"""How long a GPU that blocked is left out: the first time, and the longest; each is twice the one before.

A wedged GSP answers its callers with a timeout after 6 s (45 s in older drivers); each try costs a child.
"""


@dataclass(slots=True)
class _Silence:
    since_seconds: float
    message: str
    uuid: str | None
    until_seconds: float = 0.0
    wait_seconds: float = LEAVE_OUT_SECONDS[0]

    def gap(self, now: float) -> ReaderGap:
        return ReaderGap(
            at_seconds=self.since_seconds, for_seconds=now - self.since_seconds, message=self.message, uuid=self.uuid
        )


class Silences:
    """The silences that go on. A GPU that is left out counts as silent until it has answered."""

    def __init__(self, identities: Sequence[GpuIdentity]) -> None:
        """All GPUs, none of them silent."""
        self._identities = tuple(identities)
        self._gpus: dict[str, _Silence] = {}
        self._reader: _Silence | None = None

    def plan(self, now: float) -> Ask:
        """Whom to ask at this look."""
        due = [gpu for gpu in self._identities if gpu.uuid in self._gpus and self._gpus[gpu.uuid].until_seconds <= now]
        return Ask(
            first=tuple(gpu.index for gpu in self._identities if gpu.uuid not in self._gpus),
            last=tuple(gpu.index for gpu in due),
        )

    def heard(self, uuids: Iterable[str]) -> None:
        """These GPUs answered."""
        for uuid in uuids:
            self._gpus.pop(uuid, None)

    def reader_is_back(self) -> None:
        """A look came to its end."""
        self._reader = None

    def gpu_missed(self, index: int, begun: float, now: float, what: str) -> ReaderGap:
        """A GPU did not answer in the look that began at `begun`: leave it out for a while."""
        gpu = self._identities[index]
        silence = self._gpus.get(gpu.uuid)
        if silence is None:
            silence = self._gpus[gpu.uuid] = _Silence(begun, f"gpu{gpu.index} ({gpu.uuid}): {what}", gpu.uuid)
        else:
            silence.wait_seconds = min(2 * silence.wait_seconds, LEAVE_OUT_SECONDS[1])
        silence.until_seconds = now + silence.wait_seconds
        return silence.gap(now)

    def reader_missed(self, begun: float, now: float, what: str) -> ReaderGap:
        """The reader was silent as a whole; no GPU is to blame as far as can be told."""
        self._reader = self._reader or _Silence(begun, what, None)
        return self._reader.gap(now)

    def all(self, now: float) -> tuple[ReaderGap, ...]:
        """Every silence that goes on, the GPUs' by index, the reader's last."""
        found = [self._gpus[gpu.uuid] for gpu in self._identities if gpu.uuid in self._gpus]
        return tuple(silence.gap(now) for silence in [*found, *filter(None, [self._reader])])

    def standing(self, now: float) -> ReaderGap | None:
        """The oldest silence that goes on, a GPU's before the reader's; None when all is well."""
        oldest = min(self._gpus.values(), key=lambda silence: silence.since_seconds, default=self._reader)
        return None if oldest is None else oldest.gap(now)
