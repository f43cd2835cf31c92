"""Ports of the fabric."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchdog.detectors.infiniband import Limits, detect
from watchdog.vocabulary.findings import Severity
from watchdog.vocabulary.subjects import Subject

LIMITS = Limits()
PORT = Subject("node001", "nic", "mlx5_0:1")
FAIL, WARN, UNKNOWN = Severity.FAIL, Severity.WARN, Severity.UNKNOWN


def found(make, facts=None, **values):
    window = make.window(make.rows(PORT, **values), facts={PORT: facts or {}})
    return {f.code: f for f in detect(window, LIMITS)}


def grades(findings):
    return {code: f.severity for code, f in findings.items()}


def test_a_port_that_is_well_gives_nothing(make):
    assert found(make, link_up=1, rate_bytes_per_second=50e9, link_downed_total=3, symbol_errors_total=7) == {}


def test_down_and_up_again_within_the_window_is_a_flap(make):
    flap = found(make, link_up=lambda age: 0 if 100 <= age < 120 else 1)
    assert grades(flap) == {"ib_link_flap": FAIL}
    assert (flap["ib_link_flap"].since, flap["ib_link_flap"].evidence["flaps"]) == (make.NOW - 110, 1)


def test_a_flap_between_two_looks_is_seen_by_the_counter(make):
    flap = found(make, link_up=1, link_downed_total=lambda age: 5 if age <= 200 else 3)
    assert grades(flap) == {"ib_link_flap": FAIL}
    assert flap["ib_link_flap"].message == "the link of mlx5_0:1 went down 2 times in the last 15 min"
    assert flap["ib_link_flap"].evidence == {"flaps": 2, "seen_down": 0, "link_downed": 2}


@pytest.mark.parametrize(("for_seconds", "is_down"), [(0, False), (10, True), (500, True)])
def test_down_for_a_while(make, for_seconds, is_down):
    assert ("ib_link_down" in found(make, link_up=lambda age: age > for_seconds)) is is_down


def test_a_port_that_was_not_up_in_the_window_warns_and_says_how_to_leave_it_out(make):
    unused = found(make, link_up=0, physical_state=2)
    assert grades(unused) == {"ib_link_down": WARN}
    assert unused["ib_link_down"].message.endswith("add it to ignored of [watchdog.collectors.infiniband]")


def test_a_port_that_somebody_switched_off_gives_nothing(make):
    assert found(make, link_up=0, physical_state=3) == {}


def test_a_counter_cleared_by_somebody_is_no_flap(make):
    assert found(make, link_up=1, link_downed_total=lambda age: 0 if age <= 200 else 9) == {}


def test_a_link_below_the_rate_that_it_had(make):
    slow = found(make, rate_bytes_per_second=lambda age: 25e9 if age <= 60 else 50e9)
    assert grades(slow) == {"ib_link_slow": FAIL}
    assert slow["ib_link_slow"].message == "the link of mlx5_0:1 runs at 200 Gb/s and can do 400 Gb/s"


@pytest.mark.parametrize(("others", "is_found"), [(2, False), (3, True), (7, True)])
def test_a_link_below_most_ports_of_its_board(make, others, is_found):
    ports = [Subject("node001", "nic", f"mlx5_{i}:1") for i in range(others + 1)]
    groups = [make.rows(port, rate_bytes_per_second=25e9 if i == 0 else 50e9) for i, port in enumerate(ports)]
    window = make.window(*groups, facts={port: {"board": "MT_0000000838"} for port in ports})
    assert [(f.subject, f.code) for f in detect(window, LIMITS)] == [(ports[0], "ib_link_slow")] * is_found
    other_board = make.window(*groups, facts={port: {"board": f"MT_{i}"} for i, port in enumerate(ports)})
    assert list(detect(other_board, LIMITS)) == []


@pytest.mark.parametrize(
    "metric",
    ["local_link_integrity_errors_total", "excessive_buffer_overrun_errors_total", "rnr_nak_retry_errors_total"],
)
def test_one_error_that_breaks_a_connection_fails(make, metric):
    fatal = found(make, **{metric: lambda age: 2 if age <= 100 else 1})
    assert grades(fatal) == {"ib_errors_fatal": FAIL}
    assert fatal["ib_errors_fatal"].evidence == {metric.removesuffix("_errors_total"): 1}


@pytest.mark.parametrize(
    ("errors", "expected"),
    [(20, {}), (21, {"ib_symbol_errors": WARN}), (600, {"ib_symbol_errors": WARN}), (601, {"ib_symbol_errors": FAIL})],
)
def test_symbol_errors_by_the_hour_and_by_the_second(make, errors, expected):
    """20 in ten minutes are 120 an hour, 600 in the last one are 10/s."""
    assert grades(found(make, symbol_errors_total=lambda age: errors if age < 60 else 0)) == expected


@pytest.mark.parametrize(("times", "is_found"), [(5, False), (6, True)])
def test_a_link_that_trains_again_and_again(make, times, is_found):
    values = {"link_error_recovery_errors_total": lambda age: times if age <= 30 else 0}
    assert grades(found(make, **values)) == ({"ib_link_recoveries": WARN} if is_found else {})


def test_a_short_counter_at_its_end_is_not_known(make):
    """Which they are is the reader's knowledge; those that nothing is judged by are left out."""
    facts = {"saturated": ["symbol_errors_total", "transmit_wait_ticks_total", "link_downed_total"]}
    stuck = found(make, facts, link_downed_total=255, symbol_errors_total=65535, saturated_counters=3)
    assert grades(stuck) == {"ib_counter_saturated": UNKNOWN}
    assert stuck["ib_counter_saturated"].evidence == {"counters": ["link_downed_total", "symbol_errors_total"]}
    assert found(make, {"saturated": ["transmit_wait_ticks_total"]}, saturated_counters=1) == {}
    assert found(make, {"saturated": []}, link_downed_total=255, saturated_counters=0) == {}


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2000), st.integers(0, 2000))
def test_more_symbol_errors_never_make_a_milder_finding(make, one, other):
    def severity(errors):
        codes = found(make, symbol_errors_total=lambda age: errors if age <= 60 else 0)
        return max((f.severity for f in codes.values()), default=Severity.OK)

    assert severity(max(one, other)) >= severity(min(one, other))
