"""Errors that links repair by sending again: NVLink errors and PCIe replays that grew while the node was burnt.

A repaired error costs little and shows a link that is not clean; many cost bandwidth, and come before a loss. Rates are
of the worst window, so that a burn of links that is a tenth of the run is not diluted by the rest of it.
"""

from collections.abc import Sequence

from fryer.evidence import NodeEvidence
from fryer.judges.conclusion import Conclusion, burn_at, conclude, count_of
from fryer.judges.limits import Limits
from watchdog.collectors.readings import GpuReading
from watchdog.detectors.pcie_replay import expected_per_minute
from watchdog.vocabulary.verdicts import Verdict

_NVLINK_WINDOW_SECONDS = 10.0
"""Some looks, since the reader may come late once."""
_PCIE_WINDOW_SECONDS = 60.0
"""As DCGM counts them."""


def judge(evidence: NodeEvidence, limits: Limits) -> Sequence[Conclusion]:
    """``nvlink_errors`` and ``pcie_replays``: WARN for any growth, FAIL above the rate that DCGM allows."""
    return [
        conclusion
        for device in evidence.devices
        for judge_one in (_nvlink, _pcie)
        if (conclusion := judge_one(evidence, device.name, limits))
    ]


def _nvlink(evidence: NodeEvidence, device: str, limits: Limits) -> Conclusion | None:
    readings = evidence.gpu_readings.get(device, ())
    new, worst, at_seconds = growth(readings, "nvlink_errors_total", _NVLINK_WINDOW_SECONDS)
    if not new:
        return None
    per_second = worst / _NVLINK_WINDOW_SECONDS
    return conclude(
        evidence,
        device,
        "nvlink_errors",
        Verdict.FAIL if per_second > limits.nvlink_fail_per_second else Verdict.WARN,
        f"the NVLinks of {device} counted {count_of(new, 'error')} during the run, up to {per_second:,.1f} a second "
        f"(limit {limits.nvlink_fail_per_second:.0f})",
        figures={
            "new": new,
            "worst_per_second": per_second,
            "window_seconds": _NVLINK_WINDOW_SECONDS,
            "fail_per_second": limits.nvlink_fail_per_second,
            "at_seconds": at_seconds,
        },
        remedy="see which link with nvidia-smi nvlink -e; reseat or clean the board's connectors; if it stays, replace",
        burn=burn_at(evidence, device, at_seconds),
    )


def _pcie(evidence: NodeEvidence, device: str, limits: Limits) -> Conclusion | None:
    readings = evidence.gpu_readings.get(device, ())
    new, worst, at_seconds = growth(readings, "pcie_replays_total", _PCIE_WINDOW_SECONDS)
    if not new:
        return None
    generation = max((r.pcie_generation or 0 for r in readings), default=0)
    width = max((r.pcie_width or 0 for r in readings), default=0)
    per_minute = worst * 60 / _PCIE_WINDOW_SECONDS
    allowed = expected_per_minute(generation, width, limits.pcie_bit_error_ratio) if generation and width else None
    words = f" (Gen{generation} x{width} is allowed {allowed})" if allowed is not None else ""
    return conclude(
        evidence,
        device,
        "pcie_replays",
        Verdict.FAIL if allowed is not None and per_minute > allowed else Verdict.WARN,
        f"the PCIe link of {device} sent {count_of(new, 'packet')} again during the run, up to {per_minute:,.0f} a "
        f"minute{words}",
        figures={
            "new": new,
            "worst_per_minute": per_minute,
            "window_seconds": _PCIE_WINDOW_SECONDS,
            "fail_per_minute": allowed,
            "generation": generation or None,
            "width": width or None,
            "at_seconds": at_seconds,
        },
        remedy="look for AER errors in the kernel log; reseat the GPU or its riser; then another slot",
        burn=burn_at(evidence, device, at_seconds),
    )


def growth(readings: Sequence[GpuReading], field: str, window_seconds: float) -> tuple[int, int, float]:
    """How much a counter grew, how much at most within a window, and when that window ended; a reset counts from 0."""
    steps: list[tuple[float, int]] = []
    last: int | None = None
    for reading in readings:
        value: int | None = getattr(reading, field)
        if value is None:
            continue
        if last is not None:
            steps.append((reading.at_seconds, value - last if value >= last else value))
        last = value
    worst, at_seconds, inside, first = 0, 0.0, 0, 0
    for at, step in steps:
        inside += step
        while steps[first][0] <= at - window_seconds:
            inside -= steps[first][1]
            first += 1
        if inside > worst:
            worst, at_seconds = inside, at
    return sum(step for _, step in steps), worst, at_seconds
