"""Failures so clear that no more burning is needed: found while a node burns, so that it does not burn on for hours.

Pure. It reads what the last `WINDOW_SECONDS` brought, as evidence, and looks only for what the judges of the finished
run would fail as well, and by a wide margin: a device that is merely slow burns on to its end, as do processors (others
may use them) and GPUs that other processes use. Whether an end is worth it is `is_worth`'s to say.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from statistics import median, median_low

from fryer.ceiling import possible
from fryer.evidence import DeviceInfo, Measurement, NodeEvidence
from fryer.judges.conclusion import alike, count_of, show_rate, what
from fryer.judges.throttle import HARDWARE_SLOWDOWN, HARDWARE_THERMAL, POWER_BRAKE
from fryer.judges.xid import HARDWARE
from fryer.parts import find_part
from fryer.records import Problem
from fryer.steady import steady_points
from watchdog.collectors.readings import GpuReading
from watchdog.vocabulary.units import show_quantity
from watchdog.vocabulary.verdicts import Verdict

CODE = "clear_failure"
"""Of the problems that are found here."""
SOAK_SECONDS = 20.0
"""Nothing is clear before: clocks rise and libraries warm up for seconds, and a second finding may tell more."""
WINDOW_SECONDS = 60.0
"""What is looked at, up to now. Three times `SOAK_SECONDS`, so that a series which settles late is seen settled."""
WORTH_SECONDS = 60.0
"""With less than this left the node burns on: what it still says of the other devices is worth the minute."""
RATE_RATIO = 0.5
"""Of what others reach, or of the floor at which the part fails. Ours: the largest spread of healthy GPUs that was
published is 22 % (see `Limits.best_fail_ratio`), so half is more than twice as far."""
CLOCK_RATIO = 0.6
"""Of the others' SM clock. Hardware slowdown cuts clocks "by a factor of 2 or more" (nvml.h, HwSlowdown); the rest is
for readings between two steps of the clock."""
LEAST_POINTS = 12
"""Of a series, and readings of a GPU: one a second in `SOAK_SECONDS`, with room for those that were missed."""
LEAST_OTHERS = 2
"""Devices to compare with: of two that differ nobody knows which one is right."""
_SLOWED = HARDWARE_SLOWDOWN | HARDWARE_THERMAL | POWER_BRAKE
_COMPARED = ("gemm", "hbm")
"""Burns whose figures neither a link nor the other devices' load decides."""


def clear_failures(evidence: NodeEvidence) -> tuple[Problem, ...]:
    """One FAIL for each device that fails clearly, by its first sign: lost, wrong, slowed down by hardware, or slow.

    `evidence`: of the last `WINDOW_SECONDS`, of a node that has burnt for `SOAK_SECONDS` at least.
    """
    found: dict[str, Problem] = {}
    for problem in chain(_lost(evidence), _wrong(evidence), _slowed(evidence), _slow(evidence)):
        found.setdefault(problem.device, problem)
    return tuple(found.values())


def is_worth(left_seconds: float) -> bool:
    """Whether an early end saves anything, with `left_seconds` of the plan to go."""
    return left_seconds > WORTH_SECONDS


def _lost(evidence: NodeEvidence) -> Iterator[Problem]:
    names = {device.uuid: device.name for device in evidence.devices}
    for problem in evidence.problems:
        if problem.code == "device_lost" and problem.device:
            yield _problem(problem.device, problem.burn, problem.message)
    for device in evidence.devices:
        if any(reading.lost for reading in evidence.gpu_readings.get(device.name, ())):
            yield _problem(device.name, "", f"{device.name}: NVML can no longer reach it")
    for event in evidence.xids:
        if event.code in HARDWARE and event.uuid in names:
            name = names[event.uuid]
            yield _problem(name, "", f"{name}: the driver reported Xid {event.code}")


