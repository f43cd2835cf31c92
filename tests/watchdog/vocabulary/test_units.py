"""Durations are read as people write them, and quantities shown as they read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchdog.vocabulary.errors import UsageError
from watchdog.vocabulary.units import parse_duration, show_duration, show_quantity


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10s", 10.0), ("1m30s", 90.0), ("250ms", 0.25), ("2h", 7200.0), ("1.5m", 90.0), (" 7 ", 7.0), ("1d", 86400.0)],
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "10x", "1m 30s", "-3s", "s", "1e3s", "9" * 400 + "s", "10s later"])
def test_what_is_no_duration_is_told_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r"10s, 1m30s or 2h|too long"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(4.2, "4.2s"), (59.94, "59.9s"), (85, "1m25s"), (3600, "1h00m00s"), (3725, "1h02m05s")]
)
def test_a_duration_is_shown(seconds: float, text: str) -> None:
    assert show_duration(seconds) == text


@given(st.integers(60, 10**6))
def test_a_shown_duration_reads_back(seconds: int) -> None:
    assert parse_duration(show_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("value", "text"),
    [(7.29e14, "729 TFLOP/s"), (1.25e15, "1.25 PFLOP/s"), (0.0, "0.00 FLOP/s"), (5.54e10, "55.4 GFLOP/s")],
)
def test_a_quantity_has_three_digits_and_a_prefix(value: float, text: str) -> None:
    assert show_quantity(value, "FLOP/s") == text
