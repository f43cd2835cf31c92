"""The training loop, from the first step to the last: enter the stage, take the step, keep the state, say so.

It decides nothing about devices, files or hardware: it goes through steps, and after each of them all ranks agree
whether to go on.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from trainer import codes
from trainer.agreement import Wish, agree
from trainer.checkpoints.words import Header
from trainer.continuity import Continuity
from trainer.data.loader import Loader
from trainer.device.device import Device
from trainer.keeper import Keeper
from trainer.ledger import Skip
from trainer.metrics.fan import Metrics
from trainer.metrics.past import Made
from trainer.metrics.phases import Phases
from trainer.metrics.record import Evaluated, RunEnds, StageBegins, StepDone
from trainer.model.built import Built
from trainer.model.stage import fresh_moments, set_stage
from trainer.plan import Plan, Stage
from trainer.plan.flops import flops_per_token
from trainer.plan.position import Place, last_step_of, lr_at, place_of
from trainer.step import StepResult, take_step
from trainer.stop import Stop
from trainer.trace import Tracer
from watchdog.vocabulary.errors import FryerError

RECENT_LOSSES = 64
"""Kept with each checkpoint, for a look back after a resume."""
IDENTITIES = "tokens"
"""Key in a header's `extra`: what each source held."""
MOST_VETOES = 3
"""In a row: one more step that can't be taken stops the run for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a stage trains on, and how it is looked at from outside."""

    loader: Loader
    answers_for_samples: bool
    """Of the ranks that read the same samples, one tells their digest."""
    identities: Mapping[str, str]
    """Of each source's tokens: a run that goes on must find the same."""
    epochs: Mapping[str, float]
    evaluate: Callable[[], Mapping[str, float]]
    """Loss on held-out documents by source. Collective."""


@dataclass(slots=True, kw_only=True)
class Training:
    """All parts of one run on this rank."""

    plan: Plan
    built: Built
    device: Device
    open_sight: Callable[[int], Sight]
    """Of the stage with that index."""
    keeper: Keeper
    metrics: Metrics
    continuity: Continuity
    stop: Stop
    tracer: Tracer | None
    header: Header
    """Where it stands: what was resumed from, or step 0."""
    peak_flops: float | None
    """Of all devices together."""
    rewind_after: int | None = None
    """Once, after this step, go back to the newest state in memory: for proving that this is exact."""


def train(run: Training, *, until: int) -> int:
    """Take the steps after the header's up to `until`; the exit code. Collective from end to end."""
    return Loop(run).go(until)


