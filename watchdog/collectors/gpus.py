"""The GPUs through NVML, which stays in its child (`nvml_process`): rows, Xids, facts, and how long it has been silent.

The driver takes back the recovery that it asked for once it was done: that is an event, ``gpu_reset``.

Silence is itself a reading: `nvml_silent_seconds` of the GPU whose call does not return, or of the node when the reader
as a whole says nothing. A GPU that answered has 0 there, so that the end of a silence is seen too.
"""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields

from watchdog.clock import RunClock
from watchdog.collectors import Collected
from watchdog.collectors.nvml_process import NvmlProcess
from watchdog.collectors.readings import GpuIdentity, GpuReading, XidEvent
from watchdog.simulator.node import SimulatedNode
from watchdog.vocabulary.errors import FryerError, SourceMissing
from watchdog.vocabulary.samples import Event, Row
from watchdog.vocabulary.subjects import Subject
from watchdog.xids import recovery, xid

OPEN_SECONDS = 5.0
"""Wait for NVML at a call until it is there; a node without persistence mode takes longer, and is silent so long."""
RETRY_SECONDS = 30.0
"""Wait before NVML is started again after it could not be."""
_BYTE_TOTALS = ("pcie_tx_bytes_total", "pcie_rx_bytes_total")
_SILENT = "nvml_silent_seconds"
_NOT_VALUES = ("uuid", "at_seconds")
_FACTS = (
    "index",
    "pci_bus_id",
    "driver",
    "serial",
    "vbios",
    "memory_bytes",
    "power_limit_watts",
    "sm_clock_max_hertz",
    "pcie_generation_max",
    "pcie_width_max",
    "nvlinks",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`[watchdog.collectors.nvml]`."""

    deadline_seconds: float = 3.0
    """Longest wait for one look at all GPUs. With a period of 1 s and judges every 5 s, a hang is told within 10 s."""

    def __post_init__(self) -> None:
        """Bounds."""
        if not 1 <= self.deadline_seconds <= 60:
            raise ValueError(f"deadline_seconds is {self.deadline_seconds:g}; allowed: 1 to 60")


class Gpus:
    """All GPUs of this node."""

    def __init__(self, node: str, settings: Settings | None = None, simulated: SimulatedNode | None = None) -> None:
        """Starts nothing. `simulated`: read this scenario in place of the driver."""
        self._node = Subject(node)
        self._settings = settings or Settings()
        self._simulated = simulated
        self._clock = simulated.clock if simulated else RunClock.start()
        self._opening: _Opening | None = None
        self._nvml: NvmlProcess | None = None
        self._subjects: dict[str, Subject] = {}
        self._buses: dict[str, str] = {}
        self._driver: str | None = None
        self._last: dict[str, GpuReading] = {}
        self._asked: dict[str, int] = {}

    def collect(self, now: float) -> Collected:
        """One look. Raises `SourceMissing` without NVML; `SourceFailed` where it does not start, tried again later."""
        facts = {} if self._nvml else self._open()
        if self._nvml is None:
            assert self._opening is not None
            silent = {_SILENT: time.monotonic() - self._opening.begun_real}
            return Collected(rows=(Row(subject=self._node, at=now, values=silent),))
        look = self._nvml.read()
        return Collected(
            rows=(*self._rows(look.readings, now), *self._silences(now)),
            events=(*(self._event(one, now) for one in look.xids), *self._resets(look.readings, now)),
            facts=facts,
        )

    def close(self) -> None:
        """End the child."""
        if self._opening is not None:
            self._opening.give_up()
        self._nvml = None

    def _open(self) -> dict[Subject, dict[str, object]]:
        """Start NVML in the background and wait a little; facts of the GPUs once it is there."""
        if self._opening is None or self._opening.is_stale:
            self._opening = _Opening(self._clock, self._simulated, self._settings.deadline_seconds)
        self._nvml = self._opening.wait(OPEN_SECONDS)
        if self._nvml is None:
            return {}
        identities = self._nvml.identities()
        self._subjects = {gpu.uuid: Subject(self._node.node, "gpu", gpu.uuid) for gpu in identities}
        self._buses = {gpu.uuid: gpu.pci_bus_id for gpu in identities}
        self._driver = identities[0].driver if identities else None
        return {self._subjects[gpu.uuid]: _facts(gpu) for gpu in identities}

    def _rows(self, readings: tuple[GpuReading, ...], now: float) -> Iterator[Row]:
        for reading in readings:
            values = {
                field.name: float(value)
                for field in fields(reading)
                if field.name not in _NOT_VALUES and (value := getattr(reading, field.name)) is not None
            }
            rates = byte_rates(self._last.get(reading.uuid), reading)
            self._last[reading.uuid] = reading
            yield Row(subject=self._subjects[reading.uuid], at=now, values={**values, **rates, _SILENT: 0.0})

    def _silences(self, now: float) -> Iterator[Row]:
        """A row for each GPU that does not answer, and the node's own."""
        assert self._nvml is not None
        node = {
            _SILENT: 0.0,
            "gpus_visible": float(len(self._subjects)),
            "nvml_restarts_total": float(self._nvml.num_restarts),
        }
        for gap in self._nvml.gaps():
            if gap.uuid is None:
                node[_SILENT] = gap.for_seconds
            else:
                yield Row(subject=self._subjects[gap.uuid], at=now, values={_SILENT: gap.for_seconds})
        yield Row(subject=self._node, at=now, values=node)

    def _resets(self, readings: tuple[GpuReading, ...], now: float) -> Iterator[Event]:
        """An event for each GPU for which the driver no longer asks for a recovery; what is not read says nothing."""
        for reading in readings:
            if reading.recovery_action is None:
                continue
            before, self._asked[reading.uuid] = self._asked.get(reading.uuid, 0), reading.recovery_action
            if before and not reading.recovery_action:
                yield Event(
                    kind="gpu_reset",
                    subject=self._subjects[reading.uuid],
                    at=now,
                    message=f"the driver takes back what it asked for: {recovery(before).meaning}",
                    data={"source": "nvml", "recovery_from": before, "recovery_to": 0},
                )

    def _event(self, event: XidEvent, now: float) -> Event:
        entry = xid(event.code, driver=self._driver)
        return Event(
            kind="xid",
            subject=self._subjects[event.uuid],
            at=now,
            code=event.code,
            severity=entry.severity,
            action=entry.action,
            message=f"Xid {event.code}: {entry.meaning}",
            data={"source": "nvml", "pci": self._buses[event.uuid]},
        )


class _Opening:
    """One try to start NVML, in a thread of its own: it may take a minute, and the collector is to answer meanwhile."""

    def __init__(self, clock: RunClock, simulated: SimulatedNode | None, deadline_seconds: float) -> None:
        self.begun_real = time.monotonic()
        self._nvml: NvmlProcess | None = None
        self._error: FryerError | None = None
        self._is_given_up = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(
            target=self._run, args=(clock, simulated, deadline_seconds), name="nvml-opening", daemon=True
        )
        self._thread.start()

    @property
    def is_stale(self) -> bool:
        """It failed, long enough ago for another try."""
        is_over = time.monotonic() - self.begun_real >= RETRY_SECONDS
        return self._error is not None and is_over and not isinstance(self._error, SourceMissing)

    def wait(self, seconds: float) -> NvmlProcess | None:
        """NVML once it is there, None before; raises what it raised."""
        self._thread.join(seconds)
        if self._error is not None:
            raise self._error
        return self._nvml

    def give_up(self) -> None:
        """Close it now, or as soon as it is there."""
        with self._lock:
            self._is_given_up = True
            if self._nvml is not None:
                self._nvml.close()

    def _run(self, clock: RunClock, simulated: SimulatedNode | None, deadline_seconds: float) -> None:
        try:
            nvml = NvmlProcess(clock, simulated, deadline_seconds)
        except FryerError as error:
            self._error = error
            return
        with self._lock:
            self._nvml = nvml
            if self._is_given_up:
                nvml.close()


def byte_rates(last: GpuReading | None, reading: GpuReading) -> dict[str, float]:
    """``pcie_tx_bytes_per_second`` and the like since the last look; nothing after a wrap, and nothing at the first."""
    if last is None or reading.at_seconds <= last.at_seconds:
        return {}
    rates = {}
    for name in _BYTE_TOTALS:
        before, after = getattr(last, name), getattr(reading, name)
        if before is not None and after is not None and after >= before:
            seconds = reading.at_seconds - last.at_seconds
            rates[name.replace("_total", "_per_second")] = (after - before) / seconds
    return rates


def _facts(gpu: GpuIdentity) -> dict[str, object]:
    known = {name: value for name in _FACTS if (value := getattr(gpu, name)) not in (None, "")}
    return {"part": gpu.name, **known}
