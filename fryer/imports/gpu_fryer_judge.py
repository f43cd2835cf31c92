"""Our judgement of gpu-fryer's figures: against the median of the node, the floor of the part, and its ceiling.

gpu-fryer compares with the best GPU alone and has no floor, so it passes a node that is slow as a whole; and it fails
a GPU for a single tick, where this weighs time.
"""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from fryer.imports.conclusions import conclude
from fryer.imports.facts import NODE, Device, Facts, Value
from fryer.judges.conclusion import Conclusion
from fryer.judges.limits import Limits
from fryer.parts import find_part
from fryer.records import FLOPS
from watchdog.vocabulary.units import show_quantity
from watchdog.vocabulary.verdicts import Verdict, gravest

_LIMITS = Limits()
_CASES = {"bf16": "bf16 8192x8192x8192", "fp8": "fp8 8192x8192x8192", "fp32": "tf32 8192x8192x8192"}
"""gpu-fryer's formats and ours: its fp32 runs on tensor cores, as TF32."""
_CEILING_RATIO = 1.10
"""Of the data sheet: its figure is for a clock up to 8 % below the highest (`fryer.parts`)."""
_SLOWDOWNS = (
    ("power_brake", "power_brake", "the power brake", "check power supplies, their redundancy, the rack's power cap"),
    (
        "hw_thermal",
        "thermal_throttle",
        "its hardware, for heat",
        "check airflow, fans or coolant, the heat sink's seating",
    ),
    (
        "sw_thermal",
        "thermal_throttle",
        "the driver, for heat",
        "check airflow, fans or coolant, the heat sink's seating",
    ),
    ("hw_slowdown", "hw_slowdown", "hardware", "check power delivery and the board's sensors (BMC log)"),
)


def judge(facts: Facts, _: float | None = None) -> Sequence[Conclusion]:
    """Conclusions on each GPU."""
    known = {device.name: facts.of(device.name) for device in facts.devices}
    rates = {name: rate for name, each in known.items() if isinstance(rate := each.get("flops_per_second"), float)}
    formats = str(facts.of(NODE).get("formats", "")).split()
    found: list[Conclusion] = []
    for device in facts.devices:
        own = [
            *_speed(device, rates),
            *_against_part(device, rates, formats),
            *(each for rule in _SLOWDOWNS for each in _slowed(device, known[device.name], rule)),
        ]
        if device.name in rates and gravest(each.reason.verdict for each in own) in (Verdict.SKIPPED, Verdict.PASS):
            own.append(_pass(device, rates, formats))
        found += own
    return [*found, *_its_own(facts, found), *_summary(facts, found)]


def _speed(device: Device, rates: Mapping[str, float]) -> Iterable[Conclusion]:
    rate = rates.get(device.name)
    if rate is None:
        yield conclude(
            "not_measured",
            Verdict.INCONCLUSIVE,
            "it was detected and has no result",
            device=device.name,
            remedy="burn it too, or look at why it did not run",
        )
        return
    if rate <= 0:
        yield conclude(
            "no_work",
            Verdict.FAIL,
            "it did no work at all",
            device=device.name,
            remedy="read the kernel log for Xids, reset the GPU",
        )
        return
    usual = median(rates.values())
    below = 1 - rate / usual if usual > 0 else 0.0
    if len(rates) >= _LIMITS.node_least_devices and below > _LIMITS.node_warn_ratio:
        yield conclude(
            "below_node",
            Verdict.FAIL if below > _LIMITS.node_fail_ratio else Verdict.WARN,
            f"{_show(rate)}, {below:.1%} below the median of the node's GPUs ({_show(usual)})",
            device=device.name,
            remedy="compare its clock, power and temperature with the others; swap its slot",
            figures={"value": rate, "median": usual, "below_ratio": below},
        )


