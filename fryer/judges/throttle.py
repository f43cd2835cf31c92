"""A GPU that slows itself down: reasons decoded as a bit mask, and weighed by time.

Bits of `nvmlDeviceGetCurrentClocksEventReasons` (nvml.h): 0x1 idle, 0x2 application clocks, 0x4 software power cap, 0x8
hardware slowdown, 0x10 sync boost, 0x20 software thermal, 0x40 hardware thermal, 0x80 power brake, 0x100 display.
0x4 is the normal state of a bf16 product at 700 W and 0x1 that of no load, so neither says anything. 0x8 comes with
0x40 or 0x80 and counts apart only where neither is set. Where the driver counts nanoseconds (fields 269 to 271), the
counters see what a look each second misses.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from fryer.evidence import NodeEvidence
from fryer.judges.conclusion import Conclusion, burn_at, conclude, increase
from fryer.judges.limits import Limits
from watchdog.collectors.readings import GpuReading
from watchdog.vocabulary.units import show_duration
from watchdog.vocabulary.verdicts import Verdict

HARDWARE_SLOWDOWN, SOFTWARE_THERMAL, HARDWARE_THERMAL, POWER_BRAKE = 0x8, 0x20, 0x40, 0x80


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    code: str
    bits: int
    unless: int
    """Bits that explain these."""
    counter: str | None
    words: str
    remedy: str


_KINDS = (
    _Kind(
        code="thermal_throttle",
        bits=SOFTWARE_THERMAL | HARDWARE_THERMAL,
        unless=0,
        counter="thermal_throttle_seconds",
        words="slowed down by heat",
        remedy="check airflow, fans or coolant, dust and the heat sink's seating; compare with its neighbours",
    ),
    _Kind(
        code="power_brake",
        bits=POWER_BRAKE,
        unless=0,
        counter="power_brake_seconds",
        words="slowed down by the power brake",
        remedy="the chassis asked for it: check power supplies, their redundancy and cabling, the rack's power cap",
    ),
    _Kind(
        code="hw_slowdown",
        bits=HARDWARE_SLOWDOWN,
        unless=HARDWARE_THERMAL | POWER_BRAKE,
        counter=None,
        words="slowed down by hardware, for neither heat nor power brake",
        remedy="check power delivery and the board's sensors (BMC log); then field diagnostics",
    ),
)


def judge(evidence: NodeEvidence, limits: Limits) -> Sequence[Conclusion]:
    """One conclusion for each GPU and kind of slowdown: WARN for any, FAIL for a share of the time."""
    return [
        conclusion
        for device in evidence.devices
        for looks in [_looks(evidence.gpu_readings.get(device.name, ()))]
        for kind in _KINDS
        if (conclusion := _weigh(evidence, device.name, kind, looks, limits))
    ]


def _weigh(
    evidence: NodeEvidence, device: str, kind: _Kind, looks: Sequence[tuple[GpuReading, float]], limits: Limits
) -> Conclusion | None:
    readings = evidence.gpu_readings.get(device, ())
    total = sum([seconds for _, seconds in looks])
    hit = [(reading, seconds) for reading, seconds in looks if _is_hit(reading, kind)]
    counted = min(increase(readings, kind.counter) or 0.0, total) if kind.counter else 0.0
    if counted <= limits.throttle_ignore_seconds and not hit:
        return None
    sampled = sum(seconds for _, seconds in hit)
    seconds = max(counted, sampled)
    share = seconds / total
    is_lasting = counted >= limits.throttle_fail_seconds or (len(hit) > 1 and sampled >= limits.throttle_fail_seconds)
    verdict = Verdict.FAIL if is_lasting and share > limits.throttle_fail_ratio else Verdict.WARN
    figures = {
        "seconds": seconds,
        "share_ratio": share,
        "num_looks": len(looks),
        "num_looks_slowed": len(hit),
        "counter_seconds": counted if kind.counter else None,
        "fail_ratio": limits.throttle_fail_ratio,
        **_clocks(looks, kind),
    }
    first = hit[0][0] if hit else readings[0]
    return conclude(
        evidence,
        device,
        kind.code,
        verdict,
        f"{device} was {kind.words} for {show_duration(seconds)} of {show_duration(total)} ({share:.1%})",
        figures=figures,
        remedy=kind.remedy,
        burn=burn_at(evidence, device, first.at_seconds),
    )


def _is_hit(reading: GpuReading, kind: _Kind) -> bool:
    reasons = reading.clock_event_reasons or 0
    return bool(reasons & kind.bits) and not reasons & kind.unless


def _looks(readings: Sequence[GpuReading]) -> list[tuple[GpuReading, float]]:
    """Each reading and the time that it stands for: until the next one; the last as long as the others usually do."""
    if not readings:
        return []
    lengths = [max(0.0, later.at_seconds - earlier.at_seconds) for earlier, later in pairwise(readings)]
    usual = median(lengths) if lengths else 1.0
    return list(zip(readings, [*lengths, usual or 1.0], strict=True))


def _clocks(looks: Sequence[tuple[GpuReading, float]], kind: _Kind) -> dict[str, object]:
    """Median SM clock while slowed down and otherwise: what it cost."""
    clocks: dict[bool, list[float]] = {True: [], False: []}
    for reading, _ in looks:
        if reading.sm_clock_hertz is not None:
            clocks[_is_hit(reading, kind)].append(reading.sm_clock_hertz)
    return {
        "sm_clock_slowed_hertz": median(clocks[True]) if clocks[True] else None,
        "sm_clock_otherwise_hertz": median(clocks[False]) if clocks[False] else None,
    }
