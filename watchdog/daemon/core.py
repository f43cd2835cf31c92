"""From what was read to what is published: buffers, detectors, incidents, policy. No thread, no clock, no I/O.

take(collected) ─▶ buffers, items for the store
judge(now)      ─▶ findings ─▶ incidents ─▶ decision ─▶ Judgement: what changed, what to keep, what to do
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from watchdog import incidents as incident_book
from watchdog import policy
from watchdog.collectors import Collected
from watchdog.daemon.buffers import Buffers
from watchdog.daemon.runs import Runs
from watchdog.detectors import DETECTORS, Detector
from watchdog.incidents import Book, Change, IncidentLimits
from watchdog.policy import Decision, History, PolicySettings
from watchdog.policy import history as policy_history
from watchdog.store.items import Cleared, Cursor, Item, Keep, Opened, Remembered
from watchdog.vocabulary.errors import StoreError
from watchdog.vocabulary.findings import Finding, Severity, state
from watchdog.vocabulary.incidents import Incident, Mark
from watchdog.vocabulary.runs import Ack, RunRecord
from watchdog.vocabulary.samples import Event, Row
from watchdog.vocabulary.signals import Signal
from watchdog.vocabulary.subjects import Subject

SETTLE_SECONDS = 60.0
"""After a start detectors see little of the past: what stood before stands on for so long, if nothing is said of it."""
BOOK_KEY, POLICY_KEY = "incidents", "policy"
"""Under which the book and the policy's memory are kept."""

