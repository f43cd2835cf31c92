"""After a resume: do the steps that were logged before come out as they did? Pure.

The largest class of public complaints about resuming is that it is silently different; this is the guard against it.
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite

from trainer.metrics.past import Made
from trainer.plan import Plan
from trainer.plan.identity import changes

OTHER_LAYOUT_RATIO = 1e-3
"""Of the loss, where the layout or versions changed: sums are then taken in another order. Measured with
megatron-core 0.16.1 in fp32, one state goes on in six layouts with losses that are equal to six digits; the rest is for
bf16. The wrong samples are seen by their digest, not by this: losses of two batches may well be as close."""
MOST_STEPS = 10
"""Compared then: further on, rounding may have led elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuity:
    """What was logged, how close it must come, and how far it can be compared."""

    logged: Mapping[int, Made]
    """By step, of the attempts before."""
    from_step: int
    """Steps done, where this attempt went on from."""
    way: str
    """`way_of` this attempt: what was made in the same way must be equal to the bit. Empty: nothing need be, as where
    kernels are not deterministic."""
    is_over: bool = False
    """A step was skipped or vetoed that wasn't before, or the other way: those after it have other weights."""

    def problem(self, step: int, made: Made) -> str:
        """Why the run must not go on, in one sentence; empty: all is as it was, or nobody can tell."""
        before = self._before(step)
        if before is None:
            return ""
        if made.batch and before.batch and made.batch != before.batch:
            return (
                f"step {step} was trained on other samples than before this resume: their digests are {made.batch} and "
                f"{before.batch}; the sources, or the plan that orders them, have changed"
            )
        if made.loss is None or before.loss is None or isfinite(made.loss) != isfinite(before.loss):
            return ""  # skipped, or vetoed at one time: that is judged where it is vetoed
        return self._problem_of(step, made.loss, before.loss, is_exact=self._is_exact(before))

    def after(self, step: int, made: Made) -> "Continuity":
        """For the steps that follow."""
        before = self._before(step)
        return self if before is None or before.is_updated == made.is_updated else replace(self, is_over=True)

    def _before(self, step: int) -> Made | None:
        before = self.logged.get(step)
        if self.is_over or before is None:
            return None
        is_far = step > self.from_step + MOST_STEPS
        return None if is_far and not self._is_exact(before) else before

    def _is_exact(self, before: Made) -> bool:
        return bool(self.way) and before.way == self.way

    def _problem_of(self, step: int, loss: float, before: float, *, is_exact: bool) -> str:
        if loss == before or not isfinite(loss):
            return ""
        if is_exact:
            return (
                f"step {step} gave loss {loss!r} and before this resume {before!r}; with equal layout and versions "
                f"they must be equal to the bit: data, state or hardware differ"
            )
        if abs(loss - before) <= OTHER_LAYOUT_RATIO * abs(before):
            return ""
        return (
            f"step {step} gave loss {loss:.6f} and before this resume {before:.6f}, more than "
            f"{OTHER_LAYOUT_RATIO:g} of it apart: data, state or hardware differ"
        )


def comparable(logged: Mapping[int, Made], before: Plan, plan: Plan, from_step: int) -> dict[int, Made]:
    """Of what was logged by plan `before`, the steps after `from_step` that come to the same by `plan`."""
    steps = sorted(step for step in logged if step > from_step)
    # an edit that changes a step changes all that include it: the first such one is found by halving
    num = bisect_left(steps, True, key=lambda step: bool(changes(before, plan, step)))
    return {step: logged[step] for step in steps[:num]}
