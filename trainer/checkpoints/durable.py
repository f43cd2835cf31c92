"""Tier 2: durable checkpoints, saved while training goes on.

`begin` takes the state of now and returns as soon as it is safe to train on; `poll`, called by all ranks after each
step, ends a save once every rank has written. A save that fails leaves the earlier checkpoints as they are, and is told
as a `Saved` with its problem: training goes on.
"""

import shutil
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from trainer.checkpoints import exchange, rng
from trainer.checkpoints.hashing import entry_of
from trainer.checkpoints.manifest import FileEntry, Manifest
from trainer.checkpoints.names import WRITING, partial_name
from trainer.checkpoints.removal import Remover
from trainer.checkpoints.seal import seal
from trainer.checkpoints.share import BackgroundWriter, Share, Written, write
from trainer.checkpoints.words import Header, Layout, Tensors
from trainer.device.device import Device
from trainer.plan.words import Plan

if TYPE_CHECKING:
    from trainer.checkpoints.planning import Planned, Planner

PLAN, TOKENIZER = "plan.json", "tokenizer.json"
"""Copies that make a checkpoint usable without its run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """How one save ended; equal on all ranks but for the times."""

    step: int
    path: Path | None
    """None where it failed."""
    stalled_seconds: float
    """In which this rank did not train for it."""
    total_seconds: float
    """From its begin until it had its name."""
    num_bytes: int
    problem: str = ""
    """Why it failed; empty: it did not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """What rank 0 made of it."""

    path: Path | None = None
    num_bytes: int = 0
    problem: str = ""


@dataclass(slots=True, kw_only=True)
class _Saving:
    """A save under way."""

    header: Header
    created_at: float
    began: float
    directory: Path
    planned: "Planned | None" = None
    writer: BackgroundWriter | None = None
    written: Written | None = None
    is_sealing: bool = False
    """All ranks have written; rank 0 makes a checkpoint of it."""
    sealing: "Future[_Outcome] | None" = None
    """On rank 0."""
    stalled_seconds: float = 0.0

    def is_done(self) -> bool:
        """Whether this rank waits for nothing in its phase."""
        if self.is_sealing:
            return self.sealing is None or self.sealing.done()
        return self.writer is None or self.writer.is_done()

    def result(self) -> Written:
        if self.written is None:
            assert self.writer is not None
            self.written = self.writer.result()
        return self.written


