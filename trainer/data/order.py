"""Which sequence of which source each sample of a stage is. Pure: of (plan, stage, sizes of sources, sample index).

A stage's keys come from the plan's seed, the stage's name and the source's: edits of other stages change nothing here,
nor does the number of steps, of ranks or of sequences in a micro-batch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from trainer.data.mixture import Mixture
from trainer.data.permutation import Permutation, derive_key
from trainer.plan import Plan

_KEPT_PERMUTATIONS = 2
"""A source: at the border of two epochs, samples of both come in turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """One sample's sequence."""

    source: str
    sequence: int
    """Among the sequences of one epoch of the source."""
    epoch: int
    """How often the source had been gone through before, in this stage."""


class Order:
    """The samples of one stage. Each epoch of a source has every sequence once, in an order of its own."""

    def __init__(self, plan: Plan, stage_index: int, sizes: Mapping[str, int]) -> None:
        """`sizes`: sequences in one epoch, of each source that the stage mixes. Raises KeyError without one."""
        stage = plan.stages[stage_index]
        self._seed, self._stage = plan.seed, stage.name
        self._mixture = Mixture(stage.mixture, derive_key("mixture", plan.seed, stage.name))
        self._sizes = {name: sizes[name] for name, weight in stage.mixture.items() if weight > 0}
        self._permutation = lru_cache(maxsize=_KEPT_PERMUTATIONS * len(self._sizes))(self._make_permutation)

    def locate(self, sample: int) -> Spot:
        """Where sample number `sample` (from 0) of the stage comes from."""
        draw = self._mixture.draw(sample)
        epoch, place = divmod(draw.occurrence, self._sizes[draw.source])
        return Spot(source=draw.source, sequence=self._permutation(draw.source, epoch)(place), epoch=epoch)

    def epochs(self, num_samples: int) -> dict[str, float]:
        """How often each source is gone through in the first `num_samples`, up to the block that they end in."""
        blocks, rest = divmod(num_samples, self._mixture.block)
        counts, more = self._mixture.counts(blocks), self._mixture.counts(blocks + 1)
        share = rest / self._mixture.block
        return {name: (counts[name] + (more[name] - counts[name]) * share) / size for name, size in self._sizes.items()}

    def _make_permutation(self, source: str, epoch: int) -> Permutation:
        return Permutation(self._sizes[source], derive_key("epoch", self._seed, self._stage, source, epoch))
