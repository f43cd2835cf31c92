import pytest
from hypothesis import given
from hypothesis import strategies as st

from fryer.collectives.busbw import extent
from fryer.collectives.cases import OPERATIONS
from fryer.collectives.sweep import LEAST_ITERATIONS, Room, Wanted, estimate, parse_size, plan, sizes
from watchdog.vocabulary.errors import UsageError


def room(**changes: object) -> Room:
    fields = {"num_ranks": 8, "memory_bytes": 70 << 30, "seconds": 600.0, "busbw_bytes_per_second": 400e9}
    return Room(**fields | changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "size"),
    [("8", 8), ("1K", 1024), ("64k", 65536), ("8G", 8 << 30), ("0.5g", 1 << 29), ("64MiB", 64 << 20), (" 2 ", 2)],
)
def test_sizes_are_written_as_for_nccl_tests(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "no size"), ("8T", "no size"), ("-1", "no size"), ("0", "at least one"), ("0.3K", "whole number")],
)
def test_what_is_no_size_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_size(text)


def test_the_usual_sweep_has_31_sizes() -> None:
    found = sizes(8, 8 << 30, 2)
    assert (len(found), found[0], found[-1]) == (31, 8, 8 << 30)
    assert sizes(8, 100, 3) == (8, 24, 72)


@pytest.mark.parametrize(
    ("arguments", "said"), [((0, 8, 2), "begins at 0"), ((16, 8, 2), "has no size"), ((8, 16, 1), "factor 1")]
)
def test_a_sweep_that_goes_nowhere_is_refused(arguments: tuple[int, int, int], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        sizes(*arguments)


def test_with_enough_room_everything_is_measured() -> None:
    sweep = plan(Wanted(), room())
    assert len(sweep.cases) == 62
    assert sweep.left_out == ()
    assert {(case.warmup, case.iterations) for case in sweep.cases} == {(5, 20)}


def test_alltoall_and_sendrecv_are_out_of_place_only() -> None:
    sweep = plan(Wanted(operations=("alltoall", "sendrecv"), begin_bytes=1 << 20, end_bytes=1 << 20), room())
    assert [case.is_in_place for case in sweep.cases] == [False, False]


def test_sizes_that_memory_does_not_hold_are_left_out_and_said() -> None:
    sweep = plan(Wanted(), room(memory_bytes=4 << 30))
    assert max(case.size_bytes for case in sweep.cases) == 2 << 30
    assert sweep.left_out == ("sizes from 4294967296 B up: 2 buffers do not fit into the 4294967296 B of a rank",)
    in_place = plan(Wanted(places=(True,)), room(memory_bytes=4 << 30))
    assert max(case.size_bytes for case in in_place.cases) == 4 << 30


def test_hypercube_of_six_ranks_is_left_out_and_said() -> None:
    sweep = plan(Wanted(operations=("hypercube", "reduce"), end_bytes=1024), room(num_ranks=6))
    assert {case.operation for case in sweep.cases} == {"reduce"}
    assert sweep.left_out == ("hypercube: 6 ranks are no power of two",)


def test_nothing_that_can_be_measured_is_an_error_that_says_why() -> None:
    with pytest.raises(UsageError, match="do not fit"):
        plan(Wanted(begin_bytes=1 << 30), room(memory_bytes=1 << 20))


def test_short_time_takes_iterations_of_large_sizes_first() -> None:
    sweep = plan(Wanted(), room(seconds=3.0))
    by_size = {case.size_bytes: case.iterations for case in sweep.cases}
    assert by_size[8] == 20
    assert LEAST_ITERATIONS <= by_size[8 << 30] < 20
    assert len(sweep.cases) == 62
    assert "fewer iterations" in sweep.left_out[0]


def test_very_short_time_keeps_the_smallest_and_the_largest_size() -> None:
    sweep = plan(Wanted(), room(seconds=0.01))
    assert {case.size_bytes for case in sweep.cases} == {8, 8 << 30}
    assert any("no less can be measured" in sentence for sentence in sweep.left_out)
    assert any("left out for want of time" in sentence for sentence in sweep.left_out)


@given(
    operations=st.lists(st.sampled_from(OPERATIONS), min_size=1, max_size=3, unique=True),
    num_ranks=st.integers(2, 64),
    seconds=st.floats(0.1, 3600),
    repeats=st.integers(1, 3),
)
def test_no_sweep_is_over_its_time_without_saying_so(
    operations: list[str], num_ranks: int, seconds: float, repeats: int
) -> None:
    here = room(num_ranks=num_ranks, seconds=seconds, repeats=repeats)
    sweep = plan(Wanted(operations=(*operations, "all_reduce")), here)
    assert sweep.seconds == estimate(sweep.cases, here)
    assert sweep.seconds <= seconds or "no less can be measured" in sweep.left_out[-2:][0] + sweep.left_out[-1]
    assert all(extent(case, num_ranks).count > 0 for case in sweep.cases)
    assert all(case.iterations >= LEAST_ITERATIONS and case.warmup >= 1 for case in sweep.cases)
