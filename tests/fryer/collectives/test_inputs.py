"""Inputs and results, held against a plain computation over all ranks."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fryer.collectives.busbw import REDUCING, extent
from fryer.collectives.cases import CollectiveCase
from fryer.collectives.engine import DTYPES
from fryer.collectives.inputs import STALE, count_wrong, fill_send, pieces

SUMS = st.sampled_from(sorted(REDUCING))
OTHERS = st.sampled_from(["all_gather", "alltoall", "broadcast", "gather", "scatter", "sendrecv"])


def sent(operation: str, dtype: str, num_ranks: int, size: int, salt: int) -> list[torch.Tensor]:
    """What every rank sends."""
    case = CollectiveCase(operation=operation, size_bytes=size, dtype=dtype)
    found = []
    for rank in range(num_ranks):
        buffer = torch.empty(extent(case, num_ranks).send, dtype=DTYPES[dtype])
        fill_send(buffer, operation, rank, num_ranks, salt)
        found.append(buffer)
    return found


@settings(max_examples=60, deadline=None)
@given(operation=SUMS, dtype=st.sampled_from(sorted(DTYPES)), num_ranks=st.integers(1, 70), salt=st.integers(0, 1000))
def test_sums_are_exact_in_every_format_and_any_order(operation: str, dtype: str, num_ranks: int, salt: int) -> None:
    buffers = sent(operation, dtype, num_ranks, 16 * num_ranks * 9, salt)
    forward = torch.zeros_like(buffers[0])
    for buffer in buffers:
        forward += buffer
    backward = torch.zeros_like(buffers[0])
    for buffer in reversed(buffers):
        backward += buffer
    exact = torch.stack(buffers).to(torch.float64).sum(0)
    assert torch.equal(forward, backward)
    assert torch.equal(forward.to(torch.float64), exact)
    case = CollectiveCase(operation=operation, size_bytes=16 * num_ranks * 9, dtype=dtype)
    count = extent(case, num_ranks).count
    for rank in {0, num_ranks - 1}:
        part = forward[rank * count : (rank + 1) * count] if operation == "reduce_scatter" else forward
        assert count_wrong(part, operation, rank, num_ranks, count, salt) == 0


@pytest.mark.parametrize("num_ranks", [7, 8, 56, 1000, 16384])
@pytest.mark.parametrize("dtype", ["bfloat16", "half", "float", "int32"])
def test_sums_stay_exact_and_are_not_the_same_everywhere(dtype: str, num_ranks: int) -> None:
    total = torch.zeros(4096, dtype=torch.float64)
    buffer = torch.empty(4096, dtype=DTYPES[dtype])
    for rank in range(num_ranks):
        fill_send(buffer, "all_reduce", rank, num_ranks, 3)
        total += buffer
    rounded = total.to(DTYPES[dtype])
    assert torch.equal(rounded.to(torch.float64), total)
    assert len(total.unique()) > 1
    assert count_wrong(rounded, "all_reduce", 0, num_ranks, 4096, 3) == 0
    assert count_wrong(rounded, "all_reduce", 0, num_ranks, 4096, 4) > 0


@settings(max_examples=60, deadline=None)
@given(operation=OTHERS, dtype=st.sampled_from(sorted(DTYPES)), num_ranks=st.integers(2, 9), salt=st.integers(0, 1000))
def test_pieces_are_what_was_sent(operation: str, dtype: str, num_ranks: int, salt: int) -> None:
    size = 16 * num_ranks * 31
    buffers = sent(operation, dtype, num_ranks, size, salt)
    case = CollectiveCase(operation=operation, size_bytes=size, dtype=dtype)
    elements = extent(case, num_ranks)
    for rank in range(num_ranks):
        received = torch.full((elements.receive,), STALE, dtype=DTYPES[dtype])
        for piece in pieces(operation, rank, num_ranks, elements.count):
            assert piece.source is not None
            source = buffers[piece.source][piece.source_start : piece.source_start + piece.length]
            received[piece.start : piece.start + piece.length] = source
        assert count_wrong(received, operation, rank, num_ranks, elements.count, salt) == 0
        if next(pieces(operation, rank, num_ranks, elements.count), None):
            assert count_wrong(received, operation, rank, num_ranks, elements.count, salt + 1) > 0


def test_every_wrong_element_counts_and_nan_is_wrong() -> None:
    buffer = torch.empty(1000)
    fill_send(buffer, "broadcast", 0, 2, 5)
    buffer[3] = float("nan")
    buffer[999] = float("inf")
    buffer[500] += 1
    assert count_wrong(buffer, "broadcast", 1, 2, 1000, 5) == 3


def test_what_is_larger_than_a_chunk_is_checked_whole() -> None:
    buffer = torch.empty((1 << 22) * 2 + 77, dtype=torch.bfloat16)
    fill_send(buffer, "broadcast", 0, 2, 5)
    assert count_wrong(buffer, "broadcast", 1, 2, buffer.numel(), 5) == 0
    buffer[-1] += 1
    assert count_wrong(buffer, "broadcast", 1, 2, buffer.numel(), 5) == 1


def test_ranks_without_a_result_have_none_wrong() -> None:
    assert list(pieces("reduce", 1, 4, 8)) == []
    assert list(pieces("gather", 1, 4, 8)) == []
