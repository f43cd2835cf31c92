import torch
from hypothesis import given
from hypothesis import strategies as st

from fryer.burns.region import LARGEST_PIECE_BYTES, SMALLEST_PIECE_BYTES, Region, obtain

CPU = torch.device("cpu")
META = torch.device("meta")


@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=5), slice_words=st.integers(1, 50))
def test_slices_cover_each_place_once_upwards_and_downwards(sizes, slice_words):
    region = Region(tuple(torch.zeros(size, dtype=torch.int64) for size in sizes), slice_words)
    for is_downwards in (False, True):
        places = [
            place
            for part in region.slices(is_downwards=is_downwards)
            for place in range(part.first, part.first + part.words.numel())
        ]
        assert sorted(places) == list(range(sum(sizes)))
    assert [part.first for part in region.slices(is_downwards=True)] == [part.first for part in region.slices()][::-1]


class Fragmented:
    """Free memory in separate pieces; an allocation fits into one or fails."""

    def __init__(self, *pieces: int) -> None:
        self.pieces = list(pieces)

    def allocate(self, num_words: int, device: torch.device) -> torch.Tensor:
        for index, free in enumerate(self.pieces):
            if free >= num_words * 8:
                self.pieces[index] -= num_words * 8
                return torch.empty(num_words, dtype=torch.int64, device=META)
        raise torch.OutOfMemoryError("no piece is large enough")


def test_memory_in_one_piece_is_taken_whole():
    wanted = 2 * LARGEST_PIECE_BYTES + 24
    region = obtain(wanted, CPU, Fragmented(8 << 30).allocate)
    assert [piece.nbytes for piece in region.pieces] == [LARGEST_PIECE_BYTES, LARGEST_PIECE_BYTES, 24]
    assert region.num_bytes == wanted


def test_memory_in_fragments_is_taken_in_smaller_pieces():
    memory = Fragmented(300 << 20, 200 << 20, 40 << 20)
    region = obtain(540 << 20, CPU, memory.allocate)
    assert sum(memory.pieces) + region.num_bytes == 540 << 20
    assert max(memory.pieces) < SMALLEST_PIECE_BYTES


def test_what_cannot_be_had_is_left_out():
    assert obtain(1 << 30, CPU, Fragmented(100 << 20).allocate).num_bytes == 96 << 20
    assert obtain(1 << 30, CPU, Fragmented().allocate).pieces == ()
