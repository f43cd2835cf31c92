"""The judges: one failure mode a file. A judge reads evidence and returns conclusions; it measures nothing.

To add one: write `fryer/judges/NAME.py` with a `judge(evidence, limits)`, list it in `JUDGES`, add its test. Judges are
pure: no clock, no I/O, no memory between calls. So any stored run can be judged again, under other limits.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from fryer.evidence import NodeEvidence
from fryer.judges import (
    busy,
    busy_gpu,
    ceiling,
    coverage,
    digest_past,
    digests,
    ecc,
    fleet,
    floor,
    heat,
    history,
    interruption,
    link,
    links,
    lost,
    missing,
    narrow,
    node,
    pairs,
    problems,
    reader,
    recovery,
    remap,
    results,
    stutter,
    throttle,
    unseen,
    unsteady,
    xid,
)
from fryer.judges.conclusion import Conclusion
from fryer.judges.limits import Limits

Judge = Callable[[NodeEvidence, Limits], Sequence[Conclusion]]
"""Reads all the evidence of a node, returns what it concludes of one failure mode."""

JUDGES: Mapping[str, Judge] = MappingProxyType(
    {
        "missing": missing.judge,
        "lost": lost.judge,
        "reader": reader.judge,
        "recovery": recovery.judge,
        "xid": xid.judge,
        "ecc": ecc.judge,
        "remap": remap.judge,
        "results": results.judge,
        "digests": digests.judge,
        "digest_past": digest_past.judge,
        "ceiling": ceiling.judge,
        "floor": floor.judge,
        "node": node.judge,
        "history": history.judge,
        "fleet": fleet.judge,
        "stutter": stutter.judge,
        "unsteady": unsteady.judge,
        "throttle": throttle.judge,
        "heat": heat.judge,
        "link": link.judge,
        "links": links.judge,
        "narrow": narrow.judge,
        "pairs": pairs.judge,
        "problems": problems.judge,
        "coverage": coverage.judge,
        "unseen": unseen.judge,
        "interruption": interruption.judge,
        "busy": busy.judge,
        "busy_gpu": busy_gpu.judge,
    }
)
"""Every judge by name, in the order in which reasons of equal gravity are shown: what is broken before what is slow."""
