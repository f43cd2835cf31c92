"""One rank's micro-batches of a step. The next step is read while this one is trained on.

Of a step's samples, in order, the first data parallel rank has the first micro-batch, the second rank the next one,
and so on in rounds: so the samples of a step are the same for any number of ranks, and each round is a run of
neighbours, which has the mixture that the plan says. Nothing here has to be kept for a resume: a step's place says all.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch

from trainer.data.batches import MicroBatch, Sample
from trainer.data.digest import combine, sample_digest
from trainer.plan import Stage
from trainer.plan.position import Place
from watchdog.vocabulary.errors import UsageError


class Samples(Protocol):
    """What a loader reads from: `StageData`."""

    @property
    def end_of_document(self) -> int:
        """Its token id."""
        ...

    def sample(self, index: int) -> Sample:
        """One of the stage's, the same each time."""
        ...


class Loader:
    """For one stage and one data parallel rank; `close` it."""

    def __init__(self, data: Samples, *, stage: Stage, data_rank: int, data_size: int, micro_batch: int) -> None:
        """Raises `UsageError` where a step's batch doesn't fill whole micro-batches of all ranks."""
        if stage.batch % (data_size * micro_batch):
            raise UsageError(
                f"stage {stage.name}: batch {stage.batch} must be a multiple of {data_size} data parallel ranks x "
                f"{micro_batch} sequences of a micro-batch"
            )
        self._data = data
        self._stage = stage
        self._data_rank, self._data_size, self._micro_batch = data_rank, data_size, micro_batch
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="loader")
        self._ahead: tuple[int, Future[list[Sample]]] | None = None
        self.digest = 0
        """Of this rank's samples of the step that was asked for last."""

    def num_micro_batches(self) -> int:
        """Of this rank, in each step."""
        return self._stage.batch // (self._data_size * self._micro_batch)

    def micro_batches(self, place: Place) -> Iterator[MicroBatch]:
        """This rank's, of the step at `place`. Waits for the disk where the step wasn't read ahead.

        Raises what reading raised.
        """
        samples = self._wanted(place.first_sample).result()
        following = place.first_sample + place.num_samples
        if following < self._stage.num_samples:
            self._ahead = following, self._reader.submit(self._read, following)
        self.digest = combine(sample_digest(self._stage.name, one.index, one.tokens) for one in samples)
        size = self._micro_batch
        groups = [samples[first : first + size] for first in range(0, len(samples), size)]
        return (micro_batch_of(group, self._data.end_of_document) for group in groups)

    def close(self) -> None:
        """Let go of what was read ahead, and end the thread."""
        self._reader.shutdown(wait=True, cancel_futures=True)
        self._ahead = None

    def indices(self, first_sample: int) -> list[int]:
        """This rank's samples of the step that begins with `first_sample`, in order of its micro-batches."""
        round_size = self._data_size * self._micro_batch
        start = first_sample + self._data_rank * self._micro_batch
        return [
            sample
            for first in range(start, start + self._stage.batch, round_size)
            for sample in range(first, first + self._micro_batch)
        ]

    def _wanted(self, first_sample: int) -> "Future[list[Sample]]":
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead[0] == first_sample:
            return ahead[1]
        return self._reader.submit(self._read, first_sample)

    def _read(self, first_sample: int) -> list[Sample]:
        return [self._data.sample(index) for index in self.indices(first_sample)]


def micro_batch_of(samples: Sequence[Sample], end_of_document: int) -> MicroBatch:
    """Sequences of equal length as the model takes them: a document ends with its end token, which is predicted; what
    follows it is another document's first token, which is not."""
    rows = torch.from_numpy(np.stack([sample.tokens for sample in samples]))
    tokens = rows[:, :-1].contiguous()
    ends = tokens == end_of_document
    before = ends.cumsum(dim=1, dtype=torch.int32) - ends.to(torch.int32)
    return MicroBatch(
        tokens=tokens,
        labels=rows[:, 1:].contiguous(),
        loss_mask=(~ends).to(torch.float32),
        document_ids=before,
        sample_ids=tuple(sample.index for sample in samples),
        sources=tuple(sample.source for sample in samples),
    )
