"""Series and subjects: what detectors stand on."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchdog.vocabulary.findings import Finding, Severity, state
from watchdog.vocabulary.samples import Row, Series, window_of
from watchdog.vocabulary.subjects import Subject


@pytest.mark.parametrize(
    "text", ["node001", "node001/gpu:GPU-5f3a", "n/nic:mlx5_0:1", "n/disk:/scratch/a", "n/rank:r:3"]
)
def test_a_subject_reads_back(text: str) -> None:
    assert str(Subject.parse(text)) == text


def test_an_unknown_kind_of_subject_is_refused() -> None:
    with pytest.raises(ValueError, match="'cpu' is none of gpu"):
        Subject.parse("n/cpu:0")


def test_a_counter_that_is_reset_counts_from_zero() -> None:
    assert Series((0, 1, 2, 3), (5.0, 7.0, 1.0, 4.0)).increase == 2 + 1 + 3


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_an_increase_is_never_negative(values: list[float]) -> None:
    assert Series(range(len(values)), values).increase >= 0


@given(st.lists(st.integers(0, 50), min_size=1).map(sorted), st.integers(0, 50))
def test_since_keeps_what_is_not_older(times: list[int], at: int) -> None:
    kept = Series(times, [float(t) for t in times]).since(at)
    assert list(kept.at) == [t for t in times if t >= at]


def test_a_window_has_columns_by_metric_and_subject() -> None:
    one, two = Subject("n", "gpu", "a"), Subject("n", "gpu", "b")
    rows = [Row(subject=one, at=1.0, values={"t": 60.0}), Row(subject=two, at=1.0, values={}),
            Row(subject=one, at=2.0, values={"t": 61.0, "p": 5.0})]  # fmt: skip
    window = window_of(2.0, rows)
    assert window.newest("t") == {one: 61.0}
    assert window.newest("p") == {one: 5.0}
    assert window.series("unknown") == {}


def test_the_state_is_the_gravest_finding_and_unknown_is_not_ok() -> None:
    finding = Finding(source="s", subject=Subject("n"), severity=Severity.UNKNOWN, code="c", message="m", since=0.0)
    assert state([]) is Severity.OK
    assert state([finding]) is Severity.UNKNOWN
    assert state([finding, replace(finding, severity=Severity.WARN)]) is Severity.WARN
