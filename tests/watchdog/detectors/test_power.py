"""Power against the neighbours' and against the limit."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchdog.detectors.power import Limits, detect
from watchdog.vocabulary.findings import Severity

LIMITS = Limits()


def codes(window):
    found = detect(window, LIMITS)
    assert {f.severity for f in found} <= {Severity.WARN}
    return [(f.subject.name, f.code) for f in found]


@pytest.mark.parametrize(("watts", "is_low"), [(414, False), (413, True), (120, True)])
def test_far_below_the_neighbours_under_load(make, watts, is_low):
    """0.6 of their 690 W is 414 W."""
    window = make.node_of(8, {3: {"power_watts": watts}})
    assert codes(window) == [("GPU-0003", "power_low")] * is_low


def test_the_figures(make):
    (found,) = detect(make.node_of(8, {3: {"power_watts": 300}}), LIMITS)
    assert found.evidence == {"power_watts": 300, "neighbours_watts": 690, "num_neighbours": 7}
    assert found.message == "gpu3 draws 300 W under load where its neighbours draw 690 W: it is held down, or it waits"
    assert found.since == make.NOW - 120


def test_all_of_them_low_is_a_job_that_waits(make):
    assert codes(make.node_of(8, {i: {"power_watts": 150} for i in range(8)})) == []


def test_an_idle_gpu_may_draw_little(make):
    assert codes(make.node_of(8, {3: {"power_watts": 70, "utilization_ratio": 0}})) == []


def test_a_load_that_just_began_is_not_judged(make):
    young = {"power_watts": 200, "utilization_ratio": lambda age: 1 if age <= 110 else 0}
    assert codes(make.node_of(8, {3: young})) == []


def test_two_neighbours_make_no_median(make):
    assert codes(make.node_of(3, {1: {"power_watts": 200}})) == []
    assert codes(make.node_of(4, {1: {"power_watts": 200}})) == [("GPU-0001", "power_low")]


@pytest.mark.parametrize(("watts", "is_over"), [(770, False), (771, True)])
def test_above_its_own_limit(make, watts, is_over):
    assert codes(make.node_of(1, {0: {"power_watts": watts}})) == [("GPU-0000", "power_over_limit")] * is_over


def test_a_limit_below_the_neighbours(make):
    window = make.node_of(8, facts={make.gpu(2): make.facts(2, power_limit_watts=500.0)})
    (found,) = [f for f in detect(window, LIMITS) if f.code == "power_limit_low"]
    assert (found.subject, found.evidence) == (make.gpu(2), {"power_limit_watts": 500, "neighbours_watts": 700})
    assert found.message.endswith("nvidia-smi -i GPU-0002 -pl 700")


def test_all_limits_low_is_somebodys_choice(make):
    window = make.node_of(8, facts={make.gpu(i): make.facts(i, power_limit_watts=650.0) for i in range(8)})
    assert codes(window) == []


def test_power_that_is_not_read_gives_nothing(make):
    assert codes(make.node_of(8, {3: {"power_watts": lambda age: None}})) == []


@settings(deadline=None, max_examples=50)
@given(st.integers(50, 700), st.integers(50, 700))
def test_less_power_never_makes_a_milder_finding(make, one, other):
    def is_found(watts):
        return bool(codes(make.node_of(5, {3: {"power_watts": watts}})))

    assert is_found(min(one, other)) >= is_found(max(one, other))