class DurableSaver:
    """Saves of one run on this rank. All methods but the constructor are collectives over all ranks."""

    def __init__(
        self,
        plan: Plan,
        directory: Path,
        device: Device,
        layout: Layout,
        *,
        texts: Mapping[str, str] | None = None,
    ) -> None:
        """`texts`: files that rank 0 puts into each checkpoint, by name (`PLAN`, `TOKENIZER`)."""
        self._is_async = plan.checkpoints.is_async
        self._directory = directory
        self._device = device
        self._layout = layout
        self._texts = dict(texts or {})
        self._planner: Planner | None = None
        self._saving: _Saving | None = None
        self._ended: list[Saved] = []
        self._remover = Remover()
        self._sealer = ThreadPoolExecutor(1, thread_name_prefix="fryer-seal")

    @property
    def is_saving(self) -> bool:
        """Whether one is under way; equal on all ranks."""
        return self._saving is not None

    def begin(self, header: Header, tensors: Tensors) -> None:
        """Save the state of now. An earlier save that is still under way is waited for first: one at a time."""
        assert header.layout == self._layout
        began = time.monotonic()
        self._end_current()
        directory, problem = self._open(header.step)
        saving = _Saving(header=header, created_at=time.time(), began=began, directory=directory)
        if problem:
            saving.written = Written(problem=problem)
        else:
            self._take(saving, tensors)
        self._saving = saving
        saving.stalled_seconds = time.monotonic() - began
        if not self._is_async:
            self._end_current()

    def poll(self) -> list[Saved]:
        """Saves that have ended since the last call. Waits for no disk: one small all-reduce while a save is under way,
        and twice a save the ranks' word on what they wrote."""
        saving = self._saving
        if saving and exchange.is_everywhere(saving.is_done(), self._device.torch_device):
            if saving.is_sealing:
                self._end_current()
            else:
                began = time.monotonic()
                self._start_sealing(saving)
                saving.stalled_seconds += time.monotonic() - began
        ended, self._ended = self._ended, []
        return ended

    def wait(self) -> list[Saved]:
        """End all that is under way; as `poll`."""
        self._end_current()
        self._remover.wait()
        return self.poll()

    def _open(self, step: int) -> tuple[Path, str]:
        """A new directory to write into, and on failure why there is none."""
        directory, problem = self._directory / partial_name(step, WRITING, token_hex(4)), ""
        if exchange.rank() == 0:
            try:
                (directory / "rng").mkdir(parents=True)
            except OSError as error:
                problem = f"{directory} can't be made ({error.strerror})"
        found: tuple[Path, str] = exchange.from_first((directory, problem))
        return found

    def _take(self, saving: _Saving, tensors: Tensors) -> None:
        from trainer.checkpoints import planning, sharded  # noqa: PLC0415 - Megatron, after the device is open
        from trainer.model.state import force_param_sync  # noqa: PLC0415 - the same

        if self._planner is None:
            self._planner = planning.Planner()
        force_param_sync(tensors.built)
        planned = self._planner.plan(tensors.built, saving.directory)
        saving.planned = planned
        texts = {rng.file_name(**sharded.coordinates()): rng.to_text(tensors.rng)}
        objects: dict[str, Any] = {}
        if exchange.rank() == 0:
            texts |= self._texts
            objects[planning.COMMON] = planned.common
        share = Share(
            directory=saving.directory,
            buckets=planned.buckets,
            transforms=planned.transforms,
            texts=texts,
            objects=objects,
        )
        if self._is_async:
            saving.writer = BackgroundWriter(share)
        else:
            saving.written = write(share)

    def _start_sealing(self, saving: _Saving) -> None:
        saving.is_sealing = True
        gathered = exchange.to_first(saving.result())
        if gathered is not None:
            saving.sealing = self._sealer.submit(self._conclude, saving, gathered)

    def _end_current(self) -> None:
        saving, self._saving = self._saving, None
        if saving is None:
            return
        began = time.monotonic()
        if not saving.is_sealing:
            self._start_sealing(saving)
        outcome: _Outcome = exchange.from_first(saving.sealing.result() if saving.sealing else None)
        now = time.monotonic()
        self._ended.append(
            Saved(
                step=saving.header.step,
                path=outcome.path,
                stalled_seconds=saving.stalled_seconds + now - began,
                total_seconds=now - saving.began,
                num_bytes=outcome.num_bytes,
                problem=outcome.problem,
            )
        )

    def _conclude(self, saving: _Saving, gathered: list[Written]) -> _Outcome:
        """On rank 0, beside training: make a checkpoint of it, or take all of it away."""
        problem = "; ".join(
            f"rank {rank}: {written.problem}" for rank, written in enumerate(gathered) if written.problem
        )
        if not problem:
            try:
                path, num_bytes = self._seal(saving, gathered)
                return _Outcome(path=path, num_bytes=num_bytes)
            except OSError as error:
                problem = f"{error.filename or saving.directory} can't be written ({error.strerror})"
        shutil.rmtree(saving.directory, ignore_errors=True)
        return _Outcome(problem=problem)

    def _seal(self, saving: _Saving, gathered: list[Written]) -> tuple[Path, int]:
        from trainer.checkpoints import planning  # noqa: PLC0415 - Megatron, after the device is open

        assert saving.planned is not None
        names = planning.finish(saving.planned, [written.results for written in gathered], saving.directory)
        files: dict[str, FileEntry] = {name: entry_of(saving.directory / name) for name in names}
        for written in gathered:
            files |= written.files
        manifest = Manifest(header=saving.header, files=files, created_at=saving.created_at)
        path, replaced = seal(saving.directory, manifest)
        if replaced is not None:
            self._remover.start(replaced)
        return path, manifest.num_bytes