class Loop:
    """Goes through steps."""

    def __init__(self, run: Training) -> None:
        self._run = run
        self._plan = run.plan
        self._stage_index = -1
        self._sight: Sight | None = None
        self._phases = Phases(time.monotonic, run.metrics.section)
        self._losses = dict(run.header.losses)
        self._num_vetoes = 0

    def go(self, until: int) -> int:
        """Until `until` is done, or all agree to stop."""
        if (step := self._run.header.step + 1) <= until:
            # text is prepared once, which is not to be taken for the pace of a step
            place = place_of(self._plan, step)
            self._enter(step, place, self._plan.stages[place.stage])
        while (step := self._run.header.step + 1) <= until:
            if self._num_vetoes > MOST_VETOES:
                return self._end(codes.PERSON, f"{self._num_vetoes} steps in a row could not be taken")
            wish, problem = self.take(step, is_last=step == until)
            if problem:
                return self._end(codes.PERSON, problem)
            if wish.stop is not None:
                return self._end(codes.after_signal(wish.stop), f"{wish.stop.name}; resume with the same command")
            if step == self._run.rewind_after:
                self._run.rewind_after = None
                self._go_back(step)
        return self._end(codes.DONE, "done" if until == self._plan.num_steps else f"step {until} is done")

    def _go_back(self, step: int) -> None:
        """To the newest state in memory from before step `step` was taken."""
        ring = self._run.keeper.memory
        remembered = ring.newest_before(step) if ring else None
        if ring is None or remembered is None:
            raise FryerError(f"there is no state in memory from before step {step}; see checkpoints.memory_every_steps")
        self._run.header = ring.restore(remembered, self._run.built, self._run.device)
        self._losses = dict(self._run.header.losses)
        self._stage_index = -1

    def take(self, step: int, *, is_last: bool) -> tuple[Wish, str]:
        """The next step with all that belongs to it: what all ranks wish after it, and why none may follow."""
        place = place_of(self._plan, step)
        stage = self._plan.stages[place.stage]
        self._phases.begin()
        self._enter(step, place, stage)
        skip = self._run.header.ledger.covers(stage.name, place)
        result = None if skip else self._take(step, place, stage)
        assert self._sight is not None
        wish = agree(
            Wish(stop=self._run.stop.signal, digest=self._digest() if result else 0),
            self._run.device.torch_device,
        )
        self._stand_at(step, stage, result)
        problem = self._discontinuity(step, result, wish.digest)
        if not problem:
            self._keep(is_last=is_last or wish.stop is not None, is_healthy=result is not None and not result.veto)
            if wish.stop is None:  # who asked for an end doesn't wait for it
                self._evaluate(step, stage, place)
        self._tell(step, stage, result, skip, wish.digest)
        return wish, problem

    def _discontinuity(self, step: int, result: StepResult | None, digest: int) -> str:
        """Why this attempt does not go on as the one before did; empty: it does, as far as anybody can tell."""
        made = Made(is_updated=False)
        if result:
            made = Made(loss=result.passed.loss, batch=f"{digest % 2**64:016x}", is_updated=not result.veto)
        problem = self._run.continuity.problem(step, made)
        self._run.continuity = self._run.continuity.after(step, made)
        return problem

    def _digest(self) -> int:
        assert self._sight is not None
        return self._sight.loader.digest if self._sight.answers_for_samples else 0

    def _enter(self, step: int, place: Place, stage: Stage) -> None:
        """What a stage changes; also where a run goes on within one."""
        if place.stage == self._stage_index:
            return
        with self._phases.section("data"):
            self._leave()
            self._sight = self._run.open_sight(place.stage)
        self._stage_index = place.stage
        header = self._run.header
        known = {**header.extra.get(IDENTITIES, {}), **self._sight.identities}
        self._run.header = replace(header, extra={**header.extra, IDENTITIES: known})
        set_stage(self._run.built, stage)
        if stage.fresh_optimizer and place.step_in_stage == 0:
            fresh_moments(self._run.built)
        self._run.metrics.write(
            StageBegins(
                at=time.time(),
                step=step,
                stage=stage.name,
                sequence_length=stage.sequence_length,
                batch=stage.batch,
                rope_theta=stage.rope_theta,
                mixture=stage.mixture,
                epochs=self._sight.epochs,
            )
        )

    def _leave(self) -> None:
        if self._sight:
            self._sight.loader.close()

    def _take(self, step: int, place: Place, stage: Stage) -> StepResult:
        assert self._sight is not None
        loader = self._sight.loader
        with self._phases.section("data"):
            batches = loader.micro_batches(place)
        result = take_step(
            self._run.built,
            batches,
            plan=self._plan,
            stage=stage,
            num_micro_batches=loader.num_micro_batches(),
            lr=lr_at(self._plan, step),
            device=self._run.device,
            section=self._phases.section,
        )
        self._num_vetoes = self._num_vetoes + 1 if result.veto else 0
        return result

    def _stand_at(self, step: int, stage: Stage, result: StepResult | None) -> None:
        header = self._run.header
        tokens = 0
        if result:
            self._losses[step] = result.passed.loss
            tokens = 0 if result.veto else result.passed.num_tokens
        recent = dict(sorted(self._losses.items())[-RECENT_LOSSES:])
        self._losses = recent
        self._run.header = replace(
            header, step=step, stage=stage.name, tokens=header.tokens + tokens, losses=dict(recent)
        )

    def _keep(self, *, is_last: bool, is_healthy: bool) -> None:
        with self._phases.section("checkpoint"):
            self._run.keeper.after_step(self._run.header, is_last=is_last, is_healthy=is_healthy)

    def _evaluate(self, step: int, stage: Stage, place: Place) -> None:
        every = self._plan.evaluation.every_steps
        is_end = step == last_step_of(self._plan, place.stage)
        if not is_end and not (every and step % every == 0):
            return
        assert self._sight is not None
        began = time.monotonic()
        with self._phases.section("evaluation"):
            losses = self._sight.evaluate()
        self._run.metrics.write(
            Evaluated(at=time.time(), step=step, stage=stage.name, losses=losses, seconds=time.monotonic() - began)
        )

    def _tell(self, step: int, stage: Stage, result: StepResult | None, skip: Skip | None, digest: int) -> None:
        self._run.device.synchronize()
        seconds, times = self._phases.end()
        batch = f"{digest % 2**64:016x}" if result else ""
        told = StepDone(
            at=time.time(),
            step=step,
            stage=stage.name,
            lr=lr_at(self._plan, step),
            total_tokens=self._run.header.tokens,
            seconds=seconds,
            times=times,
            batch=batch,
            skipped=skip.incident if skip else "",
        )
        if result:
            told = self._with_result(told, stage, result)
        self._run.metrics.write(told)
        if self._run.tracer:
            self._run.tracer.step(told, self._run.device.rng_state())

    def _with_result(self, told: StepDone, stage: Stage, result: StepResult) -> StepDone:
        passed = result.passed
        rate = passed.num_tokens / told.seconds if told.seconds > 0 else 0.0
        peak = self._run.peak_flops
        return replace(
            told,
            loss=passed.loss,
            losses={source: each.loss / each.num_tokens for source, each in passed.by_source.items()},
            z_loss=passed.z_loss,
            grad_norm=result.grad_norm,
            update_norm=result.update_norm,
            tokens=passed.num_tokens,
            tokens_per_second=rate,
            mfu=rate * flops_per_token(self._plan.model, stage.sequence_length) / peak if peak else None,
            vetoed=result.veto,
        )

    def _end(self, code: int, reason: str) -> int:
        self._leave()
        self._run.keeper.end()
        if self._run.tracer:
            self._run.tracer.end(self._run.header.step, self._run.built, self._run.device.rng_state())
        self._run.metrics.write(
            RunEnds(
                at=time.time(),
                step=self._run.header.step,
                reason=reason,
                code=code,
                peak_memory_bytes=self._run.device.peak_memory_bytes(),
            )
        )
        return code
