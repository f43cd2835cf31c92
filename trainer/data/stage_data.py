"""The samples of one stage, and those held out for its evaluation, read from disk by index.

Imports Megatron-core: load it after `trainer.device` has prepared the device.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from trainer.data.batches import Sample
from trainer.data.epoch import Cut, Epoch
from trainer.data.order import Order
from trainer.data.permutation import derive_key
from trainer.data.prepare import Prepared, prepare
from trainer.plan import Plan, Stage
from watchdog.vocabulary.errors import UsageError, nearest


class HeldOut:
    """One source's documents that are never trained on, in sequences of the stage's length and a fixed order."""

    def __init__(self, source: str, sequences: Epoch, end_of_document: int) -> None:
        self.source = source
        self.end_of_document = end_of_document
        self._sequences = sequences

    def __len__(self) -> int:
        """Sequences; 0 where the held out documents don't fill one."""
        return len(self._sequences)

    def sample(self, index: int) -> Sample:
        """Raises IndexError outside of them."""
        if not 0 <= index < len(self):
            raise IndexError(f"held out sequence {index} of {self.source} is outside of its {len(self)}")
        return Sample(index=index, source=self.source, epoch=0, tokens=self._sequences.sequence(index))


class StageData:
    """All samples of a stage; made by `open`. Several threads may read from it."""

    def __init__(
        self,
        *,
        stage: Stage,
        order: Order,
        training: Mapping[str, Epoch],
        held_out: Mapping[str, HeldOut],
        prepared: Mapping[str, Prepared],
    ) -> None:
        self.stage = stage
        self._order = order
        self._training = training
        self._held_out = held_out
        self._prepared = prepared

    @classmethod
    def open(cls, plan: Plan, stage_index: int, directory: Path, *, is_builder: bool) -> "StageData":
        """Prepare what the stage mixes, in the data directory, and open it.

        All ranks may call it at once; of those that share the directory, one should have `is_builder` and goes first.
        Raises `UsageError` for a source that isn't there, isn't what the plan says, or has too little text.
        """
        stage = plan.stages[stage_index]
        names = [name for name in sorted(stage.mixture) if stage.mixture[name] > 0]
        prepared = {name: prepare(plan, name, directory, is_builder=is_builder) for name in names}
        training = {
            name: Epoch(one, _training_cut(plan, stage, one), directory, is_builder=is_builder)
            for name, one in prepared.items()
        }
        for name, epoch in training.items():
            if len(epoch) == 0:
                raise UsageError(
                    f"sources.{name} has fewer than the {stage.sequence_length + 1} tokens that one sequence of stage "
                    f"{stage.name} needs; give it more text, or the stage a smaller sequence_length"
                )
        held_out = {
            name: HeldOut(name, Epoch(one, _held_out_cut(stage, one), directory, is_builder=is_builder), one.facts.eod)
            for name, one in prepared.items()
        }
        order = Order(plan, stage_index, {name: len(epoch) for name, epoch in training.items()})
        return cls(stage=stage, order=order, training=training, held_out=held_out, prepared=prepared)

    @property
    def end_of_document(self) -> int:
        """Its token id."""
        return next(iter(self._prepared.values())).facts.eod

    @property
    def sources(self) -> Sequence[str]:
        """Names, sorted."""
        return tuple(self._training)

    @property
    def identities(self) -> Mapping[str, str]:
        """Of each source's tokens: a run goes on with the same ones, or not at all."""
        return {name: one.identity for name, one in self._prepared.items()}

    def refuse_others(self, before: Mapping[str, str]) -> None:
        """Raise `UsageError` where a source's tokens aren't those of `before`: earlier `identities` of the run.

        The order of samples would be the same, and what they hold another.
        """
        for name, identity in self.identities.items():
            if before.get(name, identity) != identity:
                raise UsageError(
                    f"sources.{name} holds other tokens ({identity}) than this run was trained on ({before[name]}): "
                    f"its text, its dataset or the tokenizer has changed; put back what it was, or begin a new run"
                )

    @property
    def epochs(self) -> Mapping[str, float]:
        """How often the whole stage goes through each source."""
        return self._order.epochs(self.stage.num_samples)

    def num_sequences(self, source: str) -> int:
        """In one epoch."""
        return len(self._training[source])

    def sample(self, index: int) -> Sample:
        """Sample `index` (from 0) of the stage: the same whatever was read before. Reads the disk."""
        spot = self._order.locate(index)
        tokens = self._training[spot.source].sequence(spot.sequence)
        return Sample(index=index, source=spot.source, epoch=spot.epoch, tokens=tokens)

    def held_out(self, source: str) -> HeldOut:
        """For evaluation. Raises `UsageError` for a source that the stage doesn't mix."""
        if source not in self._held_out:
            raise UsageError(f"stage {self.stage.name} mixes no source {source}{nearest(source, self._held_out)}")
        return self._held_out[source]


def _training_cut(plan: Plan, stage: Stage, prepared: Prepared) -> Cut:
    key = derive_key("documents", plan.seed, stage.name, prepared.source)
    return Cut(length=stage.sequence_length, first=0, end=prepared.num_training, key=key)


def _held_out_cut(stage: Stage, prepared: Prepared) -> Cut:
    return Cut(length=stage.sequence_length, first=prepared.num_training, end=prepared.num_documents, key=None)
