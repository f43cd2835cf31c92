"""A device whose products differ from those of the other devices, every time: what comparing with itself can't show."""

from collections import defaultdict
from collections.abc import Sequence

from fryer.evidence import DeviceInfo, NodeEvidence
from fryer.judges.conclusion import Conclusion, conclude, count_of
from fryer.judges.limits import Limits
from fryer.vote import Minority, vote
from watchdog.vocabulary.verdicts import Verdict

_SHOWN = 10


def judge(evidence: NodeEvidence, _: Limits) -> Sequence[Conclusion]:
    """``digest_minority`` FAIL for the outvoted; ``digest_tie`` INCONCLUSIVE where no majority says who is wrong."""
    named: defaultdict[tuple[str, str, bool], list[Minority]] = defaultdict(list)
    for minority in vote(evidence.digests, {d.name: _kind_of(d) for d in evidence.devices}):
        named[minority.device, minority.case, minority.is_tie].append(minority)
    return [_tie(evidence, found) if is_tie else _outvoted(evidence, found) for (_, _, is_tie), found in named.items()]


def _kind_of(device: DeviceInfo) -> str:
    """Devices that must compute the same bits: the part and, on processors, equally many cores and threads.

    A product is cut into as many pieces as there are threads, so their number decides the order of its sums.
    """
    return f"{device.part}/{device.cores}/{device.num_processors}" if device.kind == "cpu" else device.part


def _outvoted(evidence: NodeEvidence, found: Sequence[Minority]) -> Conclusion:
    first = found[0]
    who = (
        f"{first.num_agree} of {first.num_voters} devices found {first.majority}"
        if first.majority
        else "it contradicts itself"
    )
    return conclude(
        evidence,
        first.device,
        "digest_minority",
        Verdict.FAIL,
        f"gemm {first.case} on {first.device}: {count_of(len(found), 'product')} different from the others' "
        f"(seed {first.seed}, pair {first.pair}: {first.digest}, but {who})",
        figures=_figures(found),
        remedy="take the device out of service: it computes wrong values in silence",
        burn="gemm",
    )


def _tie(evidence: NodeEvidence, found: Sequence[Minority]) -> Conclusion:
    first = found[0]
    return conclude(
        evidence,
        first.device,
        "digest_tie",
        Verdict.INCONCLUSIVE,
        f"gemm {first.case}: the {first.num_voters} devices disagree on {count_of(len(found), 'product')} and no "
        f"majority says who is wrong (seed {first.seed}, pair {first.pair})",
        figures=_figures(found),
        remedy="repeat on a node with three or more devices of the part, or compare with a node that is known good",
        burn="gemm",
    )


def _figures(found: Sequence[Minority]) -> dict[str, object]:
    return {
        "burn": "gemm",
        "case": found[0].case,
        "count": len(found),
        "first": [
            {
                "round": m.round,
                "pair": m.pair,
                "seed": m.seed,
                "digest": m.digest,
                "majority": m.majority,
                "num_agree": m.num_agree,
                "num_voters": m.num_voters,
            }
            for m in found[:_SHOWN]
        ],
    }
