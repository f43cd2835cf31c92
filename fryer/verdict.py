"""The verdict on a node: every judge over its evidence, and the gravest of what they conclude.

Pure, and total: the same evidence and limits give the same verdict, whenever and wherever they are judged.
"""

from collections import defaultdict
from collections.abc import Sequence

from fryer.evidence import DeviceVerdict, NodeEvidence, NodeVerdict, Reason
from fryer.judges import JUDGES, busy_gpu
from fryer.judges.busy import excuse
from fryer.judges.conclusion import NODE, Conclusion
from fryer.judges.coverage import measured_devices
from fryer.judges.limits import Limits
from watchdog.vocabulary.verdicts import Verdict, gravest

LIMITS = Limits()
"""The thresholds that hold where nobody gives others."""

_GRAVITY = {
    verdict: place
    for place, verdict in enumerate(
        (Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE, Verdict.WARN, Verdict.SKIPPED, Verdict.PASS)
    )
}


def judge(evidence: NodeEvidence, limits: Limits = LIMITS) -> NodeVerdict:
    """Judge a node: each device by its gravest reason, the node by its gravest device and what concerns it as a whole.

    Reasons come gravest first. A device passes only if something was measured on it; one whose burns were all skipped
    is SKIPPED; after an interruption nothing is better than INCONCLUSIVE. Reasons with PASS are notes.
    """
    conclusions = [conclusion for each in JUDGES.values() for conclusion in each(evidence, limits)]
    reasons: defaultdict[str, list[Reason]] = defaultdict(list)
    known = {device.name for device in evidence.devices}
    for conclusion in busy_gpu.excuse(evidence, excuse(evidence, _once(conclusions), limits)):
        reasons[conclusion.device if conclusion.device in known else NODE].append(conclusion.reason)
    measured = measured_devices(evidence)
    devices = tuple(
        _device(device.name, reasons[device.name], is_measured=device.name in measured) for device in evidence.devices
    )
    of_node = _ordered(reasons[NODE])
    verdict = gravest([d.verdict for d in devices] + [r.verdict for r in of_node if r.verdict is not Verdict.PASS])
    return NodeVerdict(node=evidence.node, verdict=verdict, devices=devices, reasons=of_node)


def join(verdict: NodeVerdict, conclusions: Sequence[Conclusion]) -> NodeVerdict:
    """The verdict on a node with more that was concluded of it, as by comparing it with other nodes."""
    if not conclusions:
        return verdict
    more: defaultdict[str, list[Reason]] = defaultdict(list)
    for conclusion in conclusions:
        more[conclusion.device].append(conclusion.reason)
    devices = tuple(_graver(device, more.pop(device.device, [])) for device in verdict.devices)
    added = [reason for reasons in more.values() for reason in reasons]
    found = [device.verdict for device in devices] + [r.verdict for r in added if r.verdict is not Verdict.PASS]
    return NodeVerdict(
        node=verdict.node,
        verdict=gravest([verdict.verdict, *found]),
        devices=devices,
        reasons=_ordered([*verdict.reasons, *added]),
    )


def _graver(device: DeviceVerdict, added: Sequence[Reason]) -> DeviceVerdict:
    if not added:
        return device
    found = [device.verdict, *(reason.verdict for reason in added)]
    return DeviceVerdict(device=device.device, verdict=gravest(found), reasons=_ordered([*device.reasons, *added]))


def _device(name: str, reasons: Sequence[Reason], *, is_measured: bool) -> DeviceVerdict:
    verdicts = {reason.verdict for reason in reasons} - {Verdict.PASS}
    if is_measured:
        verdicts.add(Verdict.PASS)
    else:
        verdicts.discard(Verdict.WARN)  # a warning says "usable", which nobody measured
    return DeviceVerdict(device=name, verdict=gravest(verdicts), reasons=_ordered(reasons))


def _ordered(reasons: Sequence[Reason]) -> tuple[Reason, ...]:
    return tuple(sorted(reasons, key=lambda reason: _GRAVITY[reason.verdict]))


def _once(conclusions: Sequence[Conclusion]) -> list[Conclusion]:
    """Drop the repetition where two judges saw one loss: the reader, and the burn that ran on it."""
    seen: set[tuple[str, str]] = set()
    kept = []
    for conclusion in conclusions:
        key = (conclusion.device, conclusion.reason.code)
        if conclusion.reason.code == "device_lost" and key in seen:
            continue
        seen.add(key)
        kept.append(conclusion)
    return kept
