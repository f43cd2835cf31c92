"""Close to slowing down by heat."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchdog.detectors.thermal_margin import Limits, detect
from watchdog.vocabulary.findings import Severity

LIMITS = Limits()


def worst(make, **values):
    return max((f.severity for f in detect(make.node_of(1, {0: values}), LIMITS)), default=Severity.OK)


@pytest.mark.parametrize(
    ("margin", "for_seconds", "severity"),
    [
        (3, 600, Severity.OK),
        (2, 110, Severity.OK),
        (2, 120, Severity.WARN),
        (-1, 600, Severity.WARN),
        (-2, 50, Severity.OK),
        (-2, 60, Severity.FAIL),
        (-8, 600, Severity.FAIL),
    ],
)
def test_margin_and_time_decide(make, margin, for_seconds, severity):
    assert worst(make, temperature_margin_celsius=lambda age: margin if age <= for_seconds else 20) is severity


def test_the_figures(make):
    window = make.node_of(1, {0: {"temperature_margin_celsius": 1, "temperature_celsius": 84}})
    (found,) = detect(window, LIMITS)
    assert found.message.startswith("gpu0 has 1 C left to slowing itself down at 84 C, limit 2 C, for 600 s")
    assert found.evidence == {"margin_celsius": 1, "limit_celsius": 2, "seconds": 600, "temperature_celsius": 84}


@pytest.mark.parametrize(("celsius", "is_hot"), [(94, False), (95, True), (101, True)])
def test_hot_memory_warns_without_any_reason_bit(make, celsius, is_hot):
    found = detect(make.node_of(1, {0: {"memory_temperature_celsius": celsius}}), LIMITS)
    assert [f.code for f in found] == ["hbm_hot"] * is_hot


def test_an_a100_without_a_margin_gives_nothing(make):
    assert list(detect(make.node_of(1, {0: {"temperature_margin_celsius": lambda age: None}}), LIMITS)) == []


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(-10, 6), min_size=13, max_size=13), st.integers(0, 12), st.integers(1, 10))
def test_a_smaller_margin_never_makes_a_milder_finding(make, margins, index, less):
    worse = [*margins]
    worse[index] -= less

    def severity(values):
        window = make.window(make.rows(make.gpu(0), 120, temperature_margin_celsius=lambda age: values[int(age // 10)]))
        return max((f.severity for f in detect(window, LIMITS)), default=Severity.OK)

    assert severity(worse) >= severity(margins)