T = TypeVar("T")
Counts = dict[tuple[str, int], tuple[int, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreSettings:
    """What judging needs of the settings."""

    node: str
    window_seconds: float = 900.0
    incidents: IncidentLimits = field(default_factory=IncidentLimits)
    policy: PolicySettings = field(default_factory=PolicySettings)
    limits: Mapping[str, Any] = field(default_factory=dict)
    """By detector: an instance of its `limits`; a detector without one has its defaults."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One look at everything."""

    changes: tuple[Change, ...]
    decision: Decision
    new_signal: Signal | None = None
    """The decision's signal, when it was not asked for at the last judgement."""
    items: tuple[Item, ...]
    """What is to be kept of it."""
    seconds: float
    """What it cost."""


class Core:
    """The daemon's mind. One thread uses it."""

    def __init__(self, settings: CoreSettings, remembered: Remembered, now: float) -> None:
        """Go on where the last daemon left off; what can't be read back begins anew, and is told in `errors`."""
        self.errors: list[str] = []
        self._settings = settings
        self._book = self._recall(remembered, BOOK_KEY, incident_book.from_json, Book())
        self._history = self._recall(remembered, POLICY_KEY, policy_history.from_json, History())
        self._buffers = Buffers(settings.window_seconds)
        self.runs = Runs(settings.node)
        self._new_events: list[Event] = []
        self._findings: dict[tuple[str, str, str], Finding] = {
            opened.finding.key: opened.finding for opened in remembered.findings
        }
        self._recalled = dict(self._findings)
        """Of the last daemon: they stand until detectors have seen enough to say otherwise."""
        self._settled_at = now + SETTLE_SECONDS
        self._own: dict[str, Finding] = {}
        self._signal: Signal | None = None
        self._has_judged = False
        self.uuids: dict[str, str] = {}
        """Of GPUs by PCI address without function, as the kernel prints it."""
        self.xid_counts: Counts = dict(remembered.xid_counts)
        self.sxid_counts: Counts = dict(remembered.sxid_counts)
        self.fleet_ratio: float | None = None
        """From a hub, where there is one; None: this node's own GPUs are looked at."""
        self.qualified: dict[str, float] = {}
        """By node: when it last passed a qualification."""
        self.started_at = now

    @property
    def has_new_events(self) -> bool:
        """Events wait to be judged."""
        return bool(self._new_events)

    @property
    def severity(self) -> Severity:
        """The gravest finding; UNKNOWN before the first look."""
        return state(self._findings.values()) if self._has_judged else Severity.UNKNOWN

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All that stand, gravest first."""
        return tuple(sorted(self._findings.values(), key=lambda finding: (-finding.severity, finding.since)))

    @property
    def incidents(self) -> tuple[Incident, ...]:
        """Open ones and lately closed ones, newest first."""
        return self._book.incidents

    @property
    def signal(self) -> Signal | None:
        """What is asked of a run now."""
        return self._signal

    def newest(self, now: float) -> Mapping[Subject, Row]:
        """The newest row of every subject, without what is overdue."""
        return self._buffers.newest(now)

    @property
    def facts(self) -> Mapping[Subject, Mapping[str, object]]:
        """What is known of every subject."""
        return self._buffers.facts

    def take(self, collected: Collected) -> list[Item]:
        """Take in what a collector gave; returns what is to be kept, a cursor together with its events."""
        self._buffers.add_facts(collected.facts)
        self._learn_addresses(collected.facts)
        events = [self._by_uuid(event) for event in collected.events]
        self._buffers.add_rows(collected.rows)
        self._buffers.add_events(events)
        self._new_events += events
        for event in events:
            self._count(event)
        items: list[Item] = [*collected.rows, *events]
        if collected.cursor is not None:
            source, boot_id, sequence = collected.cursor
            items.append(Cursor(source=source, boot_id=boot_id, sequence=sequence))
        return items

    def add_facts(self, facts: Mapping[Subject, Mapping[str, object]]) -> None:
        """What was found out elsewhere: a GPU's own baseline, from the store."""
        self._buffers.add_facts(facts)

    def recall(self, events: Sequence[Event]) -> None:
        """Events of the last minutes, oldest first, that an earlier daemon judged: without them a restart would make
        findings go away. Incidents and counts know them already."""
        self._buffers.add_events(events)

    def hear(self, records: Sequence[RunRecord]) -> list[Item]:
        """Take in what runs said; returns what is to be kept together with it."""
        self._buffers.add_rows(self.runs.take(records))
        acks = [record for record in records if isinstance(record, Ack)]
        for ack in acks:
            self._history = policy.acked(self._history, ack.signal_id, ack.result)
        return [self._kept_history()] if acks else []

    def forget_readings(self) -> None:
        """The clock jumped: what was read before can't be compared with what comes."""
        self._buffers.forget()

    def tell(self, key: str, finding: Finding | None) -> None:
        """A finding about the daemon itself (its store, its settings), until it is told None."""
        if finding is None:
            self._own.pop(key, None)
        else:
            before = self._own.get(key)
            since = before.since if before is not None and before.key == finding.key else finding.since
            self._own[key] = replace(finding, since=since)

    def judge(self, now: float, *, is_hurried: bool = False) -> Judgement:
        """Run every detector over what is known, and draw the consequences.

        `is_hurried`: between two regular looks, for a new event. It may find something, and clears nothing: a storm
        must not count as many looks at which all else was quiet.
        """
        begun = time.perf_counter()
        window = self._buffers.window(now)
        findings = list(self._own.values())
        for name, detector in DETECTORS.items():
            findings += self._detect(name, detector, window)
        findings += self._carried_over(findings, now, is_hurried=is_hurried)
        events, self._new_events = self._new_events, []
        self._book, changes = incident_book.update(
            self._book,
            findings=findings,
            events=events,
            now=now,
            limits=self._settings.incidents,
            qualified=self.qualified,
        )
        decision = self._decide(findings, now)
        before, self._signal = self._signal, decision.signal
        is_new = decision.signal is not None and (before is None or before.id != decision.signal.id)
        items = [*self._changed_findings(findings, now), *(change.incident for change in changes)]
        items += self._consequences(decision, is_new=is_new, is_changed=bool(changes or events))
        self._has_judged = True
        return Judgement(
            changes=changes,
            decision=decision,
            new_signal=decision.signal if is_new else None,
            items=tuple(items),
            seconds=time.perf_counter() - begun,
        )

    def mark(self, mark: Mark) -> tuple[Incident, tuple[Change, ...], tuple[Item, ...]]:
        """A person's word on an incident; raises KeyError for an unknown one."""
        if all(incident.id != mark.incident for incident in self._book.incidents):
            raise KeyError(mark.incident)
        self._book, changes = incident_book.mark_healthy(
            self._book, mark.incident, by=mark.by, reason=mark.reason, now=mark.at, limits=self._settings.incidents
        )
        incident = next(one for one in self._book.incidents if one.id == mark.incident)
        return incident, changes, (mark, incident, self._kept_book())

    def drained(self, incident: str, now: float) -> tuple[tuple[Change, ...], tuple[Item, ...]]:
        """The node was drained for an incident."""
        node = self._settings.node
        self._history = policy.drained(self._history, node, incident, now)
        changes: tuple[Change, ...] = ()
        if any(one.id == incident for one in self._book.open):
            self._book, changes = incident_book.act(self._book, incident, "drain", now, self._settings.incidents)
        return changes, (*(change.incident for change in changes), self._kept_book(), self._kept_history())

    @property
    def is_drained(self) -> bool:
        """We drained this node, and know of nobody who gave it back."""
        return self._settings.node in self._history.drained

    def undrained(self) -> tuple[Item, ...]:
        """The node was given back."""
        self._history = policy.undrained(self._history, self._settings.node)
        return (self._kept_history(),)

    def kept(self) -> tuple[Item, ...]:
        """Everything that the next daemon needs."""
        return self._kept_book(), self._kept_history()

    def _detect(self, name: str, detector: Detector, window: Any) -> Sequence[Finding]:
        """One detector; a bug in one must not blind the others, and is itself a finding."""
        limits = self._settings.limits.get(name) or detector.limits()
        try:
            return detector.detect(window, limits)
        except Exception as error:  # noqa: BLE001 - judging goes on, and says which judge broke
            return [
                Finding(
                    source=name,
                    subject=Subject(self._settings.node, "process", f"detector:{name}"),
                    severity=Severity.UNKNOWN,
                    code="detector_broke",
                    message=f"the detector {name} broke: {type(error).__name__}: {error}",
                    action="inspect",
                    since=window.now,
                )
            ]

    def _decide(self, findings: Sequence[Finding], now: float) -> Decision:
        num_gpus = sum(subject.kind == "gpu" for subject in self._buffers.facts)
        ratio = self.fleet_ratio
        if ratio is None:
            ratio = policy.bad_ratio(self._book.open, num_gpus)
        decision = policy.decide(
            incidents=self._book.open,
            findings=findings,
            runs=self.runs.states,
            history=self._history,
            settings=self._settings.policy,
            now=now,
            fleet_ratio=ratio,
            qualified=self.qualified,
        )
        self._history = policy.remember(self._history, decision.acts, decision.signal, now)
        return decision

    def _carried_over(self, findings: Sequence[Finding], now: float, *, is_hurried: bool) -> list[Finding]:
        """Findings of detectors that stood before and that this look has nothing to say about."""
        before = self._findings if is_hurried else self._recalled if now < self._settled_at else {}
        standing = {finding.key for finding in findings}
        return [one for key, one in before.items() if key not in standing and one.source in DETECTORS]

    def _consequences(self, decision: Decision, *, is_new: bool, is_changed: bool) -> list[Item]:
        """The signal, where it is a new one, and the memories, where they changed."""
        items: list[Item] = []
        if decision.signal is not None and is_new:
            items.append(decision.signal)
        if is_changed:
            items.append(self._kept_book())
        if is_new or decision.acts:
            items.append(self._kept_history())
        return items

    def _changed_findings(self, findings: Iterable[Finding], now: float) -> list[Item]:
        """A finding is kept when it comes, when it grows graver or milder, and when it goes."""
        standing = {finding.key: finding for finding in findings}
        items: list[Item] = []
        for key, finding in standing.items():
            before = self._findings.get(key)
            if before is None or before.severity is not finding.severity:
                items.append(Opened(finding=finding, at=now))
        items += [Cleared(key=key, at=now) for key in self._findings if key not in standing]
        self._findings = standing
        return items

    def _learn_addresses(self, facts: Mapping[Subject, Mapping[str, object]]) -> None:
        for subject, known in facts.items():
            bus = known.get("pci_bus_id")
            if subject.kind == "gpu" and isinstance(bus, str) and bus:
                self.uuids[bus.rpartition(".")[0].lower()] = subject.name

    def _by_uuid(self, event: Event) -> Event:
        """The kernel names a GPU by its PCI address; everything else is kept by UUID."""
        uuid = self.uuids.get(event.subject.name.lower()) if event.subject.kind == "gpu" else None
        return event if uuid is None else replace(event, subject=replace(event.subject, name=uuid))

    def _count(self, event: Event) -> None:
        if event.code is None or event.kind not in ("xid", "sxid"):
            return
        counts = self.xid_counts if event.kind == "xid" else self.sxid_counts
        key = (event.subject.name or event.subject.node, event.code)
        number, _ = counts.get(key, (0, 0.0))
        more = event.data.get("count", 1)
        counts[key] = (number + (more if isinstance(more, int) else 1), event.at)

    def _recall(self, remembered: Remembered, key: str, read: Callable[[Any], T], otherwise: T) -> T:
        if key not in remembered.values:
            return otherwise
        try:
            return read(remembered.values[key])
        except StoreError as error:
            self.errors.append(str(error))
            return otherwise

    def _kept_book(self) -> Keep:
        return Keep(key=BOOK_KEY, value=incident_book.to_json(self._book))

    def _kept_history(self) -> Keep:
        return Keep(key=POLICY_KEY, value=policy_history.to_json(self._history))
