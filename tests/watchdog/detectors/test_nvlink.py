"""Links between GPUs."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchdog.detectors.nvlink import Limits, detect
from watchdog.vocabulary.findings import Severity

LIMITS = Limits()
FAIL, WARN = Severity.FAIL, Severity.WARN


def found(make, facts=None, **values):
    window = make.node_of(2, {1: values}, facts={make.gpu(1): make.facts(1, **(facts or {}))})
    return {f.code: f for f in detect(window, LIMITS)}


@pytest.mark.parametrize(("per_second", "severity"), [(0.9, None), (1, WARN), (99, WARN), (100, FAIL), (5000, FAIL)])
def test_the_rate_of_errors_decides(make, per_second, severity):
    codes = found(make, nvlink_errors_total=lambda age: 12 + (600 - age) * per_second)
    assert {code: f.severity for code, f in codes.items()} == ({} if severity is None else {"nvlink_errors": severity})


def test_the_figures(make):
    codes = found(make, nvlink_errors_total=lambda age: (600 - age) * 200)
    assert codes["nvlink_errors"].evidence == {"errors": 12000, "per_second": 200, "limit_per_second": 100}
    assert codes["nvlink_errors"].message.startswith("the NVLinks of gpu1 made 12000 errors in 60 s, 200.0/s")
    assert codes["nvlink_errors"].action == "reset_gpu"


def test_a_counter_that_a_reset_set_to_zero_is_no_error(make):
    assert found(make, nvlink_errors_total=lambda age: 0 if age < 30 else 1e6) == {}


@pytest.mark.parametrize(
    ("links", "for_seconds", "is_down"), [(18, 600, False), (17, 0, False), (17, 10, True), (0, 60, True)]
)
def test_a_link_that_is_down_for_a_while(make, links, for_seconds, is_down):
    codes = found(make, nvlink_links_up=lambda age: links if age <= for_seconds else 18)
    assert {code: f.severity for code, f in codes.items()} == ({"nvlink_down": FAIL} if is_down else {})


def test_without_a_fact_the_most_that_was_seen_is_expected(make):
    codes = found(make, {"nvlinks": None}, nvlink_links_up=lambda age: 11 if age <= 60 else 12)
    assert codes["nvlink_down"].evidence == {"links_up": 11, "links": 12, "seconds": 60}


def test_a_gpu_without_nvlink_gives_nothing(make):
    assert found(make, {"nvlinks": 0}, nvlink_links_up=0) == {}


@pytest.mark.parametrize(
    ("state", "status", "for_seconds", "is_found"),
    [
        (3, 0, 600, False),
        (0, 0, 600, False),
        (2, 0, 50, False),
        (2, 0, 60, True),
        (1, 0, 600, True),
        (3, 999, 600, True),
    ],
)
def test_a_fabric_that_is_not_ready_stops_cuda(make, state, status, for_seconds, is_found):
    codes = found(
        make,
        fabric_state=lambda age: state if age <= for_seconds else 3,
        fabric_status=lambda age: status if age <= for_seconds else 0,
    )
    assert {code: f.severity for code, f in codes.items()} == ({"fabric_not_ready": FAIL} if is_found else {})


def test_a_status_says_nothing_before_the_registration_is_done(make):
    codes = found(make, fabric_state=lambda age: 2 if age <= 30 else 3, fabric_status=5)
    assert codes == {}


def test_an_unhealthy_fabric_warns(make):
    assert {code: f.severity for code, f in found(make, fabric_health=3).items()} == {"fabric_unhealthy": WARN}


@settings(deadline=None, max_examples=50)
@given(st.floats(0, 1000), st.floats(0, 1000))
def test_more_errors_never_make_a_milder_finding(make, one, other):
    def severity(rate):
        codes = found(make, nvlink_errors_total=lambda age: (600 - age) * rate)
        return max((f.severity for f in codes.values()), default=Severity.OK)

    assert severity(max(one, other)) >= severity(min(one, other))
