"""Puts a run together on this rank and trains: groups, model, state, data, metrics, then the loop.

Imports Megatron-core: load it after the device is open.
"""

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from megatron.core import parallel_state

from trainer.checkpoints import exchange
from trainer.checkpoints.durable import PLAN as PLAN_COPY
from trainer.checkpoints.words import Header, Layout
from trainer.continuity import Continuity, comparable
from trainer.data.loader import Loader
from trainer.data.stage_data import StageData
from trainer.device.device import Device
from trainer.device.parallel import start_parallel, stop_parallel
from trainer.evaluation.held_out import evaluate
from trainer.home import Home, enter, keep_plan
from trainer.keeper import Keeper, open_tiers
from trainer.ledger import Ledger
from trainer.loop import IDENTITIES, Sight, Training, train
from trainer.metrics.fan import Metrics
from trainer.metrics.open import METRICS, open_metrics
from trainer.metrics.past import Made, read_past, way_of
from trainer.metrics.record import RunBegins
from trainer.model.build import build
from trainer.model.built import Built
from trainer.options import Options
from trainer.plan import Plan
from trainer.plan.flops import FORMULA
from trainer.plan.identity import plan_hash, refuse_edit, resharded
from trainer.plan.json_form import to_json
from trainer.plan.parameters import num_parameters
from trainer.plan.position import place_of
from trainer.resume import Resumed, resume
from trainer.startup import check_versions, check_weights
from trainer.stop import Stop
from trainer.trace import Tracer
from trainer.versions import diff_versions, versions
from trainer.world import World
from watchdog.client import DEFAULT_SOCKET, Client
from watchdog.vocabulary.errors import UsageError

TIMEOUT_SECONDS = 600.0
"""Of a collective. The daemon and the supervisor notice a hang long before."""


def attempt(plan: Plan, options: Options, world: World, device: Device, stop: Stop) -> int:
    """Train until the plan, `options.until` or a signal ends it; the exit code."""
    layout = start_parallel(
        device,
        plan.parallel,
        rank=world.rank,
        world=world.size,
        host=world.host,
        port=world.port,
        timeout_seconds=TIMEOUT_SECONDS,
    )
    try:
        training = Attempt(plan, options, world, device, layout, stop).put_together()
        try:
            return train(training, until=min(options.until or plan.num_steps, plan.num_steps))
        finally:
            training.metrics.close()
    finally:
        stop_parallel()


