"""A GPU whose clocks are held down: reasons decoded as a bit mask, and weighed by time.

Bits of `nvmlDeviceGetCurrentClocksEventReasons` (nvml.h): 0x1 idle, 0x2 application clocks, 0x4 software power cap, 0x8
hardware slowdown, 0x10 sync boost, 0x20 software thermal, 0x40 hardware thermal, 0x80 power brake, 0x100 display.
0x4 is the normal state of a full load and 0x1 that of none, so neither says anything. 0x8 comes with 0x40 or 0x80, and
counts apart only where neither is set. Where the driver counts nanoseconds (fields 269 to 271), its counters see what
a look each second misses. The power brake comes from outside the GPU; on a cold GPU it can't be heat, so it is supply.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from watchdog.detectors.counters import growth
from watchdog.detectors.held import GAP_SECONDS, held, together
from watchdog.detectors.reading import Thresholds, each, label, number
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.samples import Series, Window
from watchdog.vocabulary.subjects import Subject

CODES = ("thermal_throttle", "power_brake", "power_brake_cold", "hw_slowdown", "sm_clock_low")
HARDWARE_SLOWDOWN, SOFTWARE_THERMAL, HARDWARE_THERMAL, POWER_BRAKE = 0x8, 0x20, 0x40, 0x80


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(Thresholds):
    """Thresholds."""

    period_seconds: float = 600.0
    """Slowed time is summed over so long (gpud: hardware slowdown over 10 minutes)."""
    warn_seconds: float = 30.0
    """Of it, slowed: 5 %, so that a synchronous job waits one step in twenty (alert rules in use: 30 s in 10 min)."""
    fail_seconds: float = 360.0
    """Of it, slowed by heat or hardware: gpud's 0.6 events a minute over 10 minutes, one look a minute."""
    brake_fail_seconds: float = 30.0
    """Of it, slowed by the power brake, which cuts an H100 to 86 MHz (gpud's corpus): no node is of use so (ours)."""
    cold_celsius: float = 60.0
    """Below it a power brake can't be heat: far from the 85 C and more at which these GPUs slow down (ours)."""
    low_clock_ratio: float = 0.4
    """Of the highest SM clock, while busy: sichek's 800 of 1980 MHz."""
    busy_ratio: float = 0.95
    """Utilisation of a busy GPU (sichek)."""
    low_clock_warn_seconds: float = 60.0
    """How long (ours)."""
    low_clock_fail_seconds: float = 600.0
    """How long: sichek waits 900 s, which is all of our window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    code: str
    bits: int
    unless: int
    """Bits that explain these."""
    counter: str
    words: str
    remedy: str

    def is_hit(self, reasons: float) -> bool:
        return bool(int(reasons) & self.bits) and not int(reasons) & self.unless


_KINDS = (
    _Kind(
        code="thermal_throttle",
        bits=SOFTWARE_THERMAL | HARDWARE_THERMAL,
        unless=0,
        counter="thermal_throttle_seconds",
        words="slowed down by heat",
        remedy="check airflow, fans or coolant",
    ),
    _Kind(
        code="power_brake",
        bits=POWER_BRAKE,
        unless=0,
        counter="power_brake_seconds",
        words="slowed down by the power brake",
        remedy="the chassis asks for it: check power supplies, their redundancy, the rack's power cap",
    ),
    _Kind(
        code="hw_slowdown",
        bits=HARDWARE_SLOWDOWN,
        unless=HARDWARE_THERMAL | POWER_BRAKE,
        counter="",
        words="slowed down by hardware, for neither heat nor power brake",
        remedy="check power delivery and the board's sensors",
    ),
)


def detect(window: Window, limits: Limits) -> Sequence[Finding]:
    """By kind of slowdown WARN and FAIL for a share of the last minutes; a power brake is a WARN at first sight."""
    slowed = [finding for kind in _KINDS for finding in _of_kind(window, limits, kind)]
    return [*slowed, *_low_clocks(window, limits)]


def _of_kind(window: Window, limits: Limits, kind: _Kind) -> list[Finding]:
    begin = window.now - limits.period_seconds
    masks, counters = window.series("clock_event_reasons"), window.series(kind.counter)
    found = []
    for subject in sorted({*masks, *counters}):
        looks = masks[subject].since(begin) if subject in masks else Series((), ())
        counted = growth(counters[subject], begin) if subject in counters else None
        seconds = max(_looked(looks, kind.is_hit), min(counted.count, limits.period_seconds) if counted else 0.0)
        is_now = bool(looks.values) and kind.is_hit(looks.newest)
        severity = _severity(limits, kind, seconds, is_now=is_now)
        if severity is Severity.OK:
            continue
        hits = [at for at, reasons in zip(looks.at, looks.values, strict=True) if kind.is_hit(reasons)]
        begins = [*hits[:1], *([counted.since] if counted else [])]
        found.append((subject, severity, seconds, min(begins)))
    return [_finding(window, limits, kind, *one, num_gpus=len(found)) for one in found]


def _severity(limits: Limits, kind: _Kind, seconds: float, *, is_now: bool) -> Severity:
    is_brake = bool(kind.bits & POWER_BRAKE)
    if seconds >= (limits.brake_fail_seconds if is_brake else limits.fail_seconds):
        return Severity.FAIL
    if seconds >= limits.warn_seconds or (is_brake and is_now):
        return Severity.WARN
    return Severity.OK


def _looked(looks: Series, test: Callable[[float], bool]) -> float:
    """Seconds in which looks showed it: each stands for the time until the next one, the last for none."""
    if not any(test(mask) for mask in set(looks.values)):
        return 0.0
    between = zip(looks.values, pairwise(looks.at), strict=False)
    return sum(min(later - at, GAP_SECONDS) for mask, (at, later) in between if test(mask))


def _finding(
    window: Window,
    limits: Limits,
    kind: _Kind,
    subject: Subject,
    severity: Severity,
    seconds: float,
    since: float,
    num_gpus: int,
) -> Finding:
    temperature = window.newest("temperature_celsius").get(subject)
    clock = window.newest("sm_clock_hertz").get(subject)
    is_cold = kind.bits == POWER_BRAKE and temperature is not None and temperature < limits.cold_celsius
    at = "" if clock is None else f", SM clock {clock / 1e6:.0f} MHz"
    cold = f", at {temperature:.0f} C: a fault of the power supply, not heat" if is_cold else ""
    return Finding(
        source="clock_limits",
        subject=subject,
        severity=severity,
        code=f"{kind.code}_cold" if is_cold else kind.code,
        message=f"{label(window, subject)} was {kind.words} for {seconds:.0f} s of the last "
        f"{limits.period_seconds:.0f} s{at}{cold}; {kind.remedy}",
        action="inspect",
        since=since,
        evidence={
            "seconds": seconds,
            "share_ratio": seconds / limits.period_seconds,
            "clock_event_reasons": window.newest("clock_event_reasons").get(subject),
            "sm_clock_hertz": clock,
            "temperature_celsius": temperature,
            "num_gpus": num_gpus,
        },
    )


def _low_clocks(window: Window, limits: Limits) -> Iterator[Finding]:
    loads = window.series("utilization_ratio")
    for subject, series in each(window, "sm_clock_hertz"):
        most = number(window, subject, "sm_clock_max_hertz")
        if most is None or subject not in loads or series.newest >= limits.low_clock_ratio * most:
            continue
        low = held(series, _below(limits.low_clock_ratio * most))
        state = together(low, held(loads[subject], lambda value: value >= limits.busy_ratio))
        if state is None or state.seconds < limits.low_clock_warn_seconds:
            continue
        yield Finding(
            source="clock_limits",
            subject=subject,
            severity=Severity.FAIL if state.seconds >= limits.low_clock_fail_seconds else Severity.WARN,
            code="sm_clock_low",
            message=f"{label(window, subject)} is busy at an SM clock of {series.newest / 1e6:.0f} MHz of "
            f"{most / 1e6:.0f} MHz for {state.seconds:.0f} s",
            action="reset_gpu",
            since=state.since,
            evidence={"sm_clock_hertz": series.newest, "sm_clock_max_hertz": most, "seconds": state.seconds},
        )


def _below(limit: float) -> Callable[[float], bool]:
    return lambda value: value < limit
