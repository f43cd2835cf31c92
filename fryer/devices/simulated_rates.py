"""What a healthy simulated GPU reaches in each burn. Pure: no torch, so that a whole fleet is simulated without it."""

from fryer.parts import WARN_OF_TYPICAL, find_part, practical_link_rate
from fryer.records import FLOPS
from watchdog.simulator.parts import Part

TYPICAL_OF_PEAK = 0.7
"""Rate of a healthy part over its peak, where `fryer.parts` has no floor to start from."""
DEFAULT_DTYPES = ("bf16", "fp8")
"""Formats that are multiplied where the user names none; those that the part lacks are skipped."""
LINK_BYTES_PER_SECOND = {3: 15.75e9, 4: 31.5e9, 5: 63.0e9, 6: 121.0e9}
"""Of sixteen lanes one way, by PCIe generation."""


def typical_rate(part: Part, burn: str, case: str, metric: str) -> float:
    """Its floor's typical value, or a share of its peak; for a part without figures one round number for all."""
    known = find_part(part.product)
    figure = known.figure(burn, case, metric) if known else None
    if figure is None:
        return 1e14 if metric == FLOPS else 1e12
    return figure.floor.warn / WARN_OF_TYPICAL if figure.floor else figure.peak * TYPICAL_OF_PEAK


def typical_link_rate(part: Part) -> float:
    """Bytes a second one way between host and GPU."""
    return practical_link_rate(LINK_BYTES_PER_SECOND[part.pcie_generation])


def multiplies(part: Part, dtype: str) -> bool:
    """Whether the part has that number format; a part without figures is taken to have all."""
    known = find_part(part.product)
    return known is None or known.figure("gemm", dtype, FLOPS) is not None
