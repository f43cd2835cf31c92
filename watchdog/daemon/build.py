"""Makes a daemon from its settings: which parts there are, and how they hold together."""

from __future__ import annotations

import fcntl
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from watchdog.alerts import AlertSender, AlertSettings, alert_of, breaker_alert
from watchdog.api.limits import ApiLimits
from watchdog.api.server import ApiServer
from watchdog.clock import RunClock
from watchdog.collectors import Collected
from watchdog.collectors.kmsg import KmsgCollector
from watchdog.collectors.registry import COLLECTORS
from watchdog.daemon.core import Core, CoreSettings
from watchdog.daemon.loop import Daemon, Parts
from watchdog.daemon.pacer import Paced
from watchdog.daemon.recent_events import MOST_EVENTS
from watchdog.detectors import DETECTORS
from watchdog.exporter import render
from watchdog.incidents import IncidentLimits
from watchdog.policy import Decision, PolicySettings
from watchdog.settings import DEFAULT_KMSG, Settings
from watchdog.simulator.node import SimulatedNode
from watchdog.simulator.scenario import load, scenario_path
from watchdog.slurm import Slurm
from watchdog.store import Retention, SetAside, Writer, default_directory, open_or_set_aside
from watchdog.store.items import Remembered
from watchdog.store.troubles import of_set_aside
from watchdog.store.watch_log import WatchLog
from watchdog.vocabulary.errors import UsageError
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.incidents import Incident
from watchdog.vocabulary.subjects import Subject

log = logging.getLogger(__name__)

KMSG = "kmsg"
_KMSG_DEADLINE_SECONDS = 10.0
NAMES_SECONDS = 5.0
"""So long after its start the daemon waits for NVML to name the GPUs before it judges what the kernel log says of them.
NVML takes a second in persistence mode; one that hangs must not hold up the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaceSettings:
    """`[watchdog.pace.NAME]` of each collector."""

    enabled: bool = True
    period_seconds: float = 0.0
    """0: the collector's own."""


