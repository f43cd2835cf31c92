from dataclasses import replace

import pytest
from collective_rows import GIGA, row

from fryer.collectives.cases import CollectiveCase, CollectiveRow
from fryer.collectives.expected import Expectation
from fryer.collectives.plateau import judge_rows, plateau
from watchdog.vocabulary.verdicts import Verdict

GIB = 1 << 30
HERE = Expectation(typical=380e9, warn=360e9, fail=330e9, ceiling=400e9, source="a paper")


def rows(*gigas: float, size: int = GIB, num_wrong: int = 0) -> list[CollectiveRow]:
    case = CollectiveCase(operation="all_reduce", size_bytes=size)
    return [row(case, busbw=each * GIGA, repeat=repeat, num_wrong=num_wrong) for repeat, each in enumerate(gigas)]


@pytest.mark.parametrize(
    ("gigas", "verdict", "code"),
    [
        (381, Verdict.PASS, "at_expected"),
        (361, Verdict.PASS, "at_expected"),
        (345, Verdict.WARN, "below_expected"),
        (300, Verdict.FAIL, "below_expected"),
        (500, Verdict.ERROR, "above_ceiling"),
    ],
)
def test_the_plateau_is_held_against_the_expectation(gigas: float, verdict: Verdict, code: str) -> None:
    judged = judge_rows(rows(gigas), HERE)
    assert (judged.verdict, judged.code) == (verdict, code)


def test_small_sizes_do_not_matter_and_no_average_is_made() -> None:
    every = [*rows(0.01, size=8), *rows(40, size=1 << 20), *rows(381), *rows(382, size=8 * GIB)]
    judged = judge_rows(every, HERE)
    assert judged.verdict is Verdict.PASS
    assert judged.message == (
        "all_reduce over 8 ranks reached 381 GB/s at 1 GiB to 8 GiB (381 GB/s to 382 GB/s); "
        "380 GB/s is typical: a paper"
    )


def test_the_worst_large_size_counts_by_its_median() -> None:
    found = plateau([*rows(381, 100, 382), *rows(350, 351, 352, size=2 * GIB)])
    assert found is not None
    assert found.busbw_bytes_per_second == pytest.approx(351e9)
    assert (found.sizes, found.is_large) == ((GIB, 2 * GIB), True)
    assert (found.least, found.most) == (pytest.approx(100e9), pytest.approx(382e9))


def test_where_all_sizes_are_small_the_largest_is_judged_and_only_a_good_one_passes() -> None:
    small = [*rows(10, size=1 << 20), *rows(340, size=64 << 20)]
    judged = judge_rows(small, HERE)
    assert (judged.verdict, judged.code) == (Verdict.INCONCLUSIVE, "too_small")
    assert "340 GB/s at 64 MiB" in judged.message
    assert judge_rows([*small, *rows(370, size=128 << 20)], HERE).verdict is Verdict.PASS


def test_wrong_elements_fail_however_fast_and_at_whatever_size() -> None:
    judged = judge_rows([*rows(381), *rows(1, size=4096, num_wrong=3)], HERE)
    assert (judged.verdict, judged.code) == (Verdict.FAIL, "wrong_sums")
    assert judged.message == (
        "all_reduce over 8 ranks gave 3 wrong elements on ranks 0, first at 4096 B: "
        "data are corrupted on the way, whatever the speed"
    )
    assert judge_rows(rows(381, num_wrong=1), None).verdict is Verdict.FAIL


def test_without_an_expectation_nothing_passes() -> None:
    judged = judge_rows(rows(381), None)
    assert (judged.verdict, judged.code) == (Verdict.SKIPPED, "no_expectation")
    assert judge_rows([], HERE).verdict is Verdict.ERROR


def test_the_evidence_says_what_carried_it() -> None:
    told = [replace(each, transport="NCCL Ring Simple, NET/IB/GDRDMA") for each in rows(381)]
    assert judge_rows(told, HERE).evidence["transport"] == ["NCCL Ring Simple, NET/IB/GDRDMA"]
