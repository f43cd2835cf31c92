"""InfiniBand ports: links that went down, errors of the line, counters that can no longer count.

Ports are subjects of kind ``nic`` named ``mlx5_0:1``. RDMA jobs don't survive a link that goes down, so one is enough.
Some firmware keeps the specification's short counters, which stick at their largest value: then growth can't be seen,
and that is said.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import mode

from watchdog.detectors.counters import Growth, growth
from watchdog.detectors.held import held
from watchdog.detectors.reading import Thresholds, each, label
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.samples import Series, Window
from watchdog.vocabulary.subjects import Subject

CODES = ("ib_link_down", "ib_link_flap", "ib_link_slow", "ib_errors_fatal", "ib_symbol_errors", "ib_link_recoveries",
         "ib_counter_saturated")  # fmt: skip
JUDGED = (
    "link_downed_total",
    "link_error_recovery_errors_total",
    "symbol_errors_total",
    "local_link_integrity_errors_total",
    "excessive_buffer_overrun_errors_total",
)
"""Counters that are judged here and may be short: the specification's PortCounters have 4, 8 and 16 bits."""
FATAL = ("local_link_integrity_errors_total", "excessive_buffer_overrun_errors_total", "rnr_nak_retry_errors_total")
"""Any growth breaks a connection (NVSentinel's fatal counters, beside link_downed)."""
DISABLED = 3
"""`physical_state`: somebody switched the port off (Linux, drivers/infiniband/core/sysfs.c)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(Thresholds):
    """Thresholds."""

    down_seconds: float = 10.0
    """Down for so long (ours; a port that trains again takes a few seconds)."""
    flap_period_seconds: float = 900.0
    """Flaps and fatal errors count for so long: the daemon's window (ours)."""
    symbol_per_hour: float = 120.0
    """WARN: the most that the specification allows (bit error ratio 1e-12; NVSentinel calls it fatal)."""
    symbol_per_second: float = 10.0
    """FAIL: NVSentinel's velocity limit, three hundred times the former."""
    symbol_least_seconds: float = 600.0
    """The hourly rate counts as over at least so long (ours)."""
    rate_period_seconds: float = 60.0
    """The other rates are over so long."""
    recovery_per_minute: float = 5.0
    """Retrainings of the link, WARN (NVSentinel)."""
    slow_seconds: float = 10.0
    """Below the rate that it had, or that most ports of its board have, for so long (ours)."""
    least_neighbours: int = 3
    """Other ports of the board that tell a rate (ours)."""


def detect(window: Window, limits: Limits) -> Sequence[Finding]:
    """FAIL for a link down, flapping or slow and for fatal errors; WARN for error rates; UNKNOWN for stuck counters."""
    return [
        *_down(window, limits),
        *_flaps(window, limits),
        *_slow(window, limits),
        *_fatal(window, limits),
        *_symbols(window, limits),
        *_recoveries(window, limits),
        *_saturated(window),
    ]


def _found(subject: Subject, severity: Severity, code: str, message: str, since: float, **evidence: object) -> Finding:
    return Finding(
        source="infiniband",
        subject=subject,
        severity=severity,
        code=code,
        message=message,
        action="inspect",
        since=since,
        evidence=evidence,
    )


def _down(window: Window, limits: Limits) -> Iterator[Finding]:
    """One that nobody saw up in the window may have no cable, and warns; one that is switched off gives nothing."""
    physical = window.newest("physical_state")
    for subject, series in each(window, "link_up"):
        state = held(series, lambda value: value == 0)
        if state is None or physical.get(subject) == DISABLED or state.seconds < limits.down_seconds:
            continue
        was_up = max(series.values) > 0
        unused = "" if was_up else "; if it is not used, add it to ignored of [watchdog.collectors.infiniband]"
        yield _found(
            subject,
            Severity.FAIL if was_up else Severity.WARN,
            "ib_link_down",
            f"the link of {label(window, subject)} is down for {state.seconds:.0f} s{unused}",
            state.since,
            seconds=state.seconds,
            was_up=was_up,
        )


def _flaps(window: Window, limits: Limits) -> Iterator[Finding]:
    begin = window.now - limits.flap_period_seconds
    downed, states = window.series("link_downed_total"), window.series("link_up")
    for subject in sorted({*downed, *states}):
        grown = growth(downed[subject], begin) if subject in downed else None
        falls = _falls(states[subject].since(begin)) if subject in states else []
        count = max(grown.count if grown else 0.0, len(falls))
        if not count:
            continue
        yield _found(
            subject,
            Severity.FAIL,
            "ib_link_flap",
            f"the link of {label(window, subject)} went down {count:.0f} times in the last "
            f"{limits.flap_period_seconds / 60:.0f} min",
            min([*falls[:1], *([grown.since] if grown else [])]),
            flaps=count,
            seen_down=len(falls),
            link_downed=grown.count if grown else None,
        )


