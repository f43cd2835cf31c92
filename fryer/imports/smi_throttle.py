"""What slows a GPU down at the moment of the look, each reason on its own, with the clock that shows what it costs."""

from collections.abc import Iterable, Mapping

from fryer.imports.conclusions import conclude
from fryer.imports.facts import Device, Value
from fryer.judges.conclusion import Conclusion
from watchdog.vocabulary.verdicts import Verdict

_COSTLY_RATIO = 0.75
"""Share of the highest SM clock: software thermal slowdown takes it in small steps, so this much is no moment."""
_BRAKE = "the chassis asked for it: check power supplies, their redundancy and cabling, the rack's power cap"
_COOL = "check airflow, fans or coolant, dust and the heat sink's seating; compare with its neighbours"


def throttling(device: Device, known: Mapping[str, Value]) -> Iterable[Conclusion]:
    """``power_brake``, ``thermal_throttle``, ``hw_slowdown``. Idle, application clocks and power cap are no faults."""
    brake, hot = known.get("power_brake") is True, known.get("hw_thermal") is True
    if brake:
        yield _slowed(device, known, "power_brake", Verdict.FAIL, "the power brake", _BRAKE)
    if hot:
        yield _slowed(device, known, "thermal_throttle", Verdict.FAIL, "its hardware, for heat", _COOL)
    if known.get("sw_thermal") is True and not hot:
        verdict = Verdict.FAIL if _is_costly(known) else Verdict.WARN
        yield _slowed(device, known, "thermal_throttle", verdict, "the driver, for heat", _COOL)
    if known.get("hw_slowdown") is True and not brake and not hot:
        remedy = "check power delivery and the board's sensors (BMC log); then field diagnostics"
        yield _slowed(device, known, "hw_slowdown", Verdict.FAIL, "hardware, for neither heat nor power brake", remedy)


def _slowed(
    device: Device, known: Mapping[str, Value], code: str, verdict: Verdict, by: str, remedy: str
) -> Conclusion:
    clock, highest, celsius = (
        known.get(metric) for metric in ("sm_clock_hertz", "sm_clock_max_hertz", "temperature_celsius")
    )
    context = []
    if isinstance(clock, float) and isinstance(highest, float):
        context.append(f"{clock / 1e6:.0f} of {highest / 1e6:.0f} MHz")
    if isinstance(celsius, float):
        context.append(f"{celsius:.0f} C")
    joined = ", ".join(context)
    return conclude(
        code,
        verdict,
        f"slowed down by {by}{f' ({joined})' if joined else ''}",
        device=device.name,
        remedy=remedy,
        figures={
            "sm_clock_hertz": clock,
            "sm_clock_max_hertz": highest,
            "temperature_celsius": celsius,
            "performance_state": known.get("performance_state"),
            "power_watts": known.get("power_watts"),
        },
    )


def _is_costly(known: Mapping[str, Value]) -> bool:
    clock, highest = known.get("sm_clock_hertz"), known.get("sm_clock_max_hertz")
    return isinstance(clock, float) and isinstance(highest, float) and clock < highest * _COSTLY_RATIO