def _against_part(device: Device, rates: Mapping[str, float], formats: Sequence[str]) -> Iterable[Conclusion]:
    part, rate = find_part(device.part), rates.get(device.name, 0.0)
    case = _CASES.get(formats[0]) if len(formats) == 1 else None
    figure = part.figure("gemm", case, FLOPS) if part and case else None
    if part is None or figure is None or case is None or rate <= 0:
        return
    floor = part.floor("gemm", case, FLOPS)
    if rate > figure.peak * _CEILING_RATIO:
        yield conclude(
            "above_ceiling",
            Verdict.ERROR,
            f"{_show(rate)} is more than a {device.part} can do ({_show(figure.peak)}): the figure is wrong",
            device=device.name,
            remedy="burn longer: gpu-fryer counts what it enqueued, not what was done",
            figures={"value": rate, "peak": figure.peak, "source": figure.peak_source},
        )
    elif floor and rate < floor.warn:
        verdict = Verdict.FAIL if rate < floor.fail else Verdict.WARN
        limit = floor.fail if verdict is Verdict.FAIL else floor.warn
        yield conclude(
            "below_floor",
            verdict,
            f"{_show(rate)}, below the {_show(limit)} that a healthy {device.part} reaches",
            device=device.name,
            remedy="check cooling, power limit and application clocks; compare with a healthy node",
            figures={"value": rate, "warn": floor.warn, "fail": floor.fail, "source": floor.source},
        )


def _slowed(device: Device, known: Mapping[str, Value], rule: tuple[str, str, str, str]) -> Iterable[Conclusion]:
    kind, code, by, remedy = rule
    counts = [known.get(f"{kind}_ticks"), known.get(f"{kind}_ticks_logged")]
    slowed = max((count for count in counts if isinstance(count, float)), default=0.0)
    logged = known.get("ticks")
    total = max(slowed, logged if isinstance(logged, float) else 0.0)
    if not slowed:
        return
    share = slowed / total
    is_lasting = slowed >= _LIMITS.throttle_fail_seconds and share > _LIMITS.throttle_fail_ratio
    yield conclude(
        code,
        Verdict.FAIL if is_lasting else Verdict.WARN,
        f"slowed down by {by} for {slowed:.0f} of {total:.0f} s",
        device=device.name,
        remedy=remedy,
        figures={"ticks": slowed, "share_ratio": share, "fail_ratio": _LIMITS.throttle_fail_ratio},
    )


def _pass(device: Device, rates: Mapping[str, float], formats: Sequence[str]) -> Conclusion:
    part, case = find_part(device.part), _CASES.get(formats[0]) if len(formats) == 1 else None
    has_floor = bool(part and case and part.floor("gemm", case, FLOPS))
    rate = rates[device.name]
    if has_floor:
        return conclude("nothing_wrong", Verdict.PASS, f"{_show(rate)}, above the floor", device=device.name)
    if len(rates) >= _LIMITS.node_least_devices:
        message = f"{_show(rate)}, as the others; no floor is published for {device.part or 'the part'} in this format"
        return conclude("nothing_wrong", Verdict.PASS, message, device=device.name)
    return conclude(
        "no_expectation",
        Verdict.INCONCLUSIVE,
        f"{_show(rate)}: no floor is published for {device.part or 'the part'} in this format, and there are too few "
        "GPUs to compare",
        device=device.name,
    )


def _its_own(facts: Facts, found: Sequence[Conclusion]) -> Iterable[Conclusion]:
    """What gpu-fryer itself objected to and this does not."""
    graver = {each.device for each in found if each.reason.verdict is not Verdict.PASS}
    for check in facts.checks:
        if check.subject not in graver:
            yield conclude(
                "tool_says_unhealthy",
                Verdict.WARN,
                f"gpu-fryer calls it unhealthy ({check.name}), which its figures do not show",
                device=check.subject,
                remedy="burn longer, with fryer run",
            )


def _summary(facts: Facts, found: Sequence[Conclusion]) -> Iterable[Conclusion]:
    passed = [each for each in found if each.reason.code == "nothing_wrong"]
    if passed:
        yield conclude(
            "nothing_wrong",
            Verdict.PASS,
            f"{len(passed)} of {len(facts.devices)} GPUs have nothing wrong; gpu-fryer verifies no result and sees no "
            "combined throttle reasons",
        )


def _show(value: float) -> str:
    return show_quantity(value, "FLOP/s")
