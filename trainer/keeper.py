"""When which state is kept, and what becomes of it: the three tiers behind one door. All methods are collectives."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.checkpoints import exchange
from trainer.checkpoints.curator import Curator
from trainer.checkpoints.curator import Told as Curated
from trainer.checkpoints.durable import DurableSaver, Saved
from trainer.checkpoints.local import LocalTier
from trainer.checkpoints.memory import MemoryRing
from trainer.checkpoints.words import Header, Tensors
from trainer.device.device import Device
from trainer.metrics.record import CheckpointChanged
from trainer.model.built import Built
from trainer.model.state import force_param_sync
from trainer.plan import CheckpointPlan, Plan
from trainer.plan.position import last_step_of

Told = Callable[[CheckpointChanged], None]


@dataclass(slots=True, kw_only=True)
class Tiers:
    """Those that the plan turns on."""

    durable: DurableSaver
    curator: Curator | None
    """Rank 0's."""
    local: LocalTier | None
    memory: MemoryRing | None


class Keeper:
    """Of one run on this rank."""

    def __init__(self, plan: Plan, tiers: Tiers, built: Built, device: Device, told: Told) -> None:
        self._plan = plan
        self._tiers = tiers
        self._built = built
        self._device = device
        self._told = told
        self._stage_ends = stage_ends(plan)

    def begin(self) -> None:
        """Look after what an earlier attempt left."""
        if self._tiers.curator:
            self._tell_curated(self._tiers.curator.begin())

    @property
    def memory(self) -> MemoryRing | None:
        """The states that can be gone back to at once."""
        return self._tiers.memory

    def after_step(self, header: Header, *, is_last: bool, is_healthy: bool) -> None:
        """Keep the state of now in the tiers whose turn it is; `is_last`: the process ends after it. A step
        that was not healthy proves nothing of the checkpoints before it."""
        step, wanted = header.step, self._plan.checkpoints
        is_durable = is_last or step in self._stage_ends or _is_due(step, wanted.every_steps)
        is_local = self._tiers.local is not None and _is_due(step, wanted.local_every_steps) and not is_last
        is_memory = self._tiers.memory is not None and _is_due(step, wanted.memory_every_steps)
        if is_durable or is_local or is_memory:
            force_param_sync(self._built)
            tensors = Tensors(built=self._built, rng=self._device.rng_state())
            if is_memory and self._tiers.memory:
                self._tiers.memory.put(header, tensors)
            if is_local and self._tiers.local:
                self._tell(self._tiers.local.put(header, tensors), "node-local")
            if is_durable:
                self._tiers.durable.begin(header, tensors)
        self._tell_durable(self._tiers.durable.poll())
        if self._tiers.curator and is_healthy:
            self._tell_curated(self._tiers.curator.after_step(step))

    def end(self) -> None:
        """Wait until all that was begun is whole."""
        self._tell_durable(self._tiers.durable.wait())
        if self._tiers.curator:
            self._tell_curated(self._tiers.curator.end())

    def _tell_durable(self, ended: Sequence[Saved]) -> None:
        for saved in ended:
            self._tell(saved, "durable")
            if self._tiers.curator and saved.path:
                self._tiers.curator.saved(saved.path)

    def _tell_curated(self, changes: Sequence[Curated]) -> None:
        for each in changes:
            self._told(
                CheckpointChanged(
                    at=each.at,
                    step=each.step,
                    state=str(each.state or "deleted"),
                    tier="durable",
                    path=str(each.path),
                    problem=each.problem,
                )
            )

    def _tell(self, saved: Saved, tier: str) -> None:
        self._told(
            CheckpointChanged(
                at=time.time(),
                step=saved.step,
                state="failed" if saved.problem else "complete",
                tier=tier,
                path=str(saved.path or ""),
                stall_seconds=saved.stalled_seconds,
                seconds=saved.total_seconds,
                num_bytes=saved.num_bytes,
                problem=saved.problem,
            )
        )


def _is_due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0


def stage_ends(plan: Plan) -> frozenset[int]:
    """Last steps of the plan's stages."""
    return frozenset(last_step_of(plan, index) for index in range(len(plan.stages)))


def open_tiers(plan: Plan, run: Path, run_id: str, device: Device, header: Header, texts: dict[str, str]) -> Tiers:
    """Of a run's directory; node-local states of different runs on a node lie apart."""
    wanted: CheckpointPlan = plan.checkpoints
    local = None
    if wanted.local_directory is not None and wanted.local_every_steps:
        local = LocalTier(wanted.local_directory / run_id, header.layout, keep=wanted.local_keep)
    directory = run / wanted.directory
    return Tiers(
        durable=DurableSaver(plan, directory, device, header.layout, texts=texts),
        curator=Curator(directory, wanted, stage_ends(plan)) if exchange.rank() == 0 else None,
        local=local,
        memory=MemoryRing(wanted.memory_keep) if wanted.memory_every_steps else None,
    )
