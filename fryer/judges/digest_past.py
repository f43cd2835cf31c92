"""A device whose first product differs from what it, or others of its part, computed in earlier runs from equal seeds.

It sees what no comparison within a run can: a device that is always wrong in the same way and alone, and a node that is
wrong as a whole. GPUs only: a processor's sums depend on how many of its threads a run may use.
"""

from collections import Counter
from collections.abc import Sequence

from fryer.evidence import DeviceInfo, Measurement, NodeEvidence
from fryer.judges.conclusion import Conclusion, conclude, count_of, devices_by_name
from fryer.judges.limits import Limits
from fryer.vote import software_of
from watchdog.vocabulary.verdicts import Verdict

_LEAST_WITNESSES = 2
"""One other may be the wrong one itself."""


def judge(evidence: NodeEvidence, _: Limits) -> Sequence[Conclusion]:
    """``digest_past``: FAIL against two or more, INCONCLUSIVE against one, or where another device computes the same.

    Two devices that are broken apart from each other do not give equal digests, so then the software is in doubt.
    """
    devices = devices_by_name(evidence)
    software = software_of(evidence.versions)
    if software is None or evidence.seed is None or not (evidence.own_past or evidence.fleet_past):
        return []
    return [
        conclusion
        for found in evidence.measurements
        if found.digest
        and (device := devices.get(found.device))
        and device.kind != "cpu"
        and (conclusion := _compare(evidence, found, device, software))
    ]


def _compare(evidence: NodeEvidence, found: Measurement, device: DeviceInfo, software: str) -> Conclusion | None:
    past = _past_digests(evidence, found, device, software)
    against = Counter(digest for digest in past.values() if digest != found.digest).most_common(1)
    num_agree = len(_who_agrees(evidence, found, device, past))
    if not against or 1 + num_agree > against[0][1]:
        return None
    digest, num_against = against[0]
    is_proof = num_agree == 0 and num_against >= _LEAST_WITNESSES
    beside = f", and {count_of(num_agree, 'other device')} what this one computes" if num_agree else ""
    return conclude(
        evidence,
        device.name,
        "digest_past",
        Verdict.FAIL if is_proof else Verdict.INCONCLUSIVE,
        f"gemm {found.case} on {device.name}: the first product of seed {evidence.seed} is {found.digest}, but "
        f"{count_of(num_against, 'device')} of the part computed {digest} in earlier runs with the same "
        f"software{beside}",
        figures={
            "burn": found.burn,
            "case": found.case,
            "seed": evidence.seed,
            "software": software,
            "digest": found.digest,
            "past_digest": digest,
            "num_against": num_against,
            "num_agree": num_agree,
            "own_past_digest": past.get(device.uuid),
        },
        remedy="take the device out of service: it computes wrong values in silence"
        if is_proof
        else "repeat with the same seed on a device of the part that is known good: it tells which of them is right",
        burn=found.burn,
    )


def _past_digests(evidence: NodeEvidence, found: Measurement, device: DeviceInfo, software: str) -> dict[str, str]:
    """By UUID, the newest digest of an equal product: the part, case, seed and software are the same."""
    return {
        past.uuid: past.digest
        for past in sorted((*evidence.own_past, *evidence.fleet_past), key=lambda p: p.at)
        if past.digest
        and (past.part, past.burn, past.case) == (device.part, found.burn, found.case)
        and (past.seed, past.software) == (evidence.seed, software)
    }


def _who_agrees(evidence: NodeEvidence, found: Measurement, device: DeviceInfo, past: dict[str, str]) -> set[str]:
    """UUIDs of other devices that computed the same, here or before. Its own past is no witness of its being right."""
    uuids = {d.name: d.uuid for d in evidence.devices if d.part == device.part}
    here = {
        uuids[m.device]
        for m in evidence.measurements
        if m.device in uuids and (m.burn, m.case, m.digest) == (found.burn, found.case, found.digest)
    }
    return (here | {uuid for uuid, digest in past.items() if digest == found.digest}) - {device.uuid}
