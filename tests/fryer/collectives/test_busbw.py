"""Published lines of nccl-tests, counted again."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fryer.collectives.busbw import bandwidths, busbw_factor, extent, size_bytes
from fryer.collectives.cases import OPERATIONS, CollectiveCase
from watchdog.vocabulary.errors import UsageError

PUBLISHED = Path(__file__).parents[3].parent / "shared" / "data" / "nccl"
LINE = re.compile(
    r"^\s+(?P<size>\d+)\s+(?P<count>\d+)\s+float\s+sum\s+-1"
    r"\s+(?P<time>[\d.]+)\s+(?P<alg>[\d.]+)\s+(?P<bus>[\d.]+)\s+0"
    r"\s+(?P<time2>[\d.]+)\s+(?P<alg2>[\d.]+)\s+(?P<bus2>[\d.]+)\s+0$",
    re.MULTILINE,
)


@pytest.mark.parametrize("name", ["cscs_gh200_1.txt", "cscs_gh200_2.txt", "nvidia_dgxc_h100_1.txt"])
def test_published_bandwidths_follow_from_size_time_and_ranks(name: str) -> None:
    if not PUBLISHED.is_dir():
        pytest.skip(f"published data are not at {PUBLISHED}")
    text = (PUBLISHED / name).read_text()
    num_ranks = len(re.findall(r"^#\s+Rank\s+\d+", text, re.MULTILINE))
    lines = list(LINE.finditer(text))
    assert num_ranks == 8
    assert len(lines) >= 25
    for line in lines:
        for time, alg, bus in (("time", "alg", "bus"), ("time2", "alg2", "bus2")):
            algbw, busbw = bandwidths("all_reduce", int(line["size"]), num_ranks, float(line[time]) * 1e-6)
            # Times are printed with four digits, bandwidths with two decimals.
            assert algbw / 1e9 == pytest.approx(float(line[alg]), abs=0.006, rel=1e-3)
            assert busbw / 1e9 == pytest.approx(float(line[bus]), abs=0.006, rel=1e-3)
        case = CollectiveCase(operation="all_reduce", size_bytes=int(line["size"]))
        assert extent(case, num_ranks).count == int(line["count"])


@pytest.mark.parametrize(
    ("operation", "algbw", "busbw"),
    [
        ("all_reduce", 1.0, 1.75),
        ("all_gather", 1.0, 0.875),
        ("reduce_scatter", 1.0, 0.875),
        ("alltoall", 1.0, 0.875),
        ("gather", 1.0, 0.875),
        ("scatter", 1.0, 0.875),
        ("broadcast", 1.0, 1.0),
        ("reduce", 1.0, 1.0),
        ("sendrecv", 1.0, 1.0),
        ("hypercube", 0.875, 0.875),
    ],
)
def test_factors_among_eight_ranks(operation: str, algbw: float, busbw: float) -> None:
    assert bandwidths(operation, 1_000_000, 8, 1e-3) == pytest.approx((algbw * 1e9, busbw * 1e9))


@pytest.mark.parametrize(
    ("operation", "send", "receive", "count"),
    [
        ("all_reduce", 256, 256, 256),
        ("all_gather", 84, 252, 84),
        ("hypercube", 84, 252, 84),
        ("gather", 84, 252, 84),
        ("reduce_scatter", 252, 84, 84),
        ("scatter", 252, 84, 84),
        ("alltoall", 252, 252, 84),
        ("sendrecv", 256, 256, 256),
        ("broadcast", 256, 256, 256),
        ("reduce", 256, 256, 256),
    ],
)
def test_parts_are_aligned_to_sixteen_bytes(operation: str, send: int, receive: int, count: int) -> None:
    case = CollectiveCase(operation=operation, size_bytes=1024)
    found = extent(case, 3)
    assert (found.send, found.receive, found.count) == (send, receive, count)
    assert size_bytes(case, 3) == max(send, receive) * 4


def test_a_size_without_one_aligned_part_a_rank_is_empty() -> None:
    assert extent(CollectiveCase(operation="all_gather", size_bytes=32), 4).count == 0


@given(st.sampled_from(OPERATIONS), st.integers(8, 2**33), st.integers(1, 4096), st.sampled_from(["half", "int32"]))
def test_no_case_takes_more_than_its_size(operation: str, size: int, num_ranks: int, dtype: str) -> None:
    case = CollectiveCase(operation=operation, size_bytes=size, dtype=dtype)
    assert size_bytes(case, num_ranks) <= size
    assert 0 <= busbw_factor(operation, num_ranks) < 2


def test_unknown_words_name_the_nearest_known() -> None:
    with pytest.raises(UsageError, match="did you mean 'all_reduce'"):
        bandwidths("allreduce", 8, 2, 1.0)
    with pytest.raises(UsageError, match="did you mean 'bfloat16'"):
        extent(CollectiveCase(operation="reduce", size_bytes=8, dtype="bfloat-16"), 2)
