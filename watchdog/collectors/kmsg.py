"""The kernel log: every line since boot, or since the cursor, becomes an event where it reports something.

It reads and does not judge; what lines say is in `kmsg_lines`. One call takes a bounded number of lines, so that a
storm holds up neither the daemon nor its memory: the rest waits in the ring, and what the ring overwrites is counted.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from watchdog.collectors import Collected
from watchdog.collectors.kmsg_bursts import collapse
from watchdog.collectors.kmsg_lines import LogReader
from watchdog.collectors.kmsg_prefix import KernelLine, take_apart, with_year
from watchdog.collectors.kmsg_sources import Batch, Cursor, LineSource, open_source, read_failure
from watchdog.vocabulary.errors import SourceFailed
from watchdog.vocabulary.samples import Event, Row
from watchdog.vocabulary.subjects import Subject

_ROW_SECONDS = 60.0
_LONGEST_LINE = 1024
_NEVER = float("-inf")


def _no_uuid(pci: str) -> str | None:  # noqa: ARG001 - the form of `uuid_of`
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class KmsgLimits:
    """How much one call does."""

    most_records: int = 4096
    """Lines of one call: about 0.2 s of work, and at most 16 MiB."""
    wait_seconds: float = 1.0
    """How long a call waits for a first line."""


_LIMITS = KmsgLimits()


class KmsgCollector:
    """Collector of period 0: each call waits up to a second for lines."""

    def __init__(
        self,
        path: str | Path = "/dev/kmsg",
        *,
        node: str,
        cursor: Cursor | None = None,
        driver: str | None = None,
        uuid_of: Callable[[str], str | None] = _no_uuid,
        limits: KmsgLimits = _LIMITS,
        from_end: bool = False,
        boot_id_path: str | Path = "/proc/sys/kernel/random/boot_id",
    ) -> None:
        """`path`: ``/dev/kmsg``, or a file or FIFO of kernel lines in any style.

        `cursor`: as an earlier `cursor` gave it; of another boot, or None, everything still in the ring is read.
        `uuid_of`: a GPU's UUID by PCI address (``0000:3b:00``), as NVML knows it; names the subjects of events.
        `from_end`: without a cursor, skip what was there before.
        """
        self._path = Path(path)
        self._node = node
        self._cursor = cursor
        self._log = LogReader(driver)
        self._uuid_of = uuid_of
        self._limits = limits
        self._from_end = from_end
        self._boot_id_path = Path(boot_id_path)
        self._source: LineSource | None = None
        self._boot_at: float | None = None
        self._num_lost = 0
        self._num_records = 0
        self._row_at = _NEVER
        self._lost_said = 0

    @property
    def cursor(self) -> Cursor | None:
        """(boot id, sequence number) of the last line that `collect` took.

        To be kept only once the events of that call are: then a crash loses none, and repeats at most the last call.
        """
        return self._cursor

    @property
    def num_lost(self) -> int:
        """Records that were overwritten before they were read, since this collector began."""
        return self._num_lost + (self._source.num_lost if self._source else 0)

    def collect(self, now: float) -> Collected:
        """Events of the next lines; waits for the first at most `limits.wait_seconds`.

        Raises `SourceMissing` (no such log), `SourceFailed` (it may not be read, or reading failed: the next call
        opens it again after the last line that was read).
        """
        began = time.monotonic()
        events = [] if self._source else self._open(now)
        assert self._source is not None
        num_known = len(self._log.uuids)
        try:
            batch = self._source.read(self._limits.most_records, self._limits.wait_seconds)
        except OSError as error:
            self.close()
            raise SourceFailed(read_failure(self._path, error)) from error
        arrived_at = now + (time.monotonic() - began)
        events += collapse(self._events(batch, arrived_at))
        if batch.lines:
            self._num_records += len(batch.lines)
            self._cursor = (self._source.id, batch.lines[-1][0])
        return Collected(rows=self._rows(arrived_at), events=tuple(events), facts=self._facts(num_known))

    def close(self) -> None:
        """Give back the log; a later `collect` opens it again, after the cursor."""
        if self._source is not None:
            self._num_lost += self._source.num_lost
            self._source.close()
            self._source = None

    def _open(self, now: float) -> list[Event]:
        """Open the log; a boot since the cursor's is an event of its own."""
        try:
            boot_id = self._boot_id_path.read_text(encoding="ascii").strip()
        except OSError as error:
            raise SourceFailed(f"the boot id {self._boot_id_path} can't be read: {error.strerror}") from error
        skips = self._from_end and self._cursor is None
        self._source = open_source(self._path, boot_id, self._cursor, from_end=skips)
        if self._cursor is None or self._source.id != boot_id or self._cursor[0] == boot_id:
            return []
        return [
            Event(
                kind="boot",
                subject=Subject(self._node),
                at=now - time.monotonic(),
                message="the node was booted since the kernel log was last read",
                data={"boot_id": boot_id, "previous_boot_id": self._cursor[0]},
            )
        ]

    def _events(self, batch: Batch, arrived_at: float) -> Iterator[Event]:
        assert self._source is not None
        if batch.is_fresh and batch.lines:
            self._learn_boot_time(batch.lines[0][1], arrived_at)
        for position, text in batch.lines:
            line = take_apart(text)
            found = self._log.parse(line.text)
            if found is None:
                continue
            pci = found.pci if found.about == "gpu" else None
            uuid = (self._uuid_of(pci) or self._log.uuids.get(pci)) if pci else None
            more = {"seq": position, "boot_id": self._source.id, "boot_seconds": line.boot_seconds}
            at = self._time_of(line, batch, arrived_at)
            yield found.as_event(self._node, at, line.text[:_LONGEST_LINE], uuid=uuid, more=more)

    def _learn_boot_time(self, newest: str, arrived_at: float) -> None:
        """A record that we waited for was written now: its stamp tells when this boot began.

        The kernel's stamps run on a clock that nothing corrects: after months, minutes off the wall clock.
        """
        line = take_apart(newest)
        if line.boot_seconds is not None:
            self._boot_at = arrived_at - line.boot_seconds

    def _time_of(self, line: KernelLine, batch: Batch, arrived_at: float) -> float:
        """Unix seconds at which a line was written, never later than its arrival."""
        if batch.kind == "live":
            return arrived_at
        if line.wall_seconds is not None:
            dated = with_year(line.wall_seconds, arrived_at) if line.year_is_missing else line.wall_seconds
            return min(dated, arrived_at)
        if line.boot_seconds is None:
            return arrived_at
        boot_at = arrived_at - time.monotonic() if self._boot_at is None else self._boot_at
        return min(boot_at + line.boot_seconds, arrived_at)

    def _facts(self, num_known: int) -> dict[Subject, dict[str, object]]:
        """GPUs that the log named in this call."""
        new = list(self._log.uuids.items())[num_known:]
        return {Subject(self._node, "gpu", uuid): {"pci_bus_id": f"{pci}.0"} for pci, uuid in new}

    def _rows(self, at: float) -> tuple[Row, ...]:
        """Counters of this collector: at once when something was lost, else now and then."""
        num_lost = self.num_lost
        if num_lost == self._lost_said and at - self._row_at < _ROW_SECONDS:
            return ()
        self._row_at, self._lost_said = at, num_lost
        values = {"lost_records_total": float(num_lost), "records_total": float(self._num_records)}
        return (Row(subject=Subject(self._node, "process", "collector:kmsg"), at=at, values=values),)
