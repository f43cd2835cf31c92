"""The engine over gloo on loopback: every operation, format and place, with ranks that spoil what they receive."""

from pathlib import Path

import pytest
from loopback_ranks import ForgettingExchange, NanExchange, measure_on_loopback

from fryer.collectives.busbw import ONLY_OUT_OF_PLACE, bandwidths, size_bytes
from fryer.collectives.cases import OPERATIONS, CollectiveCase, CollectiveRow
from fryer.collectives.engine import check_case, label
from watchdog.vocabulary.errors import UsageError

FORMATS = ("float", "half", "bfloat16", "int32")
PLACES = tuple(
    (operation, is_in_place)
    for operation in OPERATIONS
    for is_in_place in (False, True)
    if not (is_in_place and operation in ONLY_OUT_OF_PLACE)
)


def cases_for(num_ranks: int, size: int = 6000) -> tuple[CollectiveCase, ...]:
    return tuple(
        CollectiveCase(
            operation=operation, size_bytes=size, dtype=dtype, is_in_place=is_in_place, warmup=2, iterations=3
        )
        for dtype in FORMATS
        for operation, is_in_place in PLACES
        if operation != "hypercube" or num_ranks in (2, 4)
    )


@pytest.fixture(scope="module", params=[2, 3, 4])
def measured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[list[CollectiveRow]]:
    num_ranks: int = request.param
    folder = tmp_path_factory.mktemp("ranks")
    return measure_on_loopback(num_ranks, cases_for(num_ranks), str(folder))


def test_no_element_of_any_operation_is_wrong(measured: list[list[CollectiveRow]]) -> None:
    num_ranks = len(measured)
    rows = measured[0]
    assert [row.case for row in rows] == list(cases_for(num_ranks))
    assert {row.num_ranks for row in rows} == {num_ranks}
    assert [(row.case.operation, row.num_wrong, row.wrong_ranks) for row in rows] == [
        (row.case.operation, 0, ()) for row in rows
    ]


def test_every_rank_gets_the_same_rows(measured: list[list[CollectiveRow]]) -> None:
    assert all(rows == measured[0] for rows in measured)


def test_bandwidths_follow_from_the_slowest_ranks_mean(measured: list[list[CollectiveRow]]) -> None:
    for row in measured[0]:
        size = size_bytes(row.case, row.num_ranks)
        found = (row.algbw_bytes_per_second, row.busbw_bytes_per_second)
        assert found == bandwidths(row.case.operation, size, row.num_ranks, row.seconds)
        assert 0 < row.seconds <= row.slowest_seconds
        assert row.transport == f"gloo tcp, {row.case.dtype}"


def test_a_rank_that_spoils_one_element_is_named(tmp_path: Path) -> None:
    cases = tuple(
        CollectiveCase(operation=operation, size_bytes=4096, dtype=dtype, warmup=0, iterations=1)
        for operation in OPERATIONS
        for dtype in FORMATS
    )
    rows = measure_on_loopback(4, cases, str(tmp_path), bad_rank=1)[0]
    named = {row.case.operation for row in rows if row.wrong_ranks == (1,) and row.num_wrong == 1}
    # Only the root has a result to spoil of a reduce or a gather.
    assert named == set(OPERATIONS) - {"reduce", "gather"}
    assert {row.num_wrong for row in rows if row.case.operation in {"reduce", "gather"}} == {0}


def test_a_root_that_spoils_one_element_is_named(tmp_path: Path) -> None:
    cases = tuple(
        CollectiveCase(operation=operation, size_bytes=4096, is_in_place=True, warmup=0, iterations=1)
        for operation in ("reduce", "gather", "all_reduce")
    )
    rows = measure_on_loopback(2, cases, str(tmp_path), bad_rank=0)[0]
    assert [(row.wrong_ranks, row.num_wrong) for row in rows] == [((0,), 1)] * 3


def test_nan_is_wrong(tmp_path: Path) -> None:
    case = CollectiveCase(operation="all_reduce", size_bytes=4096, dtype="bfloat16", iterations=1)
    rows = measure_on_loopback(2, (case,), str(tmp_path), bad_rank=1, kind=NanExchange)[0]
    assert (rows[0].num_wrong, rows[0].wrong_ranks) == (1, (1,))


def test_contents_that_stay_from_before_are_wrong(tmp_path: Path) -> None:
    case = CollectiveCase(operation="all_gather", size_bytes=4096, iterations=1)
    rows = measure_on_loopback(2, (case,), str(tmp_path), bad_rank=0, kind=ForgettingExchange)[0]
    assert (rows[0].num_wrong, rows[0].wrong_ranks) == (1024, (0,))


@pytest.mark.parametrize(
    ("case", "num_ranks", "said"),
    [
        (CollectiveCase(operation="alltoall", size_bytes=64, is_in_place=True), 2, "out of place"),
        (CollectiveCase(operation="hypercube", size_bytes=64), 3, "2, 4, 8"),
        (CollectiveCase(operation="all_gather", size_bytes=32), 4, "at least 64"),
        (CollectiveCase(operation="all_reduce", size_bytes=64, iterations=0), 2, "at least one iteration"),
        (CollectiveCase(operation="all_redcue", size_bytes=64), 2, "did you mean 'all_reduce'"),
    ],
)
def test_what_can_not_be_measured_is_said(case: CollectiveCase, num_ranks: int, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check_case(case, num_ranks)


def test_a_case_is_named_for_people() -> None:
    assert label(CollectiveCase(operation="all_reduce", size_bytes=64 << 20)) == "all_reduce 64 MiB float"
    assert label(CollectiveCase(operation="gather", size_bytes=8, dtype="half")) == "gather 8 B half"
