"""Looks at the GPUs and the host while burns run, from a thread of its own, and keeps what it saw."""

import queue
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from watchdog.clock import RunClock
from watchdog.collectors.host import HostReader
from watchdog.collectors.nvml_process import NvmlProcess
from watchdog.collectors.readings import GpuReading, HostReading, ReaderGap, XidEvent

PERIOD_SECONDS = 1.0
SHORTEST_REAL_SECONDS = 0.2
"""A fast simulated clock does not make the machine look more often than this."""


@dataclass(slots=True)
class Seen:
    """All that was read, in order of time. GPUs by UUID."""

    gpus: dict[str, list[GpuReading]] = field(default_factory=dict)
    host: list[HostReading] = field(default_factory=list)
    gaps: list[ReaderGap] = field(default_factory=list)
    xids: list[XidEvent] = field(default_factory=list)

    def by_device(self, names: Mapping[str, str]) -> dict[str, tuple[GpuReading, ...]]:
        """Readings by device name; `names` maps UUID to name."""
        return {names[uuid]: tuple(readings) for uuid, readings in self.gpus.items() if uuid in names}


class Telemetry:
    """Samples in a thread until `stop`; `news` gives readings to whoever shows them."""

    def __init__(self, clock: RunClock, nvml: NvmlProcess | None, host: HostReader) -> None:
        """`nvml` is None on a machine without NVIDIA GPUs."""
        self.seen = Seen()
        self._clock = clock
        self._nvml = nvml
        self._host = host
        self._news: queue.SimpleQueue[GpuReading] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
        self._thread.start()

    def news(self) -> list[GpuReading]:
        """GPU readings since the last call."""
        readings = []
        while not self._news.empty():
            readings.append(self._news.get())
        return readings

    def stop(self) -> Seen:
        """Take one last look, end the thread and return all that was seen."""
        self._stop.set()
        self._thread.join()
        return self.seen

    def _run(self) -> None:
        period = max(PERIOD_SECONDS / self._clock.speed, SHORTEST_REAL_SECONDS)
        self._look()
        while not self._stop.wait(period):
            self._look()
        self._look()

    def _look(self) -> None:
        begun = self._clock.now()
        try:
            self._look_once()
        except Exception as error:  # noqa: BLE001 - burns go on; a reader that broke is told, and is no silence
            message = f"the reader broke: {type(error).__name__}: {error}"
            self.seen.gaps.append(ReaderGap(at_seconds=begun, for_seconds=0.0, message=message))

    def _look_once(self) -> None:
        self.seen.host.append(self._host.read(self._clock.now()))
        if self._nvml is None:
            return
        look = self._nvml.read()
        for reading in look.readings:
            self.seen.gpus.setdefault(reading.uuid, []).append(reading)
            self._news.put(reading)
        self.seen.xids += look.xids
        if look.gap is not None:
            self.seen.gaps.append(look.gap)