def sections() -> Mapping[str, type[Any]]:
    """Every section below `[watchdog]`, and the dataclass that it fills."""
    return {
        **{f"collectors.{name}": spec.settings for name, spec in COLLECTORS.items()},
        **{f"pace.{name}": PaceSettings for name in COLLECTORS},
        **{f"detectors.{name}": detector.limits for name, detector in DETECTORS.items()},
        "incidents": IncidentLimits,
        "policy": PolicySettings,
        "alerts": AlertSettings,
        "store": Retention,
        "api": ApiLimits,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembled:
    """A daemon with what is around it."""

    daemon: Daemon
    api: ApiServer
    alerts: AlertSender | None
    set_aside: SetAside | None
    lock: IO[str]
    """Held as long as the daemon runs: one daemon a directory."""


def simulated_node(scenario: str | None, node: str) -> SimulatedNode | None:
    """The node of a scenario that stands in for the hardware; the scenario's first where it has none of this name."""
    if scenario is None:
        return None
    loaded = load(scenario)
    names = loaded.fleet.node_names
    clock = RunClock.start(speed=loaded.speed)
    return SimulatedNode(str(scenario_path(scenario)), node if node in names else names[0], clock)


def assemble(settings: Settings, scenario: str | None) -> Assembled:
    """Open the store and make every part; nothing runs yet. Raises `UsageError`, `StoreError`.

    A scenario is a rehearsal: it has a store of its own, this machine's kernel log and clock are no part of it, and it
    neither drains a node nor calls anybody.
    """
    now, own = time.time(), settings.watchdog
    simulated = simulated_node(scenario, own.node)
    node = simulated.node if simulated else own.node
    directory = own.state_directory or default_directory()
    if simulated is not None:
        directory = directory / "simulated"
    store, set_aside = open_or_set_aside(directory, now)
    lock = lock_directory(directory)
    past = WatchLog(store)
    remembered = past.remembered(now)
    core = Core(_core_settings(settings, node), remembered, now)
    core.recall(past.events(_recent(own.window_seconds, now), MOST_EVENTS))
    _tell_of_start(core, node, set_aside, now)
    core.add_facts({Subject(node): {"is_simulated": simulated is not None, "kernel_log": str(own.kmsg)}})
    if own.expected_gpus:
        core.add_facts({Subject(node): {"expected_gpus": own.expected_gpus}})
    writer = Writer(store).start()
    alerts = None if simulated else _alerts(settings.sections["alerts"])
    daemon = Daemon(
        Parts(
            node=node,
            core=core,
            store=store,
            writer=writer,
            paced=_paced(settings, node, simulated, remembered, core),
            judge_seconds=own.judge_seconds,
            retention=settings.sections["store"],
            offer_alerts=None if alerts is None else _offer(alerts, node),
            slurm=Slurm() if own.slurm and simulated is None else None,
            is_simulated=simulated is not None,
        )
    )
    api = ApiServer(
        daemon,
        own.socket,
        group=own.socket_group,
        tcp=own.tcp,
        limits=settings.sections["api"],
        render_metrics=lambda: render(daemon.state),
    )
    daemon.count_rejected = lambda: float(sum(api.rejected.values()))
    return Assembled(daemon=daemon, api=api, alerts=alerts, set_aside=set_aside, lock=lock)


def _recent(window_seconds: float, now: float) -> float:
    """Since when events are judged again after a restart: within the window, and since this boot, which repaired."""
    return now - min(window_seconds, time.clock_gettime(time.CLOCK_BOOTTIME))


def make_paced(settings: Settings, node: str, simulated: SimulatedNode | None) -> list[Paced]:
    """The periodic collectors that the settings leave on. A simulation has no network, PCIe, DCGM or clock."""
    chosen = {"nvml", "host", "storage"} if simulated else set(COLLECTORS)
    paced = []
    for name, spec in COLLECTORS.items():
        pace, own = settings.sections[f"pace.{name}"], settings.sections[f"collectors.{name}"]
        if pace.enabled and name in chosen:
            paced.append(
                Paced(
                    name=name,
                    collector=spec.make(own, node, simulated),
                    period_seconds=pace.period_seconds or spec.period_seconds,
                    deadline_seconds=spec.deadline_for(own),
                )
            )
    return paced


def _paced(
    settings: Settings, node: str, simulated: SimulatedNode | None, remembered: Remembered, core: Core
) -> Sequence[Paced]:
    if simulated is not None and settings.watchdog.kmsg == DEFAULT_KMSG:
        return make_paced(settings, node, simulated)
    cursor = remembered.cursors.get(KMSG)
    kmsg = KmsgCollector(
        settings.watchdog.kmsg,
        node=node,
        cursor=(cursor.boot_id, cursor.sequence) if cursor else None,
        uuid_of=_UuidOf(core.uuids, NAMES_SECONDS),
    )
    stream = Paced(name=KMSG, collector=_WithCursor(kmsg), period_seconds=0.0, deadline_seconds=_KMSG_DEADLINE_SECONDS)
    return [*make_paced(settings, node, simulated), stream]


class _WithCursor:
    """The kernel log, with the cursor that belongs to what each call gave."""

    def __init__(self, kmsg: KmsgCollector) -> None:
        self._kmsg = kmsg

    def collect(self, now: float) -> Collected:
        collected = self._kmsg.collect(now)
        cursor = self._kmsg.cursor
        return replace(collected, cursor=None if cursor is None else (KMSG, *cursor))

    def close(self) -> None:
        self._kmsg.close()


class _UuidOf:
    """A GPU's UUID by its PCI address. Called from the kernel log's thread.

    The log is there at once and NVML is not: what the log says first waits for the names for a while, or the same GPU
    would have two.
    """

    def __init__(self, uuids: Mapping[str, str], patience_seconds: float) -> None:
        self._uuids = uuids
        self._until = time.monotonic() + patience_seconds

    def __call__(self, pci: str) -> str | None:
        while not self._uuids and time.monotonic() < self._until:
            time.sleep(0.02)
        return self._uuids.get(pci.lower())


def _core_settings(settings: Settings, node: str) -> CoreSettings:
    return CoreSettings(
        node=node,
        window_seconds=settings.watchdog.window_seconds,
        incidents=settings.sections["incidents"],
        policy=settings.sections["policy"],
        limits={name: settings.sections[f"detectors.{name}"] for name in DETECTORS},
    )


def _tell_of_start(core: Core, node: str, set_aside: SetAside | None, now: float) -> None:
    """What was found wrong at the start is a finding like any other."""
    subject = Subject(node, "process", "store")
    if set_aside is not None:
        core.tell("set_aside", of_set_aside(node, set_aside))
    for number, error in enumerate(core.errors):
        core.tell(
            f"recall{number}",
            Finding(
                source="store", subject=subject, severity=Severity.WARN, code="memory_lost", message=error, since=now
            ),
        )


def _alerts(settings: AlertSettings) -> AlertSender | None:
    return AlertSender(settings) if settings.url else None


def _offer(alerts: AlertSender, node: str) -> Callable[[Sequence[Incident], Decision], None]:
    """Incidents go to the receiver, and the policy's breaker from when it opens until it closes."""
    opened_at: list[float] = []

    def offer(incidents: Sequence[Incident], decision: Decision) -> None:
        now = time.time()
        offered = [alert_of(incident) for incident in incidents]
        if decision.is_breaker_open and not opened_at:
            opened_at.append(now)
        if opened_at:
            why = next((record.why for record in decision.records if record.outcome == "breaker"), "")
            ended_at = None if decision.is_breaker_open else now
            offered.append(breaker_alert(node, why or "the policy acts again", opened_at[0], ended_at))
        if not decision.is_breaker_open:
            opened_at.clear()
        alerts.offer(offered, now)

    return offer


def lock_directory(directory: Path) -> IO[str]:
    """Take the directory for this daemon; raises `UsageError` where another one has it."""
    lock = (directory / "watch.lock").open("a", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise UsageError(
            f"another fryer watch uses {directory}; stop it, or give this one a --state directory of its own"
        ) from None
    return lock


def check_socket(path: Path) -> None:
    """Raise `UsageError` early where the socket's folder can't be made."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"the socket's folder {path.parent} can't be made: {error.strerror}; "
            "name another with --socket, or run as root"
        ) from error
