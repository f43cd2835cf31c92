"""What a node is beside the other nodes of the same run: slower, of other software, of other results. Pure."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from fryer.ceiling import possible
from fryer.evidence import Measurement, NodeEvidence
from fryer.judges.conclusion import NODE, Conclusion, conclude, count_of, devices_by_name
from fryer.judges.fleet import Yardstick, compare, is_compared, yardstick_of
from fryer.judges.limits import Limits
from fryer.vote import software_of
from watchdog.vocabulary.verdicts import Verdict

LEAST_NODES = 3
"""Of two nodes that differ nobody knows which is the odd one."""
_MAJORITY_RATIO = 0.5
_EQUAL = ("torch", "cuda", "driver", "kernel", "python")
"""Software that is expected to be the same on all nodes of a job."""

_Key = tuple[str, str, str, str]
_Conclusions = Mapping[str, Sequence[Conclusion]]


def compare_nodes(fleet: Sequence[NodeEvidence], limits: Limits) -> _Conclusions:
    """By node: ``below_fleet``, ``digest_minority`` and ``version_differs``; nothing for fewer than `LEAST_NODES`."""
    found: defaultdict[str, list[Conclusion]] = defaultdict(list)
    if len(fleet) < LEAST_NODES:
        return found
    yardsticks = _yardsticks(fleet, limits)
    most = _majorities(fleet)
    software = _software(fleet)
    for evidence in fleet:
        found[evidence.node] += _slower(evidence, yardsticks, limits)
        found[evidence.node] += _other_digests(evidence, most)
        found[evidence.node] += _other_software(evidence, software, len(fleet))
    return found


def _figures(evidence: NodeEvidence) -> list[tuple[_Key, Measurement]]:
    devices = devices_by_name(evidence)
    return [
        ((devices[m.device].part, m.burn, m.case, m.metric), m)
        for m in possible(evidence)
        if m.device in devices and is_compared(m.burn)
    ]


def _yardsticks(fleet: Sequence[NodeEvidence], limits: Limits) -> Mapping[_Key, Yardstick]:
    values: defaultdict[_Key, list[float]] = defaultdict(list)
    nodes: defaultdict[_Key, set[str]] = defaultdict(set)
    for evidence in fleet:
        for key, measured in _figures(evidence):
            values[key].append(measured.value)
            nodes[key].add(evidence.node)
    return {
        key: yardstick_of(those)
        for key, those in values.items()
        if len(those) > limits.fleet_least_devices and len(nodes[key]) >= LEAST_NODES
    }


def _slower(evidence: NodeEvidence, yardsticks: Mapping[_Key, Yardstick], limits: Limits) -> list[Conclusion]:
    devices = devices_by_name(evidence)
    return [
        conclusion
        for key, measured in _figures(evidence)
        if (others := yardsticks.get(key)) and measured.value < (1 - limits.fleet_warn_ratio) * others.middle
        for conclusion in compare(evidence, measured, devices[measured.device], others, limits)
    ]


def _digests(evidence: NodeEvidence) -> list[tuple[tuple[str, ...], Measurement]]:
    """First products of GPUs that must be equal bits: of one part, case, seed and software."""
    software = software_of(evidence.versions)
    devices = devices_by_name(evidence)
    return [
        ((devices[m.device].part, m.case, str(evidence.seed), software), m)
        for m in evidence.measurements
        if m.digest and software and m.device in devices and devices[m.device].kind != "cpu"
    ]


def _majorities(fleet: Sequence[NodeEvidence]) -> Mapping[tuple[str, ...], tuple[str, int, int]]:
    """By kind of product: the digest that more than half of the devices found, how many did, and of how many."""
    votes: defaultdict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for evidence in fleet:
        for key, measured in _digests(evidence):
            votes[key][str(measured.digest)] += 1
    best = {key: (*counts.most_common(1)[0], counts.total()) for key, counts in votes.items()}
    return {key: each for key, each in best.items() if each[1] > _MAJORITY_RATIO * each[2]}


def _other_digests(evidence: NodeEvidence, most: Mapping[tuple[str, ...], tuple[str, int, int]]) -> list[Conclusion]:
    return [
        conclude(
            evidence,
            measured.device,
            "digest_minority",
            Verdict.FAIL,
            f"gemm {measured.case} on {measured.device}: the first product of seed {evidence.seed} is "
            f"{measured.digest}, but {num_agree:,} of the run's {num_voters:,} devices found {digest}",
            figures={
                "burn": "gemm",
                "case": measured.case,
                "seed": evidence.seed,
                "digest": measured.digest,
                "majority": digest,
                "num_agree": num_agree,
                "num_voters": num_voters,
            },
            remedy="take the device out of service: it computes wrong values in silence",
            burn="gemm",
        )
        for key, measured in _digests(evidence)
        if key in most
        for digest, num_agree, num_voters in [most[key]]
        if measured.digest != digest
    ]


def _software(fleet: Sequence[NodeEvidence]) -> Mapping[str, tuple[str, int]]:
    """By name: the version that most nodes have, where most have one."""
    found = {}
    for name in _EQUAL:
        counts = Counter(evidence.versions[name] for evidence in fleet if name in evidence.versions)
        if counts:
            version, number = counts.most_common(1)[0]
            if number > _MAJORITY_RATIO * len(fleet):
                found[name] = (version, number)
    return found


def _other_software(
    evidence: NodeEvidence, software: Mapping[str, tuple[str, int]], num_nodes: int
) -> list[Conclusion]:
    return [
        conclude(
            evidence,
            NODE,
            "version_differs",
            Verdict.WARN,
            f"{name} {evidence.versions[name]} here, {version} on {number:,} of {count_of(num_nodes, 'node')}",
            figures={"software": name, "version": evidence.versions[name], "majority": version, "num_majority": number},
            remedy=f"bring {name} to {version}, as on the other nodes: ranks of unequal software fail or drift apart",
        )
        for name, (version, number) in software.items()
        if name in evidence.versions and evidence.versions[name] != version
    ]