class Attempt:
    """One start of a run on this rank. Every method is a collective."""

    def __init__(self, plan: Plan, options: Options, world: World, device: Device, layout: Layout, stop: Stop) -> None:
        self._plan = plan
        self._options = options
        self._world = world
        self._device = device
        self._layout = layout
        self._stop = stop
        self._versions = versions()
        self._home, self._lock = self._enter()

    def _enter(self) -> tuple[Home, object]:
        """Rank 0 looks; what is wrong there is each rank's error."""
        found: tuple[Home | None, str] = (None, "")
        lock: object = None
        if self._world.rank == 0:
            try:
                home, lock = enter(self._options.run)
                found = (home, "")
            except UsageError as error:
                found = (None, str(error))
        home_or_none, problem = exchange.from_first(found)
        if home_or_none is None:
            raise UsageError(problem)
        return home_or_none, lock

    def put_together(self) -> Training:
        """All parts, with fresh weights or with those of where the run stands; nothing is trained yet."""
        check_versions(self._versions)
        built = self._build()
        tiers = open_tiers(
            self._plan,
            self._options.run,
            self._home.run_id,
            self._device,
            self._fresh_header(),
            {PLAN_COPY: json.dumps(to_json(self._plan))},
        )
        # what was logged is read before this attempt logs anything
        logged = exchange.from_first(read_past(self._options.run / METRICS) if self._world.rank == 0 else {})
        resumed = resume(
            self._options.run / self._plan.checkpoints.directory,
            tiers.local,
            built,
            self._device,
            self._layout,
            before=self._refuse_edit,
        )
        check_weights(built)
        header = self._header(resumed)
        if self._world.rank == 0:
            keep_plan(self._options.run, self._plan)
        metrics = self._metrics(header.step)
        metrics.write(self._begins(resumed, header))
        keeper = Keeper(self._plan, tiers, built, self._device, metrics.write)
        keeper.begin()
        return Training(
            plan=self._plan,
            built=built,
            device=self._device,
            open_sight=lambda stage: self._sight(stage, built, header.extra.get(IDENTITIES, {})),
            keeper=keeper,
            metrics=metrics,
            continuity=self._continuity(resumed, logged),
            stop=self._stop,
            tracer=Tracer(self._options.trace, self._world.rank) if self._options.trace else None,
            header=header,
            peak_flops=self._peak_flops(),
            rewind_after=self._options.rewind_after,
        )

    def _build(self) -> Built:
        self._device.seed(
            self._plan.seed,
            tensor_rank=parallel_state.get_tensor_model_parallel_rank(),
            pipeline_rank=parallel_state.get_pipeline_model_parallel_rank(),
        )
        first = place_of(self._plan, self._options.begin_at or 1).stage
        return build(self._plan, self._device, self._plan.stages[first])

    def _fresh_header(self) -> Header:
        step = (self._options.begin_at or 1) - 1
        return Header(
            run=self._home.run_id,
            plan_hash=plan_hash(self._plan),
            step=step,
            stage=self._plan.stages[place_of(self._plan, step + 1).stage].name,
            layout=self._layout,
            ledger=Ledger(self._options.skips),
            versions=self._versions,
        )

    def _header(self, resumed: Resumed) -> Header:
        """Of now: the state's own position and past, this attempt's plan, layout and versions."""
        fresh = self._fresh_header()
        if resumed.header is None:
            return fresh
        ledger = resumed.header.ledger
        for skip in self._options.skips:
            ledger = ledger if skip in ledger.skips else ledger.add(skip)
        return replace(
            resumed.header,
            plan_hash=fresh.plan_hash,
            layout=self._layout,
            versions=self._versions,
            ledger=ledger,
        )

    def _refuse_edit(self, step: int) -> None:
        """Before a state of `step` is loaded: another model would fail to load it with less to say."""
        if self._home.before is not None:
            refuse_edit(self._home.before, self._plan, step)

    def _continuity(self, resumed: Resumed, logged: Mapping[int, Made]) -> Continuity:
        way = way_of(self._laid_out, self._versions) if self._device.is_deterministic else ""
        old, before = resumed.header, self._home.before
        if old is None or before is None:
            return Continuity(logged={}, from_step=0, way=way)
        return Continuity(logged=comparable(logged, before, self._plan, old.step), from_step=old.step, way=way)

    @property
    def _laid_out(self) -> dict[str, object]:
        """All of how ranks share the work that may change the order of sums."""
        parallel = self._plan.parallel
        return asdict(self._layout) | {"micro_batch": parallel.micro_batch, "recompute": parallel.recompute}

    def _begins(self, resumed: Resumed, header: Header) -> RunBegins:
        old = resumed.header.versions if resumed.header else self._versions
        edits = resharded(self._home.before, self._plan) if self._home.before and resumed.header else []
        return RunBegins(
            run=self._home.run_id,
            attempt=self._home.attempt,
            at=time.time(),
            plan_hash=header.plan_hash,
            from_step=header.step,
            resumed_from=resumed.origin,
            passed_over=resumed.passed,
            layout=self._laid_out,
            versions=self._versions,
            version_changes=(*diff_versions(old, self._versions), *edits),
            num_parameters=num_parameters(self._plan.model),
            flops_formula=FORMULA,
            peak_flops=self._peak_flops(),
        )

    def _peak_flops(self) -> float | None:
        one = self._plan.metrics.peak_flops or self._device.peak_flops(self._plan.optimizer.dtype)
        return one * self._layout.world if one else None

    def _metrics(self, from_step: int) -> Metrics:
        client = Client(
            run=self._home.run_id,
            rank=self._world.rank,
            world_size=self._world.size,
            socket_path=str(self._options.socket or DEFAULT_SOCKET),
        )
        return open_metrics(
            self._plan,
            self._options.run,
            rank=self._world.rank,
            local_rank=self._world.local_rank,
            client=client,
            from_step=from_step,
            stream=None if self._options.is_quiet else sys.stderr,
        )

    def _sight(self, index: int, built: Built, before: Mapping[str, str]) -> Sight:
        stage = self._plan.stages[index]
        directory: Path = self._options.data or self._options.run / "data"
        data = StageData.open(self._plan, index, directory, is_builder=self._world.local_rank == 0)
        data.refuse_others(before)
        loader = Loader(
            data,
            stage=stage,
            data_rank=parallel_state.get_data_parallel_rank(),
            data_size=parallel_state.get_data_parallel_world_size(),
            micro_batch=self._plan.parallel.micro_batch,
        )
        return Sight(
            loader=loader,
            answers_for_samples=not any(
                (
                    parallel_state.get_tensor_model_parallel_rank(),
                    parallel_state.get_pipeline_model_parallel_rank(),
                    parallel_state.get_context_parallel_rank(),
                )
            ),
            identities=data.identities,
            epochs=data.epochs,
            evaluate=lambda: evaluate(built, data, self._plan, stage, self._device),
        )