def _wrong(evidence: NodeEvidence) -> Iterator[Problem]:
    for device in evidence.devices:
        own = [wrong for wrong in evidence.mismatches if wrong.device == device.name]
        if own:
            words = f"{count_of(len(own), 'wrong result')} in {own[0].burn} {own[0].case}".rstrip()
            yield _problem(device.name, own[0].burn, f"{device.name}: {words}", own[0].case)


def _slowed(evidence: NodeEvidence) -> Iterator[Problem]:
    """By hardware, at each look of the last `SOAK_SECONDS`, far below the others that are not."""
    looks = {
        device.name: looks
        for device in evidence.devices
        if (looks := _last_looks(evidence.gpu_readings.get(device.name, ())))
    }
    clocks = {name: median(clock for clock, _ in found) for name, found in looks.items()}
    free = {name for name, found in looks.items() if not any(is_slowed for _, is_slowed in found)}
    for device in evidence.devices:
        name = device.name
        others = [clocks[other.name] for other in evidence.devices if other.part == device.part and other.name in free]
        if name not in looks or not all(slowed for _, slowed in looks[name]) or len(others) < LEAST_OTHERS:
            continue
        if clocks[name] < CLOCK_RATIO * median_low(others):
            own, theirs = (show_quantity(clock, "Hz") for clock in (clocks[name], median_low(others)))
            words = f"slowed down by hardware for {SOAK_SECONDS:.0f} s, at {own}; the others are at {theirs}"
            yield _problem(name, "", f"{name}: {words}")


def _last_looks(readings: Sequence[GpuReading]) -> list[tuple[float, bool]]:
    """SM clock, and whether hardware slows it down, at each look of the last `SOAK_SECONDS`; empty with too few."""
    last = [reading for reading in readings if reading.at_seconds >= readings[-1].at_seconds - SOAK_SECONDS]
    found = [
        (reading.sm_clock_hertz, bool(reading.clock_event_reasons & _SLOWED))
        for reading in last
        if reading.sm_clock_hertz is not None and reading.clock_event_reasons is not None
    ]
    return found if len(found) == len(last) >= LEAST_POINTS else []


def _slow(evidence: NodeEvidence) -> Iterator[Problem]:
    """In a settled state, at every point, below half of what it is held against."""
    devices = {device.name: device for device in evidence.devices}
    figures = [m for m in possible(evidence) if m.burn in _COMPARED and m.device in devices and is_settled(m)]
    for group in alike(evidence, figures):
        for found in group:
            device = devices[found.device]
            if device.kind == "cpu" or evidence.gpu_processes.get(device.name):
                continue
            for reference, words in _references(found, device, group):
                if all(point.value < RATE_RATIO * reference for point in steady_points(found)):
                    own, theirs = (show_rate(v, found.metric, found.case) for v in (found.value, reference))
                    message = f"{device.name}: {what(found)} at {own}, less than half of {theirs}, {words}"
                    yield _problem(device.name, found.burn, message, found.case)


def is_settled(found: Measurement) -> bool:
    """Long enough and level, so that its median is a rate and no warm-up."""
    points = steady_points(found)
    return (
        found.steady_from_seconds is not None
        and len(points) >= LEAST_POINTS
        and points[-1].at_seconds - points[0].at_seconds >= SOAK_SECONDS - 1.0  # the first point ends a second's work
    )


def _references(found: Measurement, device: DeviceInfo, group: Sequence[Measurement]) -> Iterator[tuple[float, str]]:
    others = [other.value for other in group if other.device != found.device]
    if len(others) >= LEAST_OTHERS:
        yield median_low(others), f"the median of {len(others)} others"
    part = find_part(device.part)
    floor = part.floor(found.burn, found.case, found.metric) if part else None
    if floor is not None:
        yield floor.fail, f"at which a {device.part} fails"


def _problem(device: str, burn: str, message: str, case: str = "") -> Problem:
    return Problem(device=device, burn=burn, case=case, verdict=Verdict.FAIL, code=CODE, message=message)
