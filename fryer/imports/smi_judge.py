"""Judges one look at the GPUs of a node: memory, throttling, links, heat, and what the driver asks for.

One look has no history: counters since the driver was loaded are told from those of before, and what may be the state
of a moment (software thermal slowdown) is graver only where the clock shows that it costs.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from fryer.imports.conclusions import conclude
from fryer.imports.facts import NODE, Device, Facts, Value
from fryer.imports.smi_links import links
from fryer.imports.smi_memory import memory
from fryer.imports.smi_throttle import throttling
from fryer.judges.conclusion import Conclusion
from fryer.parts import find_part
from watchdog.vocabulary.verdicts import Verdict, gravest

_MARGIN_WARN_CELSIUS = 2.0
"""Degrees left to the slowdown threshold; the slowdown offset itself is 2 on an H100 (`fryer.judges.limits`)."""
_POWER_LIMIT_RATIO = 0.98
"""Below its default: somebody lowered it; rounding is far less."""
_COOL = "check airflow, fans or coolant and the heat sink's seating; compare with its neighbours"

Known = Mapping[str, Value]
Rule = Callable[[Device, Known], Iterable[Conclusion]]


def judge(facts: Facts, _: float | None = None) -> Sequence[Conclusion]:
    """Conclusions on every GPU, and on the node where they disagree."""
    found: list[Conclusion] = []
    for device in facts.devices:
        known = facts.of(device.name)
        own = [each for rule in _RULES for each in rule(device, known)]
        if gravest(each.reason.verdict for each in own) in (Verdict.SKIPPED, Verdict.PASS):
            own += _nothing_wrong(device, known, is_partial=bool(facts.of(NODE).get("is_partial")))
        found += own
    return [*found, *_firmware(facts), *_summary(facts, found)]


def _nothing_wrong(device: Device, known: Known, *, is_partial: bool) -> Iterable[Conclusion]:
    if is_partial:
        yield conclude(
            "partial_listing",
            Verdict.INCONCLUSIVE,
            "nothing is wrong in what is listed, but only a part is: give the whole nvidia-smi -q",
            device=device.name,
        )
    elif len(known) > 3:
        yield conclude("nothing_wrong", Verdict.PASS, f"{len(known)} fields read", device=device.name)


def _summary(facts: Facts, found: Sequence[Conclusion]) -> Iterable[Conclusion]:
    passed = [each for each in found if each.reason.code == "nothing_wrong"]
    if passed:
        yield conclude("nothing_wrong", Verdict.PASS, f"{len(passed)} of {len(facts.devices)} GPUs have nothing wrong")


def _lost(device: Device, known: Known) -> Iterable[Conclusion]:
    told = known.get("lost") or known.get("unreadable")
    if told:
        yield conclude(
            "device_lost",
            Verdict.FAIL,
            f"the driver can't reach it: {told}",
            device=device.name,
            remedy="drain the node, read the kernel log for Xids, reboot; if it returns, reseat or replace the GPU",
            figures={"pci_bus_id": device.pci_bus_id or None},
        )


def _recovery(device: Device, known: Known) -> Iterable[Conclusion]:
    action = known.get("recovery_action")
    asked = [str(action)] if action not in (None, "None") else []
    asked += ["reset the GPU"] if known.get("reset_required") is True and not asked else []
    asked += ["drain and reset"] if known.get("drain_recommended") is True and not asked else []
    for each in asked:
        yield conclude(
            "recovery_action",
            Verdict.FAIL,
            f"the driver asks for a recovery: {each}",
            device=device.name,
            remedy=f"drain the node, then do what the driver asks: {each}",
            figures={"recovery_action": each},
        )


def _heat(device: Device, known: Known) -> Iterable[Conclusion]:
    margin, temperature = known.get("temperature_margin_celsius"), known.get("temperature_celsius")
    slowdown = known.get("temperature_slowdown_celsius")
    if not isinstance(margin, float) and isinstance(temperature, float) and isinstance(slowdown, float):
        margin = slowdown - temperature
    if isinstance(margin, float) and margin <= _MARGIN_WARN_CELSIUS:
        yield conclude(
            "thermal_margin",
            Verdict.WARN,
            f"{margin:.0f} C are left until it slows itself down",
            device=device.name,
            remedy=_COOL,
            figures={"margin_celsius": margin, "temperature_celsius": temperature},
        )
    part = find_part(device.part)
    hbm = known.get("memory_temperature_celsius")
    if part and part.memory_warn_celsius and isinstance(hbm, float) and hbm >= part.memory_warn_celsius:
        yield conclude(
            "hbm_hot",
            Verdict.WARN,
            f"its memory is at {hbm:.0f} C, limit {part.memory_warn_celsius:.0f} C",
            device=device.name,
            remedy=_COOL,
            figures={"memory_temperature_celsius": hbm, "source": part.memory_warn_source},
        )


def _power_limit(device: Device, known: Known) -> Iterable[Conclusion]:
    limit, usual = known.get("power_limit_watts"), known.get("power_limit_default_watts")
    if isinstance(limit, float) and isinstance(usual, float) and limit < usual * _POWER_LIMIT_RATIO:
        yield conclude(
            "power_limited",
            Verdict.WARN,
            f"its power limit is {limit:.0f} W, where {usual:.0f} W is the default",
            device=device.name,
            remedy=f"if nobody wants it so: nvidia-smi -pl {usual:.0f}",
            figures={"power_limit_watts": limit, "power_limit_default_watts": usual},
        )


def _fabric(device: Device, known: Known) -> Iterable[Conclusion]:
    state, status, health = (known.get(f"fabric_{name}") for name in ("state", "status", "health"))
    wrong = []
    if state not in (None, "Completed"):
        wrong.append(f"state {state}")
    if status not in (None, "Success"):
        wrong.append(f"status {status}")
    if isinstance(health, str) and health.lower() not in ("healthy", "not supported"):
        wrong.append(f"health {health}")
    if wrong:
        yield conclude(
            "fabric",
            Verdict.FAIL,
            f"it has not joined the NVLink fabric: {', '.join(wrong)}",
            device=device.name,
            remedy="look at the fabric manager's log and at SXids; restart the fabric manager, then reset the GPUs",
        )


def _firmware(facts: Facts) -> Iterable[Conclusion]:
    """Another VBIOS than the node's other GPUs of the part."""
    known = {device: facts.of(device.name).get("vbios") for device in facts.devices}
    for part in {device.part for device in facts.devices if device.part}:
        versions = Counter(vbios for device, vbios in known.items() if device.part == part and vbios)
        usual = versions.most_common(1)[0][0] if len(versions) > 1 else None
        for device, vbios in known.items():
            if usual and device.part == part and vbios and vbios != usual:
                yield conclude(
                    "vbios_differs",
                    Verdict.WARN,
                    f"its VBIOS is {vbios}, that of the others {usual}",
                    device=device.name,
                    remedy="bring all GPUs of the node to one VBIOS",
                )


_RULES: tuple[Rule, ...] = (_lost, _recovery, memory, throttling, links, _heat, _power_limit, _fabric)
