import threading
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_plan import plan, stage

from trainer.data.batches import MicroBatch, Sample
from trainer.data.digest import combine
from trainer.data.loader import Loader, micro_batch_of
from trainer.plan.position import place_of
from watchdog.vocabulary.errors import UsageError

END = 256
STAGE = stage(batch=16, steps=10)
PLAN = plan(STAGE)


class Numbered:
    """Sample i holds i, and its parity as source; remembers what was read, and by whom."""

    end_of_document = END

    def __init__(self, broken: int = -1) -> None:
        self.read: list[int] = []
        self.threads: set[str] = set()
        self._broken = broken

    def sample(self, index: int) -> Sample:
        self.read.append(index)
        self.threads.add(threading.current_thread().name)
        if index == self._broken:
            raise OSError(f"sample {index} can't be read")
        tokens = np.full(33, index, dtype=np.int64)
        return Sample(index=index, source=("even", "odd")[index % 2], epoch=0, tokens=tokens)


def loader(data: Numbered, rank: int = 0, size: int = 1, micro_batch: int = 2) -> Loader:
    return Loader(data, stage=STAGE, data_rank=rank, data_size=size, micro_batch=micro_batch)


def step_of(size: int, micro_batch: int, step: int) -> tuple[list[list[MicroBatch]], int]:
    """Of each rank, and the step's digest."""
    batches, digests = [], []
    for rank in range(size):
        with closing(loader(Numbered(), rank, size, micro_batch)) as one:
            batches.append(list(one.micro_batches(place_of(PLAN, step))))
            digests.append(one.digest)
    return batches, combine(digests)


@pytest.mark.parametrize(("size", "micro_batch"), [(1, 1), (1, 4), (2, 1), (2, 4), (4, 2), (4, 4), (16, 1)])
def test_a_step_has_the_same_samples_and_digest_for_any_number_of_ranks(size: int, micro_batch: int) -> None:
    batches, digest = step_of(size, micro_batch, 3)
    assert sorted(i for rank in batches for one in rank for i in one.sample_ids) == list(range(32, 48))
    assert digest == step_of(1, 2, 3)[1]
    # each round of micro-batches over all ranks is a run of neighbours
    rounds = [[i for one in group for i in one.sample_ids] for group in zip(*batches, strict=True)]
    assert [i for one in rounds for i in one] == list(range(32, 48))


def test_steps_follow_each_other_and_are_read_once_and_ahead_by_one_thread() -> None:
    data = Numbered()
    with closing(loader(data, rank=1, size=2)) as one:
        found = [[i for b in one.micro_batches(place_of(PLAN, step)) for i in b.sample_ids] for step in range(1, 11)]
    assert [len(step) for step in found] == [8] * 10
    assert data.read == [i for step in found for i in step]
    assert data.threads == {"loader_0"}


def test_a_step_is_the_same_whether_it_was_read_ahead_or_not() -> None:
    def digests(steps: range) -> Iterator[tuple[int, int]]:
        with closing(loader(Numbered())) as one:
            for step in steps:
                list(one.micro_batches(place_of(PLAN, step)))
                yield step, one.digest

    every = dict(digests(range(1, 11)))
    assert dict(digests(range(2, 11, 3))) == {step: every[step] for step in (2, 5, 8)}
    assert dict(digests(range(10, 0, -1))) == every
    assert len(set(every.values())) == 10


def test_nothing_is_read_beyond_the_stage() -> None:
    data = Numbered()
    with closing(loader(data)) as one:
        list(one.micro_batches(place_of(PLAN, 10)))
    assert data.read == list(range(144, 160))


def test_an_error_of_reading_ahead_comes_out_at_the_step_that_needs_it() -> None:
    with closing(loader(Numbered(broken=20))) as one:
        list(one.micro_batches(place_of(PLAN, 1)))
        with pytest.raises(OSError, match="sample 20 can't be read"):
            one.micro_batches(place_of(PLAN, 2))
        assert [i for b in one.micro_batches(place_of(PLAN, 3)) for i in b.sample_ids] == list(range(32, 48))


def test_closing_ends_the_thread_while_it_reads() -> None:
    data = Numbered()
    one = loader(data)
    list(one.micro_batches(place_of(PLAN, 1)))
    one.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("loader")]


def test_a_batch_that_ranks_cannot_share_is_refused() -> None:
    with pytest.raises(
        UsageError, match="stage one: batch 16 must be a multiple of 3 data parallel ranks x 2 sequences"
    ):
        loader(Numbered(), size=3)


def row(*tokens: int) -> Sample:
    return Sample(index=5, source="code", epoch=0, tokens=np.array(tokens, dtype=np.int64))


def test_documents_of_a_row_are_told_apart_and_no_label_is_another_documents() -> None:
    found = micro_batch_of([row(1, 2, END, 3, END, END, 4, 5), row(END, 6, 7, 8, 9, 10, 11, END)], END)
    assert found.tokens.tolist() == [[1, 2, END, 3, END, END, 4], [END, 6, 7, 8, 9, 10, 11]]
    assert found.labels.tolist() == [[2, END, 3, END, END, 4, 5], [6, 7, 8, 9, 10, 11, END]]
    assert found.document_ids.tolist() == [[0, 0, 0, 1, 1, 2, 3], [0, 1, 1, 1, 1, 1, 1]]
    assert found.loss_mask.tolist() == [[1, 1, 0, 1, 0, 0, 1], [0, 1, 1, 1, 1, 1, 1]]
    assert (found.tokens.dtype, found.labels.dtype) == (torch.int64, torch.int64)
    assert (found.document_ids.dtype, found.loss_mask.dtype) == (torch.int32, torch.float32)
    assert (found.sample_ids, found.sources) == ((5, 5), ("code", "code"))


@settings(deadline=None)
@given(st.lists(st.sampled_from([1, 2, END]), min_size=2, max_size=40))
def test_a_label_counts_where_it_is_of_its_tokens_document(tokens: list[int]) -> None:
    found = micro_batch_of([row(*tokens)], END)
    document, documents = 0, []
    for token in tokens:
        documents.append(document)
        document += token == END
    assert found.document_ids.tolist() == [documents[:-1]]
    same = [float(one == other) for one, other in pairwise(documents)]
    assert found.loss_mask.tolist() == [same]
