"""Host links, their width, and copies between GPUs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fryer.judges import link, narrow, pairs
from fryer.judges.limits import Limits
from fryer.judges.pairs import blame

LIMITS = Limits()


def copies(make, value, case="h2d", **device):
    return make.node([make.gpu(0, **device)], [make.series("gpu0", value, burn="pcie", case=case, metric=make.BYTES)])


@pytest.mark.parametrize(
    ("link_rate", "value", "expected"),
    [
        (63e9, 55e9, {}),
        (63e9, 50e9, {"slow_link": "WARN"}),
        (63e9, 43e9, {"slow_link": "FAIL"}),
        (15.75e9, 14.2e9, {}),
        (15.75e9, 11e9, {"slow_link": "FAIL"}),
        (31.5e9, 24e9, {}),
        (None, 1e9, {}),
    ],
)
def test_copies_are_held_against_the_path_that_was_found(make, codes, link_rate, value, expected):
    """14.2 GB/s are healthy over a Gen4 x8 leg (AWS p5), and fail every fixed floor of 48 to 55."""
    assert codes(link.judge(copies(make, value, link_bytes_per_second=link_rate), LIMITS)) == expected
    assert codes(link.judge(copies(make, value, case="d2h", link_bytes_per_second=link_rate), LIMITS)) == expected


def test_both_ways_at_once_have_no_floor(make):
    assert link.judge(copies(make, 60e9, case="both"), LIMITS) == []


def linked(make, links, during="pcie"):
    case = "h2d" if during == "pcie" else make.BF16
    return make.node(
        [make.gpu(i) for i in range(len(links))],
        [make.series(f"gpu{i}", 1.0, burn=during, case=case, metric=make.BYTES) for i in range(len(links))],
        gpu_readings={
            f"gpu{i}": make.readings(f"GPU-{i:04d}", 30, pcie_generation=gen, pcie_width=width, utilization_ratio=1.0)
            for i, (gen, width) in enumerate(links)
        },
    )


def test_a_link_narrower_than_its_neighbours_fails(make):
    evidence = linked(make, [(5, 16), (5, 8), (5, 16), (4, 16)])
    assert [(c.device, c.reason.code, str(c.reason.verdict)) for c in narrow.judge(evidence, LIMITS)] == [
        ("gpu1", "narrow_link", "FAIL"),
        ("gpu3", "narrow_link", "FAIL"),
    ]


def test_links_narrower_than_the_product_on_all_gpus_are_a_warning(make, codes):
    assert codes(narrow.judge(linked(make, [(4, 16)] * 4), LIMITS)) == {"narrow_link": "WARN"}
    assert narrow.judge(linked(make, [(5, 16)] * 4), LIMITS) == []


def test_a_link_at_rest_says_nothing(make):
    evidence = make.node(
        [make.gpu(0)],
        gpu_readings={"gpu0": make.readings("GPU-0000", pcie_generation=1, pcie_width=16, utilization_ratio=0.0)},
    )
    assert narrow.judge(evidence, LIMITS) == []


def test_a_link_that_wakes_up_during_the_copies_is_wide(make):
    evidence = make.node(
        [make.gpu(0)],
        [make.series("gpu0", 55e9, burn="pcie", case="h2d", metric=make.BYTES)],
        gpu_readings={"gpu0": make.readings("GPU-0000", pcie_generation=lambda i: 1 if i < 3 else 5, pcie_width=16)},
    )
    assert narrow.judge(evidence, LIMITS) == []


def fabric(make, count=8, rate=lambda a, b: 385e9, part="NVIDIA H100 80GB HBM3"):
    return make.node(
        [make.gpu(i, part=part) for i in range(count)],
        [
            make.series(f"gpu{a}", rate(a, b), burn="p2p", case=f"to gpu{b}", metric=make.BYTES)
            for a in range(count)
            for b in range(count)
            if a != b
        ],
    )


def test_a_gpu_slow_with_all_others_is_the_one_named(make):
    found = pairs.judge(fabric(make, rate=lambda a, b: 190e9 if 3 in (a, b) else 385e9), LIMITS)
    assert [(c.device, c.reason.code, str(c.reason.verdict)) for c in found] == [("gpu3", "slow_link", "FAIL")]


def test_two_slow_gpus_are_both_named(make):
    found = pairs.judge(fabric(make, rate=lambda a, b: 190e9 if {a, b} & {1, 6} else 385e9), LIMITS)
    assert {c.device for c in found} == {"gpu1", "gpu6"}


@pytest.mark.parametrize("way", [0, 1])
@pytest.mark.parametrize("count", [3, 4, 8])
def test_a_gpu_slow_in_one_direction_only_is_the_one_named(make, way, count):
    """Exactly half of its pairs are slow."""
    found = pairs.judge(fabric(make, count, rate=lambda *pair: 190e9 if pair[way] == 1 else 385e9), LIMITS)
    assert [(c.device, str(c.reason.verdict)) for c in found] == [("gpu1", "FAIL")]


def test_of_two_gpus_a_slow_direction_blames_neither(make):
    (found,) = pairs.judge(fabric(make, 2, rate=lambda a, b: 190e9 if a == 0 else 385e9), LIMITS)
    assert (found.device, str(found.reason.verdict)) == ("", "FAIL")


def test_a_slow_pair_is_the_paths_and_not_a_gpus(make):
    (found,) = pairs.judge(fabric(make, rate=lambda a, b: 190e9 if {a, b} == {2, 5} else 385e9), LIMITS)
    assert (found.device, str(found.reason.verdict)) == ("", "FAIL")
    assert sorted(found.reason.evidence["pairs"]) == ["gpu2 to gpu5", "gpu5 to gpu2"]


def test_pairs_that_are_all_slow_are_the_fabrics(make):
    for count in (2, 8):
        (found,) = pairs.judge(fabric(make, count, rate=lambda a, b: 200e9), LIMITS)
        assert found.device == ""
        assert "fabric" in found.reason.message


def test_a_healthy_fabric_is_not_mentioned_and_one_below_its_floor_is_a_warning(make):
    assert pairs.judge(fabric(make), LIMITS) == []
    found = pairs.judge(fabric(make, rate=lambda a, b: 350e9), LIMITS)
    assert {(c.device, str(c.reason.verdict)) for c in found} == {(f"gpu{i}", "WARN") for i in range(8)}


def test_where_the_topology_decides_pairs_are_not_compared(make):
    uneven = fabric(make, 4, rate=lambda a, b: 250e9 if a // 2 == b // 2 else 20e9, part="NVIDIA H100 PCIe")
    assert pairs.judge(uneven, LIMITS) == []


@given(st.sets(st.integers(0, 7), max_size=3), st.sampled_from([0, 1]))
def test_up_to_three_devices_of_eight_that_are_slow_in_one_direction_are_found_exactly(bad, way):
    names = [f"gpu{i}" for i in range(8)]
    all_pairs = {(a, b) for a in names for b in names if a != b}
    low = {pair for pair in all_pairs if pair[way] in {f"gpu{i}" for i in bad}}
    assert set(blame(all_pairs, low)) == {f"gpu{i}" for i in bad}


@given(st.sets(st.integers(0, 7), max_size=3))
def test_up_to_three_bad_devices_of_eight_are_found_exactly(bad):
    names = [f"gpu{i}" for i in range(8)]
    all_pairs = {(a, b) for a in names for b in names if a != b}
    low = {pair for pair in all_pairs if set(pair) & {f"gpu{i}" for i in bad}}
    assert set(blame(all_pairs, low)) == {f"gpu{i}" for i in bad}
