from dataclasses import replace

import pytest

from fryer.collectives.cases import CollectiveCase, CollectiveRow
from fryer.collectives.expected import Platform
from fryer.collectives.swept import judge_sweep, middle_rows, nodes_of_ranks, unmeasured
from watchdog.vocabulary.verdicts import Verdict

GIB = 1 << 30
PAIR = Platform(
    num_nodes=2,
    ranks_per_node=8,
    nvlink_bytes_per_second=450e9,
    has_switch=True,
    has_nvls=True,
    num_nics=8,
    nic_bytes_per_second=50e9,
)
NODES = ("node001", "node002")
CASE = CollectiveCase(operation="all_reduce", size_bytes=GIB)


def row(case: CollectiveCase = CASE, busbw: float = 470e9, **more: object) -> CollectiveRow:
    known = {"repeat": 0, "num_ranks": 16, "seconds": 0.004, "num_wrong": 0, "slowest_seconds": 0.005, **more}
    return CollectiveRow(case=case, algbw_bytes_per_second=busbw / 1.875, busbw_bytes_per_second=busbw, **known)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("busbw", "verdict", "code"),
    [
        (470e9, Verdict.PASS, "at_expected"),
        (420e9, Verdict.WARN, "below_expected"),
        (390e9, Verdict.FAIL, "below_expected"),
        (520e9, Verdict.ERROR, "above_ceiling"),
    ],
)
def test_the_group_is_held_against_what_its_links_should_give(busbw: float, verdict: Verdict, code: str) -> None:
    [judgement] = judge_sweep([row(busbw=busbw)], [CASE], NODES, PAIR)
    assert (judgement.verdict, judgement.code) == (verdict, code)


def test_a_pinned_algorithm_has_its_own_expectation() -> None:
    ring = replace(CASE, algorithm="Ring")
    [judgement] = judge_sweep([row(ring, 375e9)], [ring], NODES, PAIR)
    assert (judgement.verdict, judgement.evidence["expected"]) == (Verdict.PASS, 380e9)


def test_each_operation_and_place_is_judged_by_itself() -> None:
    cases = [CASE, replace(CASE, is_in_place=True), replace(CASE, operation="broadcast")]
    found = judge_sweep([row(case) for case in cases], cases, NODES, PAIR)
    assert [each.code for each in found] == ["at_expected", "at_expected", "no_expectation"]
    assert found[1].message.startswith("all_reduce in place over 16 ranks reached 470 GB/s at 1 GiB")


def test_without_a_platform_nothing_is_expected() -> None:
    [judgement] = judge_sweep([row(busbw=1e6)], [CASE], NODES, None)
    assert (judgement.verdict, judgement.code) == (Verdict.SKIPPED, "no_expectation")


def test_a_sweep_that_ends_below_the_plateau_is_not_judged() -> None:
    small = replace(CASE, size_bytes=64 << 20)
    [judgement] = judge_sweep([row(small, 100e9)], [small], NODES, PAIR)
    assert (judgement.verdict, judgement.code) == (Verdict.SKIPPED, "too_small")


def test_wrong_sums_fail_whatever_the_speed_and_name_the_nodes_of_their_ranks() -> None:
    [judgement] = judge_sweep([row(num_wrong=3, wrong_ranks=(9, 11))], [CASE], NODES, PAIR)
    assert (judgement.verdict, judgement.code) == (Verdict.FAIL, "wrong_sums")
    assert judgement.message.endswith("; on node002")
    assert judgement.evidence["wrong_nodes"] == ["node002"]


def test_wrong_sums_on_every_rank_are_told_as_such() -> None:
    [judgement] = judge_sweep([row(num_wrong=16, wrong_ranks=tuple(range(16)))], [CASE], NODES, PAIR)
    assert judgement.message.endswith("; on all nodes")


def test_an_operation_without_a_row_is_an_error_and_never_a_pass() -> None:
    cases = [CASE, replace(CASE, operation="alltoall")]
    found = judge_sweep([row()], cases, NODES, PAIR)
    assert [(each.verdict, each.code) for each in found] == [
        (Verdict.PASS, "at_expected"),
        (Verdict.ERROR, "not_measured"),
    ]
    assert found[1].message == "alltoall was not measured among node001, node002"


def test_a_row_with_fewer_iterations_is_of_the_case_that_was_asked_for() -> None:
    assert unmeasured([CASE, replace(CASE, size_bytes=8 * GIB)], [row(replace(CASE, iterations=3, warmup=1))]) == [
        replace(CASE, size_bytes=8 * GIB)
    ]


def test_ranks_lie_one_node_after_the_other() -> None:
    assert nodes_of_ranks((0, 7, 8), NODES, 16) == NODES
    assert nodes_of_ranks((1,), ("a", "b", "c"), 3) == ("b",)


def test_of_repeats_the_median_one_is_shown_with_the_wrong_elements_of_all() -> None:
    repeats = [row(busbw=value, repeat=i, num_wrong=i, wrong_ranks=(i,)) for i, value in enumerate((3e9, 1e9, 2e9))]
    [middle] = middle_rows(repeats)
    assert (middle.busbw_bytes_per_second, middle.num_wrong, middle.wrong_ranks) == (2e9, 3, (0, 1, 2))
