import torch
from hypothesis import given
from hypothesis import strategies as st

from trainer.model.context import own_positions
from trainer.model.visible import Visible

CPU = torch.device("cpu")
sizes = st.integers(1, 6)
chunks = st.integers(1, 5)


@given(sizes, chunks)
def test_every_place_of_a_sequence_is_one_ranks(size, chunk):
    length = 2 * size * chunk
    places = torch.cat([own_positions(length, rank, size, CPU) for rank in range(size)])
    assert sorted(places.tolist()) == list(range(length))


@given(sizes, chunks)
def test_every_rank_has_as_many_pairs_to_attend_to(size, chunk):
    length = 2 * size * chunk
    pairs = {int((own_positions(length, rank, size, CPU) + 1).sum()) for rank in range(size)}
    assert len(pairs) == 1


@given(sizes, chunks, st.data())
def test_what_the_ranks_see_is_what_one_would_see(size, chunk, data):
    """Row by row: causal, and within documents."""
    length = 2 * size * chunk
    border = data.draw(st.integers(0, length))
    ids = (torch.arange(length) >= border).int()[None]
    for rank in range(size):
        places = own_positions(length, rank, size, CPU)
        visible = Visible(
            query_ids_bq=ids[:, places], key_ids_bk=ids, positions_q=places, num_keys=length, is_whole=size == 1
        )
        mask = visible.dense(torch.float32)[0, 0]
        for row, place in enumerate(places.tolist()):
            first = border if place >= border else 0
            wanted = [0.0 if first <= key <= place else float("-inf") for key in range(length)]
            assert mask[row].tolist() == wanted


def test_a_whole_sequence_of_one_document_needs_no_mask():
    places = torch.arange(8)
    assert Visible(query_ids_bq=None, key_ids_bk=None, positions_q=places, num_keys=8, is_whole=True).is_causal
    assert not Visible(query_ids_bq=None, key_ids_bk=None, positions_q=places, num_keys=16, is_whole=False).is_causal
