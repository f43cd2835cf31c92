"""The PCIe link of one GPU at the moment of the look.

A link at rest lowers its generation to save power, so a low generation counts only on a busy GPU. Its width does not
change at rest, so fewer lanes than it could have are a fault at any time.
"""

from collections.abc import Iterable, Mapping

from fryer.imports.conclusions import conclude
from fryer.imports.facts import Device, Value
from fryer.judges.conclusion import Conclusion
from watchdog.vocabulary.verdicts import Verdict

_BUSY_RATIO = 0.5
"""Utilisation from which a GPU is in the state where its link is at full speed (as `fryer.judges.narrow`)."""
_REMEDY = "reseat the GPU or its riser; look for AER errors; check the slot's setting in the firmware"


def links(device: Device, known: Mapping[str, Value]) -> Iterable[Conclusion]:
    """``narrow_link`` and ``slow_link``."""
    width, widest = _whole(known, "pcie_width"), _whole(known, "pcie_width_max")
    generation, best = _whole(known, "pcie_generation"), _whole(known, "pcie_generation_max")
    if width and widest and width < widest:
        yield conclude(
            "narrow_link",
            Verdict.FAIL,
            f"its PCIe link has {width} lanes of {widest}",
            device=device.name,
            remedy=_REMEDY,
            figures={"pcie_width": width, "pcie_width_max": widest},
        )
    if generation and best and generation < best and _is_busy(known):
        yield conclude(
            "slow_link",
            Verdict.FAIL,
            f"its PCIe link runs at generation {generation} of {best} while the GPU is busy",
            device=device.name,
            remedy=_REMEDY,
            figures={"pcie_generation": generation, "pcie_generation_max": best},
        )
    able = _whole(known, "pcie_generation_device_max")
    if able and best and best < able:
        yield conclude(
            "slot_below_device",
            Verdict.WARN,
            f"its slot gives PCIe generation {best}, the GPU can do {able}",
            device=device.name,
            remedy="check the slot's setting in the firmware, if the platform can do more",
            figures={"pcie_generation_max": best, "pcie_generation_device_max": able},
        )


def _is_busy(known: Mapping[str, Value]) -> bool:
    used = known.get("utilization_ratio")
    return isinstance(used, float) and used >= _BUSY_RATIO and known.get("idle") is not True


def _whole(known: Mapping[str, Value], metric: str) -> int | None:
    value = known.get(metric)
    return int(value) if isinstance(value, float) else None
