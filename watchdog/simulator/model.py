"""What a GPU of a scenario shows at a moment, and how fast it is then. Pure: the same arguments, the same answer.

A GPU of a scenario is always under a full load, as during a burn: near its power limit, with SW power cap in force.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import NormalDist

from watchdog.simulator.fault import Fault
from watchdog.simulator.parts import PARTS
from watchdog.simulator.scenario import Scenario

SW_POWER_CAP, HW_SLOWDOWN, SW_THERMAL, HW_THERMAL, POWER_BRAKE = 0x4, 0x8, 0x20, 0x40, 0x80
"""Clock event reasons (nvml.h, nvmlClocksEventReason*)."""

_COMPUTE = ("slow", "throttle", "power_brake")
"""Kinds that make products slower; `hot` does too when it is the core that is hot."""
_DEFAULT_FACTOR = {"throttle": 0.7, "power_brake": 0.5, "hot": 0.8}
_WARM_CELSIUS, _MEMORY_ABOVE_CORE = 64.0, 12.0
_LOAD_RATIO, _BRAKED_RATIO = 0.97, 0.6
"""Power under a full load over the limit, and what a power brake leaves of it."""
_PART_SPREAD = 0.5
"""Healthy GPUs differ for good by this share of the scenario's noise."""
_GIGATRANSFERS = {1: 2.5, 2: 5.0, 3: 8.0, 4: 16.0, 5: 32.0, 6: 64.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuState:
    """Everything that NVML is asked for."""

    at_seconds: float
    power_watts: float
    energy_joules: float
    temperature_celsius: float
    memory_temperature_celsius: float
    margin_celsius: float
    sm_clock_hertz: float
    reasons: int
    thermal_seconds: float
    power_brake_seconds: float
    ecc_corrected: int
    ecc_uncorrected: int
    remapped_corrected: int
    remapped_uncorrected: int
    remap_pending: bool
    remap_failed: bool
    pcie_generation: int
    pcie_width: int
    nvlink_errors: int
    recovery_action: int
    is_lost: bool
    is_hung: bool


def gpu_state(scenario: Scenario, node: str, index: int, at_seconds: float) -> GpuState:
    """State of one GPU; counters never fall while time goes on."""
    part = PARTS[scenario.fleet.part]
    every = scenario.all_faults_on(node, f"gpu{index}")
    now = [fault for fault in every if fault.is_active(at_seconds)]
    kinds = {fault.kind for fault in now}
    jitter = noise(scenario, node, index, "state", int(at_seconds))
    core, memory = _temperatures(now, jitter)
    braked = _elapsed(every, at_seconds, lambda fault: fault.kind == "power_brake")
    clock = part.sm_clock_max_hertz * part.sustained_ratio * _clock_factor(now)
    return GpuState(
        at_seconds=at_seconds,
        power_watts=part.power_limit_watts
        * min(1.0, _LOAD_RATIO + jitter)
        * (_BRAKED_RATIO if "power_brake" in kinds else 1.0),
        energy_joules=part.power_limit_watts * _LOAD_RATIO * (at_seconds - (1 - _BRAKED_RATIO) * braked),
        temperature_celsius=core,
        memory_temperature_celsius=memory,
        margin_celsius=part.slowdown_celsius - core,
        sm_clock_hertz=round(clock * (1 + 0.2 * jitter) / 15e6) * 15e6,
        reasons=_reasons(now),
        thermal_seconds=_elapsed(every, at_seconds, _is_thermal),
        ecc_corrected=_ecc(every, at_seconds, is_corrected=True),
        power_brake_seconds=braked,
        ecc_uncorrected=_ecc(every, at_seconds, is_corrected=False),
        remapped_corrected=_remapped(every, at_seconds, is_corrected=True),
        remapped_uncorrected=_remapped(every, at_seconds, is_corrected=False),
        remap_pending=any(fault.kind == "row_remap" and fault.pending is not False for fault in now),
        remap_failed=any(fault.kind == "row_remap" and bool(fault.failed) for fault in now),
        pcie_generation=min([part.pcie_generation, *(f.generation for f in now if f.generation)]),
        pcie_width=min([16, *(f.width for f in now if f.width)]),
        nvlink_errors=sum(_grown(f, at_seconds) for f in every if f.kind == "nvlink_errors"),
        recovery_action=max([0, *(f.recovery_action for f in now if f.recovery_action)]),
        is_lost="lost" in kinds,
        is_hung="hang" in kinds,
    )


def performance_factor(scenario: Scenario, node: str, index: int, at_seconds: float, what: str) -> float:
    """Rate over that of a typical healthy GPU; `what` is ``compute``, ``memory``, ``link`` (to the host) or ``peer``.

    ``peer`` is the way to another GPU: over NVLink where the part has it, which a narrow host link does not slow.
    """
    now = scenario.faults_on(node, f"gpu{index}", at_seconds)
    factor = 1 + _PART_SPREAD * noise(scenario, node, index, what, 0)
    for fault in now:
        factor *= _slowed(fault, what)
    if what == "link" or (what == "peer" and not PARTS[scenario.fleet.part].nvlinks):
        factor *= _link_factor(scenario, now)
    return factor


def noise(scenario: Scenario, node: str, index: int, what: str, tick: int) -> float:
    """A normal number with the scenario's noise as standard deviation, the same for the same arguments."""
    text = f"{scenario.seed}/{node}/{index}/{what}/{tick}".encode()
    uniform = (int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") + 0.5) / 2**64
    return scenario.fleet.noise * NormalDist().inv_cdf(uniform)


def _slowed(fault: Fault, what: str) -> float:
    factor = fault.factor or _DEFAULT_FACTOR.get(fault.kind, 1.0)
    if fault.kind == "slow":
        return factor if ("link" if what == "peer" else what) == (fault.what or "compute") else 1.0
    if fault.kind in _COMPUTE:
        return factor if what == "compute" else 1.0
    if fault.kind == "hot":
        return factor if what == ("memory" if fault.sensor == "memory" else "compute") else 1.0
    return 1.0


def _clock_factor(now: Iterable[Fault]) -> float:
    """The clock follows what throttles it. A GPU that is `slow` for no visible reason shows a healthy clock."""
    factor = 1.0
    for fault in now:
        if fault.kind != "slow":
            factor *= _slowed(fault, "compute")
    return factor


def _link_factor(scenario: Scenario, now: Iterable[Fault]) -> float:
    full = PARTS[scenario.fleet.part].pcie_generation
    factor = 1.0
    for fault in now:
        if fault.kind == "pcie_narrow":
            generation = min(full, fault.generation or full)
            factor *= (fault.width or 16) / 16 * _GIGATRANSFERS[generation] / _GIGATRANSFERS[full]
    return factor


def _temperatures(now: Iterable[Fault], jitter: float) -> tuple[float, float]:
    """Core and HBM, in degrees Celsius."""
    core = _WARM_CELSIUS + 100 * jitter
    memory = core + _MEMORY_ABOVE_CORE
    for fault in now:
        if fault.kind == "throttle":
            core = fault.celsius or 87.0
        elif fault.kind == "hot" and fault.sensor == "memory":
            memory = fault.celsius or 98.0
        elif fault.kind == "hot":
            core = fault.celsius or 88.0
    return core, max(memory, core + 2)


def _is_thermal(fault: Fault) -> bool:
    return fault.kind == "throttle" or (fault.kind == "hot" and fault.sensor != "memory")


def _reasons(now: Iterable[Fault]) -> int:
    """SW power cap is the normal state of a full load; faults add their bits to it."""
    mask = SW_POWER_CAP
    for fault in now:
        if _is_thermal(fault):
            mask |= SW_THERMAL | HW_THERMAL | HW_SLOWDOWN
        elif fault.kind == "power_brake":
            mask |= POWER_BRAKE | HW_SLOWDOWN
    return mask


def _elapsed(every: Iterable[Fault], at_seconds: float, counts: Callable[[Fault], bool]) -> float:
    """Time in which at least one of those faults was in force: where two overlap it counts once."""
    spans = sorted(
        (f.at_seconds, min(at_seconds, f.end_seconds))
        for f in every
        if counts(f) and f.step is None and f.at_seconds < at_seconds
    )
    total, reached = 0.0, 0.0
    for begin, end in spans:
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total


def _grown(fault: Fault, at_seconds: float) -> int:
    """A count that is there at once, or that grows."""
    if at_seconds < fault.at_seconds or fault.step is not None:
        return 0
    return (fault.count or 0) + int((fault.per_second or 0.0) * fault.elapsed_seconds(at_seconds))


def _ecc(every: Iterable[Fault], at_seconds: float, *, is_corrected: bool) -> int:
    return sum(
        _grown(fault, at_seconds) for fault in every if fault.kind == "ecc" and bool(fault.corrected) == is_corrected
    )


def _remapped(every: Iterable[Fault], at_seconds: float, *, is_corrected: bool) -> int:
    return sum(
        (fault.count or 1)
        for fault in every
        if fault.kind == "row_remap" and at_seconds >= fault.at_seconds and bool(fault.corrected) == is_corrected
    )
