"""One look at a node without a daemon: each collector is called once, and what they gave is judged as the daemon would.

Nothing is kept, nobody is told, nothing is done. What takes time to be seen (rates, heat under load) only the daemon
sees. It prints nothing.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from watchdog.collectors import Collected
from watchdog.collectors.kmsg import KmsgCollector, KmsgLimits
from watchdog.daemon.build import KMSG, make_paced
from watchdog.daemon.core import Core, CoreSettings
from watchdog.daemon.health import unseen
from watchdog.daemon.pacer import Paced
from watchdog.detectors import DETECTORS
from watchdog.settings import DEFAULT_KMSG, Settings
from watchdog.simulator.node import SimulatedNode
from watchdog.state import CollectorState
from watchdog.store.items import Remembered
from watchdog.vocabulary.errors import SourceFailed, SourceMissing
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.incidents import Incident
from watchdog.vocabulary.subjects import Subject

_KMSG_SECONDS = 15.0
"""Deadline for the whole ring: a full one of 16 MiB takes about 3 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """What one look gave."""

    node: str
    at: float
    findings: tuple[Finding, ...]
    """Gravest first."""
    incidents: tuple[Incident, ...]
    collectors: tuple[CollectorState, ...]
    num_events: int
    """Events in the kernel log and from NVML."""
    num_old_events: int
    """Of these, those older than the window: they were not judged."""


def tick(settings: Settings, simulated: SimulatedNode | None) -> Tick:
    """Look once and judge. Blocks at most the longest deadline of a collector, and then that of the kernel log."""
    node = simulated.node if simulated else settings.watchdog.node
    begun = time.time()
    core = Core(_judges(settings, node), Remembered(), begun)
    core.add_facts({Subject(node): {"expected_gpus": settings.watchdog.expected_gpus}})
    looks = _look(make_paced(settings, node, simulated))
    for look in looks:
        core.take(look.collected)
    if simulated is None or settings.watchdog.kmsg != DEFAULT_KMSG:
        looks += _look([_kernel_log(settings.watchdog.kmsg, node, core.facts)])
        core.take(looks[-1].collected)
    states = tuple(look.state for look in looks)
    now = time.time()
    for name, finding in {**unseen(node, states, now), **_failed(node, states, now)}.items():
        core.tell(name, finding)
    core.judge(now)
    events = [event for look in looks for event in look.collected.events]
    oldest = now - settings.watchdog.window_seconds
    return Tick(
        node=node,
        at=now,
        findings=core.findings,
        incidents=core.incidents,
        collectors=states,
        num_events=len(events),
        num_old_events=sum(event.at < oldest for event in events),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    state: CollectorState
    collected: Collected = field(default_factory=Collected)


class _Call:
    """One call of a collector in a thread, which nobody waits for longer than its deadline."""

    def __init__(self, paced: Paced) -> None:
        self._paced = paced
        self._begun = time.monotonic()
        self._found: _Look | None = None
        self._thread = threading.Thread(target=self._run, name=f"look {paced.name}", daemon=True)
        self._thread.start()

    def result(self) -> _Look:
        """What it gave; a call that does not come back is left behind, and has failed."""
        self._thread.join(max(0.0, self._begun + self._paced.deadline_seconds - time.monotonic()))
        found = self._found
        if found is not None:
            self._paced.collector.close()
            return found
        return _Look(state=self._state(f"has not answered for {self._paced.deadline_seconds:.0f} s"))

    def _run(self) -> None:
        now = time.time()
        try:
            collected = self._paced.collector.collect(now)
        except SourceMissing as why:
            self._found = _Look(state=replace(self._state(str(why)), is_missing=True, num_failures=0))
        except SourceFailed as why:
            self._found = _Look(state=self._state(str(why)))
        except Exception as error:  # noqa: BLE001 - a fault in one reader must not hide what the others see
            self._found = _Look(state=self._state(f"{type(error).__name__}: {error}"))
        else:
            state = replace(self._state(""), last_success_at=now, num_failures=0)
            self._found = _Look(state=state, collected=collected)

    def _state(self, error: str) -> CollectorState:
        return CollectorState(
            name=self._paced.name,
            period_seconds=self._paced.period_seconds,
            last_error=error,
            duration_seconds=time.monotonic() - self._begun,
            num_calls=1,
            num_failures=1,
        )


class _WholeLog:
    """Everything that the kernel log holds now, in one call."""

    def __init__(self, kmsg: KmsgCollector, path: Path) -> None:
        self._kmsg = kmsg
        self._path = path

    def collect(self, now: float) -> Collected:
        """All its events. Raises `SourceMissing`, `SourceFailed`; also for a FIFO, whose lines are the daemon's."""
        if self._path.is_fifo():
            raise SourceFailed(f"the kernel log {self._path} is a FIFO: to read it here would take its lines away")
        whole = Collected()
        while True:
            before = self._kmsg.cursor
            part = self._kmsg.collect(now)
            whole = Collected(events=whole.events + part.events, facts={**whole.facts, **part.facts})
            if self._kmsg.cursor == before:
                return whole

    def close(self) -> None:
        """Give back the log."""
        self._kmsg.close()


def _look(paced: Sequence[Paced]) -> list[_Look]:
    """All at the same time."""
    calls = [_Call(one) for one in paced]
    return [call.result() for call in calls]


def _kernel_log(path: Path, node: str, facts: Mapping[Subject, Mapping[str, object]]) -> Paced:
    """It comes after NVML, which knows whose PCI addresses its lines name."""
    uuids = {
        bus.rpartition(".")[0]: subject.name
        for subject, known in facts.items()
        if subject.kind == "gpu" and isinstance(bus := known.get("pci_bus_id"), str)
    }
    kmsg = KmsgCollector(path, node=node, uuid_of=uuids.get, limits=KmsgLimits(wait_seconds=0.0))
    return Paced(name=KMSG, collector=_WholeLog(kmsg, path), period_seconds=0.0, deadline_seconds=_KMSG_SECONDS)


def _judges(settings: Settings, node: str) -> CoreSettings:
    """The daemon's own limits, but that nothing waits to be seen again: there is no second look."""
    limits = {name: settings.sections[f"detectors.{name}"] for name in DETECTORS}
    limits["gpu_missing"] = replace(limits["gpu_missing"], seen_seconds=0.0)
    return CoreSettings(
        node=node,
        window_seconds=settings.watchdog.window_seconds,
        incidents=replace(settings.sections["incidents"], open_judgements=1, open_seconds=0.0),
        policy=settings.sections["policy"],
        limits=limits,
    )


def _failed(node: str, states: Sequence[CollectorState], now: float) -> dict[str, Finding]:
    """A source that should work and does not: what it would have shown is unknown."""
    return {
        state.name: Finding(
            source="scan",
            subject=Subject(node, "process", f"collector:{state.name}"),
            severity=Severity.UNKNOWN,
            code="collector_failed",
            message=f"{state.name}: {state.last_error}; what it reads is not known",
            action="inspect",
            since=now,
        )
        for state in states
        if state.last_error and not state.is_missing
    }
