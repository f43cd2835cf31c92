"""A device that is fast most of the time and slow again and again: its median hides it, and a job waits for it.

Of the burns that load a device evenly; the soak changes its load by design, and pairs of devices get little time each.
"""

from collections.abc import Sequence

from fryer.evidence import Measurement, NodeEvidence
from fryer.judges.conclusion import Conclusion, conclude, devices_by_name, observed, show_rate, what
from fryer.judges.limits import Limits
from fryer.steady import slow_share, steady_points, total_rate
from watchdog.vocabulary.verdicts import Verdict

_EVEN_BURNS = ("gemm", "hbm", "pcie")


def judge(evidence: NodeEvidence, limits: Limits) -> Sequence[Conclusion]:
    """``stutter``: WARN for a share of slow intervals, FAIL where they cost a GPU as much as being slow throughout.

    A processor only warns: what else the machine does can't always be seen, and takes its time in just this way.
    """
    devices = devices_by_name(evidence)
    return [
        _stutters(evidence, found, share, limits, can_fail=devices[found.device].kind != "cpu")
        for found in evidence.measurements
        if found.burn in _EVEN_BURNS
        and found.device in devices
        and len(steady_points(found)) >= limits.stutter_least_points
        and (share := slow_share(found, limits.stutter_below_ratio)) > limits.stutter_share_ratio
    ]


def _stutters(
    evidence: NodeEvidence, found: Measurement, share: float, limits: Limits, *, can_fail: bool
) -> Conclusion:
    total = total_rate(found)
    lost = 1 - total / found.value
    return conclude(
        evidence,
        found.device,
        "stutter",
        Verdict.FAIL if can_fail and lost > limits.stutter_fail_ratio else Verdict.WARN,
        f"{what(found)} was below {limits.stutter_below_ratio:.0%} of its own median "
        f"{show_rate(found.value, found.metric, found.case)} for {share:.0%} of the intervals, and reached "
        f"{show_rate(total, found.metric, found.case)} over the whole time",
        figures={
            "burn": found.burn,
            "case": found.case,
            "metric": found.metric,
            "share_ratio": share,
            "warn_share_ratio": limits.stutter_share_ratio,
            "below_ratio": limits.stutter_below_ratio,
            "num_points": len(steady_points(found)),
            "median": found.value,
            "total": total,
            "lost_ratio": lost,
            "fail_lost_ratio": limits.stutter_fail_ratio,
            **observed(evidence, found),
        },
        remedy="look for what comes and goes: throttling, power capping, another process, retried copies; see the "
        "series beside clock and power; repeat it alone, then field diagnostics",
        burn=found.burn,
    )
