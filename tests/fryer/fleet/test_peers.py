"""What comparing nodes of one run tells that none of them can tell alone."""

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace

from fryer.evidence import NodeEvidence
from fryer.fleet.peers import compare_nodes
from fryer.verdict import LIMITS

SOFTWARE = {"fryer": "0.1.0", "torch": "2.13.0", "cuda": "13.0", "driver": "580.1"}


def fleet(make: SimpleNamespace, rates: Mapping[str, float], digest: str = "d") -> list[NodeEvidence]:
    """One node a rate, all eight GPUs of it alike, with UUIDs of their own."""
    made = []
    for name, rate in rates.items():
        evidence = make.h100s([rate] * 8)
        made.append(
            replace(
                evidence,
                node=name,
                versions=SOFTWARE,
                seed=1,
                devices=tuple(replace(d, uuid=f"{name}-{d.uuid}") for d in evidence.devices),
                measurements=tuple(replace(m, digest=digest) for m in evidence.measurements),
            )
        )
    return made


def told(nodes: list[NodeEvidence]) -> dict[str, set[tuple[str, str, str]]]:
    """By node: (device, code, verdict) of each conclusion."""
    found = compare_nodes(nodes, LIMITS)
    return {n: {(c.device, c.reason.code, str(c.reason.verdict)) for c in those} for n, those in found.items() if those}


def test_nodes_alike_say_nothing_of_each_other(make: SimpleNamespace) -> None:
    assert told(fleet(make, {"n1": 730e12, "n2": 731e12, "n3": 729e12})) == {}


def test_a_uniformly_slow_node_fails_beside_its_peers(make: SimpleNamespace) -> None:
    found = told(fleet(make, {"n1": 730e12, "n2": 731e12, "n3": 729e12, "n4": 640e12}))
    assert found == {"n4": {(f"gpu{index}", "below_fleet", "FAIL") for index in range(8)}}


def test_of_two_nodes_nobody_knows_which_is_the_odd_one(make: SimpleNamespace) -> None:
    assert told(fleet(make, {"n1": 730e12, "n2": 500e12})) == {}


def test_a_node_that_computes_other_bits_than_all_others_fails(make: SimpleNamespace) -> None:
    nodes = fleet(make, {"n1": 730e12, "n2": 730e12, "n3": 730e12})
    odd = replace(nodes[2], measurements=tuple(replace(m, digest="odd") for m in nodes[2].measurements))
    found = told([*nodes[:2], odd])
    assert found == {"n3": {(f"gpu{index}", "digest_minority", "FAIL") for index in range(8)}}


def test_bits_of_other_software_or_seeds_are_not_compared(make: SimpleNamespace) -> None:
    nodes = fleet(make, {"n1": 730e12, "n2": 730e12, "n3": 730e12})
    odd = replace(nodes[2], measurements=tuple(replace(m, digest="odd") for m in nodes[2].measurements), seed=2)
    assert told([*nodes[:2], odd]) == {}


def test_another_driver_than_most_nodes_have_is_a_warning(make: SimpleNamespace) -> None:
    nodes = fleet(make, {"n1": 730e12, "n2": 730e12, "n3": 730e12})
    older = replace(nodes[1], versions={**SOFTWARE, "driver": "535.1"})
    assert told([nodes[0], older, nodes[2]]) == {"n2": {("", "version_differs", "WARN")}}
    [conclusion] = compare_nodes([nodes[0], older, nodes[2]], LIMITS)["n2"]
    assert conclusion.reason.message == "driver 535.1 here, 580.1 on 2 of 3 nodes"


def test_half_of_each_is_no_majority(make: SimpleNamespace) -> None:
    nodes = fleet(make, dict.fromkeys(("n1", "n2", "n3", "n4"), 730e12))
    older = [replace(one, versions={**SOFTWARE, "kernel": "5.15"}) for one in nodes[:2]]
    newer = [replace(one, versions={**SOFTWARE, "kernel": "6.8"}) for one in nodes[2:]]
    assert told([*older, *newer]) == {}