def _falls(series: Series) -> list[float]:
    """When the link was first seen down after it was up, and came up again after."""
    states = list(zip(series.at, series.values, strict=True))
    downs = [at for (_, before), (at, after) in pairwise(states) if before > 0 and after == 0]
    ups = [at for (_, before), (at, after) in pairwise(states) if before == 0 and after > 0]
    return [down for down in downs if ups and down < ups[-1]]


def _slow(window: Window, limits: Limits) -> Iterator[Finding]:
    rates = window.newest("rate_bytes_per_second")
    for subject, series in each(window, "rate_bytes_per_second"):
        expected = max(_usual_rate(window, limits, subject, rates), *series.values)
        state = held(series, lambda value, expected=expected: 0 < value < expected)  # type: ignore[misc]
        if state is None or state.seconds < limits.slow_seconds:
            continue
        yield _found(
            subject,
            Severity.FAIL,
            "ib_link_slow",
            f"the link of {label(window, subject)} runs at {series.newest * 8e-9:.0f} Gb/s and can do "
            f"{expected * 8e-9:.0f} Gb/s",
            state.since,
            rate_bytes_per_second=series.newest,
            expected_bytes_per_second=expected,
        )


def _usual_rate(window: Window, limits: Limits, subject: Subject, rates: Mapping[Subject, float]) -> float:
    """The rate that most other ports of the same board have on this node; 0 where too few are known."""
    board = window.facts.get(subject, {}).get("board")
    others = [
        rate
        for other, rate in sorted(rates.items())
        if board
        and other != subject
        and other.node == subject.node
        and window.facts.get(other, {}).get("board") == board
    ]
    return mode(others) if len(others) >= limits.least_neighbours else 0.0


def _fatal(window: Window, limits: Limits) -> Iterator[Finding]:
    begin = window.now - limits.flap_period_seconds
    grown: dict[Subject, dict[str, Growth]] = {}
    for metric in FATAL:
        for subject, series in each(window, metric):
            found = growth(series, begin)
            if found is not None:
                grown.setdefault(subject, {})[metric] = found
    for subject in sorted(grown):
        counts = {metric.removesuffix("_errors_total"): one.count for metric, one in grown[subject].items()}
        words = ", ".join(f"{count:.0f} {name}" for name, count in counts.items())
        yield _found(
            subject,
            Severity.FAIL,
            "ib_errors_fatal",
            f"{label(window, subject)} counts new errors that break connections: {words}",
            min(one.since for one in grown[subject].values()),
            **counts,
        )


def _symbols(window: Window, limits: Limits) -> Iterator[Finding]:
    for subject, series in each(window, "symbol_errors_total"):
        long = growth(series, window.now - limits.flap_period_seconds)
        short = growth(series, window.now - limits.rate_period_seconds)
        per_hour = long.rate(3600, limits.symbol_least_seconds) if long else 0.0
        per_second = short.rate(1, limits.rate_period_seconds) if short else 0.0
        is_fail = per_second > limits.symbol_per_second
        if long is None or not (is_fail or per_hour > limits.symbol_per_hour):
            continue
        yield _found(
            subject,
            Severity.FAIL if is_fail else Severity.WARN,
            "ib_symbol_errors",
            f"{label(window, subject)} counts {per_hour:.0f} symbol errors an hour, {per_second:.1f}/s in the last "
            f"{limits.rate_period_seconds:.0f} s; limits {limits.symbol_per_hour:.0f}/h and "
            f"{limits.symbol_per_second:g}/s",
            long.since,
            per_hour=per_hour,
            per_second=per_second,
        )


def _recoveries(window: Window, limits: Limits) -> Iterator[Finding]:
    for subject, series in each(window, "link_error_recovery_errors_total"):
        grown = growth(series, window.now - limits.rate_period_seconds)
        per_minute = grown.rate(60, limits.rate_period_seconds) if grown else 0.0
        if grown is not None and per_minute > limits.recovery_per_minute:
            yield _found(
                subject,
                Severity.WARN,
                "ib_link_recoveries",
                f"the link of {label(window, subject)} retrained {per_minute:.0f} times a minute, limit "
                f"{limits.recovery_per_minute:g}",
                grown.since,
                per_minute=per_minute,
            )


def _saturated(window: Window) -> Iterator[Finding]:
    """The reader knows which counters are short, and names in the facts those that stand at their end."""
    for subject, series in each(window, "saturated_counters"):
        state = held(series, lambda value: value > 0)
        named = window.facts.get(subject, {}).get("saturated")
        counters = [name for name in JUDGED if isinstance(named, list) and name in named]
        if state is not None and counters:
            yield _found(
                subject,
                Severity.UNKNOWN,
                "ib_counter_saturated",
                f"{label(window, subject)}: {', '.join(counters)} stand at their largest value and can't show new "
                "errors; clear them with perfquery -R",
                state.since,
                counters=counters,
            )
