"""Tier 1: each rank's own part of a state on its node, best in shared memory. Survives a process, not a node.

It is used only where every rank finds its part of the same step, saved in the same layout. Nothing is synced to the
disk: a process that dies leaves what it wrote in the page cache, and what a dying node leaves is caught by its hashes.
"""

import contextlib
import shutil
import time
from pathlib import Path
from secrets import token_hex

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from trainer.checkpoints import exchange, rng
from trainer.checkpoints.durable import Saved
from trainer.checkpoints.hashing import HashingStream, check_files
from trainer.checkpoints.manifest import BadCheckpoint, FileEntry, Manifest, read_manifest, to_text
from trainer.checkpoints.names import MANIFEST, WRITING, rank_name, step_name, step_of
from trainer.checkpoints.tensor_file import slot_of, write_tensors
from trainer.checkpoints.words import Header, Layout, Tensors
from trainer.device.device import Device
from trainer.model.built import Built

TENSORS, GENERATORS = "state.safetensors", "rng.json"


class LocalTier:
    """The node-local states of this rank: ``DIRECTORY/step_N/rank_R``. Put, steps and restore are collectives."""

    def __init__(self, directory: Path, layout: Layout, *, keep: int) -> None:
        """`directory` is this run's own on the node; `keep` states stay, at least 1."""
        assert keep >= 1
        self._directory = directory
        self._layout = layout
        self._keep = keep
        self._rank = rank_name(exchange.rank())

    def put(self, header: Header, tensors: Tensors) -> Saved:
        """Write the state of now; blocks. Older ones go once every rank has the new one."""
        from trainer.model.state import force_param_sync, local_tensors  # noqa: PLC0415 - Megatron

        began = time.monotonic()
        force_param_sync(tensors.built)
        path, problem, num_bytes = self._path(header.step), "", 0
        try:
            num_bytes = self._write(header, local_tensors(tensors.built), rng.to_text(tensors.rng))
        except OSError as error:
            problem = f"rank {exchange.rank()}: {path} can't be written ({error.strerror})"
        problems = [each for each in exchange.to_all(problem) if each]
        if problems:
            self._remove(header.step)
        else:
            for step in self._steps()[: -self._keep]:
                self._remove(step)
        seconds = time.monotonic() - began
        return Saved(
            step=header.step,
            path=None if problems else path,
            stalled_seconds=seconds,
            total_seconds=seconds,
            num_bytes=num_bytes,
            problem="; ".join(problems),
        )

    def common_steps(self) -> list[int]:
        """Steps that every rank has of this layout, as far as manifests tell, newest first."""
        own = {step for step in self._steps() if not self._problem(step)}
        return sorted(set.intersection(*exchange.to_all(own)), reverse=True)

    def problem_of(self, step: int) -> str:
        """Why the state of `step` can't be used, in words; empty: it can. Each rank reads its part back."""
        problem = self._problem(step)
        if not problem:
            try:
                manifest = read_manifest(self._path(step))
                check_files(self._path(step), manifest, sorted(manifest.files))
            except BadCheckpoint as error:
                problem = str(error)
        everybody = exchange.to_all(problem)
        return next((f"rank {rank}: {each}" for rank, each in enumerate(everybody) if each), "")

    def restore(self, step: int, built: Built, device: Device) -> Header:
        """Put a state back, to the bit. Raises `BadCheckpoint` on all ranks before anything of the model is changed."""
        from trainer.model.state import restore_local  # noqa: PLC0415 - Megatron

        if problem := self.problem_of(step):
            raise BadCheckpoint(f"node-local step {step}: {problem}")
        path = self._path(step)
        restore_local(built, self._load(path))
        device.set_rng_state(rng.parse((path / GENERATORS).read_text(encoding="utf-8"), where=str(path / GENERATORS)))
        return read_manifest(path).header

    def forget_from(self, step: int) -> None:
        """Remove this rank's of `step` and after it: what a rollback went back behind."""
        for each in self._steps():
            if each >= step:
                self._remove(each)

    def _path(self, step: int) -> Path:
        return self._directory / step_name(step) / self._rank

    def _steps(self) -> list[int]:
        """Of this rank, oldest first."""
        if not self._directory.is_dir():
            return []
        names = (path.name for path in self._directory.iterdir() if (path / self._rank).is_dir())
        return sorted(step for name in names if (step := step_of(name)) is not None)

    def _problem(self, step: int) -> str:
        try:
            header = read_manifest(self._path(step)).header
        except BadCheckpoint as error:
            return str(error)
        if header.layout != self._layout:
            return "it was saved in another layout"
        return "" if header.step == step else f"its manifest is of step {header.step}"

    def _write(self, header: Header, tensors: dict[str, torch.Tensor], generators: str) -> int:
        path = self._path(header.step)
        writing = path.with_name(f"{path.name}.{WRITING}-{token_hex(4)}")
        for old in path.parent.glob(f"{path.name}.{WRITING}-*"):
            shutil.rmtree(old, ignore_errors=True)  # of this rank, of a process that died
        try:
            writing.mkdir(parents=True)
            files: dict[str, FileEntry] = {}
            with (writing / TENSORS).open("wb") as raw:
                stream = HashingStream(raw)
                write_tensors(stream, {name: slot_of(tensor) for name, tensor in tensors.items()})
                files[TENSORS] = stream.entry()
            with (writing / GENERATORS).open("wb") as raw:
                stream = HashingStream(raw)
                stream.write(generators.encode())
                files[GENERATORS] = stream.entry()
            manifest = Manifest(header=header, files=files, created_at=time.time())
            (writing / MANIFEST).write_text(to_text(manifest), encoding="utf-8")
            if path.exists():
                self._remove(header.step)
            writing.rename(path)
        except OSError:
            shutil.rmtree(writing, ignore_errors=True)
            raise
        return manifest.num_bytes

    def _load(self, path: Path) -> dict[str, torch.Tensor]:
        try:
            return load_file(path / TENSORS)
        except (SafetensorError, OSError) as error:
            raise BadCheckpoint(f"{path / TENSORS} can't be read ({error})") from error

    def _remove(self, step: int) -> None:
        path = self._path(step)
        # a half-removed one has no manifest and is no candidate
        (path / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(path, ignore_errors=True)
        with contextlib.suppress(OSError):  # other ranks of this node may have theirs there yet
            path.parent.rmdir()
