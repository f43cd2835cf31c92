"""The gravest verdict wins, a skip is never a pass, and the exit code tells good, failed and cannot tell apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchdog.vocabulary.verdicts import Verdict, exit_code, gravest

VERDICTS = st.lists(st.sampled_from(list(Verdict)))


def test_nothing_at_all_is_no_pass() -> None:
    assert gravest([]) is Verdict.SKIPPED
    assert exit_code(gravest([])) == 3


@given(VERDICTS)
def test_a_skip_outweighs_nothing_and_is_outweighed_by_everything(verdicts: list[Verdict]) -> None:
    others = [verdict for verdict in verdicts if verdict is not Verdict.SKIPPED]
    assert gravest(verdicts) is gravest(others)


@given(VERDICTS, VERDICTS)
def test_gravest_of_parts_is_gravest_of_all(one: list[Verdict], other: list[Verdict]) -> None:
    assert gravest([gravest(one), gravest(other)]) is gravest(one + other)


@pytest.mark.parametrize(
    ("verdict", "plain", "strict"),
    [
        (Verdict.PASS, 0, 0),
        (Verdict.WARN, 0, 1),
        (Verdict.FAIL, 1, 1),
        (Verdict.INCONCLUSIVE, 3, 3),
        (Verdict.SKIPPED, 3, 3),
        (Verdict.ERROR, 3, 3),
    ],
)
def test_exit_codes(verdict: Verdict, plain: int, strict: int) -> None:
    assert (exit_code(verdict), exit_code(verdict, strict=True)) == (plain, strict)
