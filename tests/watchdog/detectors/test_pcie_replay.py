"""Replays against what the link's bit error rate allows."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchdog.detectors.pcie_replay import Limits, detect, expected_per_minute
from watchdog.vocabulary.findings import Severity

LIMITS = Limits()


@pytest.mark.parametrize(
    ("generation", "width", "expected"),
    [(5, 16, 31), (4, 16, 16), (3, 16, 8), (2, 16, 5), (1, 16, 3), (6, 16, 62), (5, 8, 16), (5, 1, 2), (7, 16, 62)],
)
def test_the_limit_is_dcgms_for_each_generation_and_lane(generation, width, expected):
    assert expected_per_minute(generation, width, 1e-12) == expected


@pytest.mark.parametrize(("replays", "is_found"), [(31, False), (32, True), (400, True)])
def test_more_in_a_minute_than_gen5_x16_allows(make, replays, is_found):
    window = make.node_of(1, {0: {"pcie_replays_total": lambda age: 67 + (replays if age <= 30 else 0)}})
    found = detect(window, LIMITS)
    assert [(f.code, f.severity) for f in found] == [("pcie_replays", Severity.WARN)] * is_found


def test_the_figures(make):
    window = make.node_of(1, {0: {"pcie_replays_total": lambda age: 600 - age, "pcie_generation": 4}})
    (found,) = detect(window, LIMITS)
    assert found.evidence == {"replays": 60, "per_minute": 60, "limit_per_minute": 16, "generation": 4, "width": 16}
    assert found.message == "the PCIe link of gpu0 (Gen4 x16) replays 60 packets a minute, 16 are allowed"


def test_a_link_that_rests_meanwhile_is_held_to_the_best_it_did(make):
    replays = {"pcie_replays_total": lambda age: 20 if age <= 30 else 0}
    assert (
        list(detect(make.node_of(1, {0: {**replays, "pcie_generation": lambda age: 1 if age < 20 else 5}}), LIMITS))
        == []
    )


def test_many_replays_since_boot_are_not_many_now(make):
    assert list(detect(make.node_of(1, {0: {"pcie_replays_total": 1e6}}), LIMITS)) == []
    assert list(detect(make.node_of(1, {0: {"pcie_replays_total": lambda age: 3 if age < 30 else 1e6}}), LIMITS)) == []


def test_a_link_that_nobody_knows_is_not_judged(make):
    rows = make.rows(make.gpu(0), pcie_replays_total=lambda age: 6000 - age * 10)
    assert list(detect(make.window(rows), LIMITS)) == []
    window = make.window(rows, facts={make.gpu(0): {"pcie_generation_max": 5, "pcie_width_max": 16}})
    assert [f.evidence["limit_per_minute"] for f in detect(window, LIMITS)] == [31]


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 200), st.integers(0, 200), st.integers(1, 6))
def test_more_replays_never_make_a_milder_finding(make, one, other, generation):
    def is_found(replays):
        values = {"pcie_replays_total": lambda age: replays if age <= 30 else 0, "pcie_generation": generation}
        return bool(detect(make.node_of(1, {0: values}), LIMITS))

    assert is_found(max(one, other)) >= is_found(min(one, other))
