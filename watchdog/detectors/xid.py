"""Xids of GPUs and SXids of NVSwitches in the window, graver or milder as the catalogue and the line's own word say.

An application's error never asks for more than a restart of that application, however often it is printed: 800,000
lines of one storm were 29 faults, and 672 "fatal" ones of three hours were jobs that ended. Xid 154 is
`recovery_action`'s. Lines that are only information give nothing, but for an Xid 45 that follows a grave error: its
process is a victim.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import NamedTuple

from watchdog.detectors.reading import Thresholds, count_of, label, last_at
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.samples import Event, Window
from watchdog.vocabulary.subjects import Subject
from watchdog.xids import sxid, xid

CODES = ("xid_*", "sxid_*")
RECOVERY, TEARDOWN, SM_EXCEPTION, PAGE_FAULT = 154, 45, 13, 31
SEVERITIES: Mapping[str, Severity] = MappingProxyType(
    {"info": Severity.OK, "warning": Severity.WARN, "critical": Severity.FAIL, "fatal": Severity.FAIL}
)
"""An event's word in ours; a word that is not here is worth a look."""
_RANKS = {"info": 0, "warning": 1, "critical": 2, "fatal": 3}
_LONGEST_LINE = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(Thresholds):
    """Thresholds."""

    burst_seconds: float = 180.0
    """Lines of one code with smaller gaps are one fault, printed often (NVSentinel's burst window)."""
    repeats: int = 2
    """So many faults 13 on one GPC and TPC, or 31 on one GPU alone, point at the GPU rather than the application
    (NVIDIA's workflows for Xid 13 and 31, within 24 h there)."""
    cause_seconds: float = 60.0
    """An Xid 45 at most so long after a grave error is its victim (ours; a published cascade took 12 s)."""


class _Key(NamedTuple):
    subject: Subject
    kind: str
    code: int


def detect(window: Window, limits: Limits) -> Sequence[Finding]:
    """One finding for each code on each GPU or switch, as grave as the gravest of its lines."""
    groups: defaultdict[_Key, list[Event]] = defaultdict(list)
    for event in window.events:
        if event.kind in ("xid", "sxid") and event.code is not None and (event.kind, event.code) != ("xid", RECOVERY):
            groups[_Key(event.subject, event.kind, event.code)].append(event)
    return [
        finding
        for key in sorted(groups)
        if (finding := _judge(window, limits, key, groups[key], others=_same_elsewhere(groups, key)))
    ]


def _judge(window: Window, limits: Limits, key: _Key, events: Sequence[Event], others: int) -> Finding | None:
    gravest = max(events, key=lambda event: (_RANKS.get(event.severity, 1), event.at))
    severity = SEVERITIES.get(gravest.severity, Severity.WARN)
    action = gravest.action
    more: dict[str, object] = {}
    cause = _cause(window, limits, key, events)
    if _is_application(key, gravest):
        severity, action = min(severity, Severity.WARN), "restart_app"
        if _points_at_the_gpu(limits, key, events, others):
            more["advice"] = "the same place again: run DCGM's EUD on this GPU once the job is over"
    if cause is not None:
        severity = max(severity, Severity.WARN)
        more["follows"] = f"{cause.kind} {cause.code} on {label(window, cause.subject)}"
    if severity is Severity.OK:
        return None
    count = _count(events)
    times = f", {count} times" if count > 1 else ""
    follows = f"; follows {more['follows']}" if "follows" in more else ""
    advice = f"; {more['advice']}" if "advice" in more else ""
    return Finding(
        source="xid",
        subject=key.subject,
        severity=severity,
        code=f"{key.kind}_{key.code}",
        message=f"{'Xid' if key.kind == 'xid' else 'SXid'} {key.code} on {label(window, key.subject)} "
        f"({_meaning(key)}){times}{follows}{advice}",
        action=action,
        since=events[0].at,
        evidence={
            "code": key.code,
            "count": count,
            "num_bursts": len(_bursts(events, limits)),
            "last_at": last_at(events),
            "printed_severity": gravest.severity,
            "line": (gravest.line or gravest.message)[:_LONGEST_LINE],
            **{name: gravest.data[name] for name in ("pid", "process", "link", "previous_xid") if name in gravest.data},
            **more,
        },
    )


def _count(events: Sequence[Event]) -> int:
    """Lines of the reader that saw the most: kernel log and NVML tell of the same errors."""
    counts: Counter[str] = Counter()
    for event in events:
        counts[str(event.data.get("source", ""))] += count_of(event)
    return max(counts.values())


def _is_application(key: _Key, event: Event) -> bool:
    """By the catalogue, under the driver in use where the line's reader knew it."""
    group = event.data.get("group") or xid(key.code).group
    return key.kind == "xid" and (key.code == TEARDOWN or group == "application")


def _meaning(key: _Key) -> str:
    return (xid if key.kind == "xid" else sxid)(key.code).meaning


def _cause(window: Window, limits: Limits, key: _Key, events: Sequence[Event]) -> Event | None:
    """The last grave error of the node before the first teardown; None for every other code.

    The driver's own word (``caused by previous Xid 149``) is kept as evidence: it names no GPU.
    """
    if (key.kind, key.code) != ("xid", TEARDOWN):
        return None
    first = events[0].at
    grave = [
        event
        for event in window.events
        if event.kind in ("xid", "sxid")
        and event.subject.node == key.subject.node
        and event.code not in (TEARDOWN, RECOVERY)
        and first - limits.cause_seconds <= event.at <= first
        and SEVERITIES.get(event.severity) is Severity.FAIL
    ]
    return max(grave, key=lambda event: event.at, default=None)


def _bursts(events: Sequence[Event], limits: Limits) -> list[Event]:
    """The first event of each burst."""
    later = [event for before, event in pairwise(events) if event.at - before.at > limits.burst_seconds]
    return [*events[:1], *later]


def _same_elsewhere(groups: Mapping[_Key, Sequence[Event]], key: _Key) -> int:
    """On how many other GPUs of the node the code was printed."""
    return sum(
        other.kind == key.kind
        and other.code == key.code
        and other.subject != key.subject
        and other.subject.node == key.subject.node
        for other in groups
    )


def _points_at_the_gpu(limits: Limits, key: _Key, events: Sequence[Event], others: int) -> bool:
    if key.code == PAGE_FAULT:
        return not others and len(_bursts(events, limits)) >= limits.repeats
    if key.code != SM_EXCEPTION:
        return False
    places: defaultdict[tuple[object, object], list[Event]] = defaultdict(list)
    for event in events:
        place = _place(event)
        if place is not None:
            places[place].append(event)
    return any(len(_bursts(found, limits)) >= limits.repeats for found in places.values())


def _place(event: Event) -> tuple[object, object] | None:
    """GPC and TPC, where the line named them."""
    gpc, tpc = event.data.get("gpc"), event.data.get("tpc")
    return None if gpc is None or tpc is None else (gpc, tpc)
