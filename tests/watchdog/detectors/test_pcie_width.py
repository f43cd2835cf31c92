"""Links narrower or slower than they can be."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchdog.detectors.pcie_width import Limits, detect
from watchdog.vocabulary.findings import Severity

LIMITS = Limits()
FAIL, WARN = Severity.FAIL, Severity.WARN


def found(window):
    return [(f.subject.name, f.severity) for f in detect(window, LIMITS)]


@pytest.mark.parametrize("narrow", [{"pcie_width": 8}, {"pcie_generation": 4}, {"pcie_generation": 1, "pcie_width": 1}])
def test_below_the_nodes_other_gpus_fails(make, narrow):
    assert found(make.node_of(4, {2: narrow})) == [("GPU-0002", FAIL)]


def test_the_figures(make):
    (one,) = detect(make.node_of(4, {2: {"pcie_width": 4, "pcie_generation": 4}}), LIMITS)
    assert one.message == (
        "the PCIe link of gpu2 runs at Gen4 x4 under load and can do Gen5 x16; its neighbours run at Gen5 x16"
    )
    assert one.evidence == {
        "generation": 4, "width": 4, "expected_generation": 5, "expected_width": 16, "num_neighbours": 3,
    }  # fmt: skip


def test_all_of_them_narrow_may_be_how_the_platform_was_built(make):
    assert found(make.node_of(2, {i: {"pcie_width": 8} for i in range(2)})) == [("GPU-0000", WARN), ("GPU-0001", WARN)]
    assert found(make.node_of(1, {0: {"pcie_width": 8}})) == [("GPU-0000", WARN)]


def test_a_link_at_rest_is_not_judged(make):
    resting = {"pcie_generation": 1, "utilization_ratio": 0.0}
    assert found(make.node_of(2, {1: resting})) == []
    assert found(make.node_of(2, {1: {"pcie_generation": 1, "utilization_ratio": lambda age: None}})) == []


def test_a_load_that_just_began_is_not_judged(make):
    load = {"pcie_width": 8, "utilization_ratio": lambda age: 1 if age <= 50 else 0}
    assert found(make.node_of(2, {1: load})) == []
    assert found(make.node_of(2, {1: {**load, "utilization_ratio": lambda age: 1 if age <= 60 else 0}})) == [
        ("GPU-0001", FAIL)
    ]


def test_a_link_at_full_speed_once_in_the_time_is_well(make):
    assert found(make.node_of(2, {1: {"pcie_generation": lambda age: 5 if age == 20 else 1}})) == []


@settings(deadline=None, max_examples=50)
@given(st.sampled_from([1, 2, 4, 8, 16]), st.sampled_from([1, 2, 4, 8, 16]), st.integers(1, 5), st.integers(1, 5))
def test_a_narrower_link_never_makes_a_milder_finding(make, width, other_width, generation, other_generation):
    def severity(generation, width):
        window = make.node_of(3, {1: {"pcie_width": width, "pcie_generation": generation}})
        return max((f.severity for f in detect(window, LIMITS) if f.subject == make.gpu(1)), default=Severity.OK)

    worse = severity(min(generation, other_generation), min(width, other_width))
    assert worse >= severity(max(generation, other_generation), max(width, other_width))
