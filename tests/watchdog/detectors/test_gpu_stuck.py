"""The picture of a collective that does not end."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchdog.detectors.gpu_stuck import Limits, detect
from watchdog.vocabulary.findings import Severity
from watchdog.vocabulary.subjects import Subject

LIMITS = Limits()
STUCK = {
    "power_watts": 130.0,
    "sm_clock_hertz": 1.98e9,
    "utilization_ratio": 1.0,
    "memory_utilization_ratio": 0.0,
    "pcie_rx_bytes_per_second": 1e6,
    "pcie_tx_bytes_per_second": 1e6,
}
RUN = Subject("node001", "run", "llm")


def since(seconds, value, otherwise):
    return lambda age: value if age <= seconds else otherwise


def severity(make, *groups, **changes):
    window = make.node_of(1, {0: {**STUCK, **changes}})
    both = make.window(make.gpu_rows(0, **{**STUCK, **changes}), *groups, facts=window.facts)
    found = detect(both, LIMITS)
    return found[0].severity if found else Severity.OK


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(50, Severity.OK), (60, Severity.WARN), (100, Severity.WARN), (110, Severity.FAIL), (600, Severity.FAIL)],
)
def test_the_picture_must_last(make, seconds, expected):
    assert severity(make, power_watts=since(seconds, 130, 690)) is expected


@pytest.mark.parametrize(
    "one",
    [
        {"power_watts": 162.0},
        {"sm_clock_hertz": 1.87e9},
        {"utilization_ratio": 0.94},
        {"memory_utilization_ratio": 0.05},
        {"pcie_rx_bytes_per_second": 300e6},
        {"pcie_tx_bytes_per_second": lambda age: 300e6 if age == 100 else 0},
    ],
    ids=lambda one: next(iter(one)),
)
def test_every_part_of_the_picture_is_needed(make, one):
    assert severity(make, **one) is Severity.OK


@pytest.mark.parametrize("metric", ["power_watts", "sm_clock_hertz", "memory_utilization_ratio", "utilization_ratio"])
def test_a_part_that_is_not_read_makes_no_picture(make, metric):
    assert severity(make, **{metric: lambda age: None}) is Severity.OK


def test_without_pcie_figures_it_stays_a_warning(make):
    assert severity(make, pcie_rx_bytes_per_second=lambda age: None) is Severity.WARN


def test_parts_that_held_one_after_the_other_are_no_picture(make):
    """Power was low first, and the memory is at rest only now."""
    assert severity(make, memory_utilization_ratio=since(50, 0.0, 0.5)) is Severity.OK


def test_steps_that_still_end_disprove_it(make):
    steps = make.rows(RUN, step=lambda age: 1000 - age // 60)
    assert severity(make, steps) is Severity.OK
    assert severity(make, make.rows(RUN, step=1000)) is Severity.FAIL
    elsewhere = make.rows(Subject("node002", "run", "llm"), step=lambda age: 1000 - age // 60)
    assert severity(make, elsewhere) is Severity.FAIL


def test_the_figures(make):
    (found,) = detect(make.node_of(1, {0: STUCK}), LIMITS)
    assert found.message == (
        "gpu0 is busy and does nothing for 600 s: 130 W at full clock and utilisation, memory idle; "
        "a collective that does not end"
    )
    assert found.action == "restart_app"
    assert found.evidence == {"seconds": 600, **STUCK}


def test_an_idle_gpu_and_a_training_gpu_are_not_stuck(make):
    idle = {"power_watts": 70, "sm_clock_hertz": 0.345e9, "utilization_ratio": 0, "memory_utilization_ratio": 0}
    assert list(detect(make.node_of(2, {0: idle}), LIMITS)) == []


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 600), st.integers(0, 600))
def test_a_longer_picture_is_never_milder(make, one, other):
    longer, shorter = (severity(make, power_watts=since(s, 130, 690)) for s in (max(one, other), min(one, other)))
    assert longer >= shorter
