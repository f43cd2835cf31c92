"""Time limits read as sbatch reads them, and as the rest of Fryer does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fryer.launchers.slurm_time import parse_limit
from watchdog.vocabulary.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 5400),
        ("90:30", 5430),
        ("2:00:00", 7200),
        ("1-12", 129600),
        ("1-12:30", 131400),
        ("1-12:30:05", 131405),
        ("0-1", 3600),
        ("2h", 7200),
        ("1m30s", 90),
    ],
)
def test_each_way_to_write_a_limit(text: str, seconds: float) -> None:
    assert parse_limit(text) == seconds


@pytest.mark.parametrize("text", ["0", "0:00", "", "soon", "1:2:3:4", "1-", "-5"])
def test_what_is_no_limit_is_wrong_usage(text: str) -> None:
    with pytest.raises(UsageError):
        parse_limit(text)


@given(st.integers(0, 6), st.integers(0, 23), st.integers(0, 59), st.integers(1, 59))
def test_days_to_seconds_add_up(days: int, hours: int, minutes: int, seconds: int) -> None:
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    assert parse_limit(f"{days}-{hours}:{minutes:02d}:{seconds:02d}") == total
