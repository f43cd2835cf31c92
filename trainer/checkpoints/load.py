"""Puts a durable checkpoint into a model: to the bit where the layout is the one it was saved in, else resharded."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer.checkpoints import exchange, rng
from trainer.checkpoints.hashing import check_files
from trainer.checkpoints.manifest import BadCheckpoint, Manifest, read_manifest
from trainer.checkpoints.pickles import refuse_code
from trainer.checkpoints.words import Header, Layout
from trainer.device.device import Device
from trainer.model.built import Built

UNSAFE = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
"""Environment variable that takes the limit off torch.load."""


def problem_of(path: Path) -> str:
    """Why the checkpoint can't be used, in words; empty: it can. Collective: each rank reads its share of the files and
    compares their hashes, so the whole is read once."""
    problem = ""
    try:
        manifest = read_manifest(path)
        names = sorted(manifest.files)[exchange.rank() :: exchange.num_ranks()]
        check_files(path, manifest, names)
    except BadCheckpoint as error:
        problem = str(error)
    return next((each for each in exchange.to_all(problem) if each), "")


def load_durable(path: Path, built: Built, device: Device, layout: Layout) -> Header:
    """Weights, moments and, at an equal layout, each rank's generators. Collective. The files must have been read back
    (`problem_of`). Raises `BadCheckpoint`, on all ranks, before anything of the model is changed."""
    from trainer.checkpoints import sharded  # noqa: PLC0415 - Megatron, after the device is open
    from trainer.model.state import load_state, sharded_state  # noqa: PLC0415 - the same

    manifest = _checked(path)
    is_equal = manifest.header.layout == layout
    state = generators(path) if is_equal else None
    load_state(built, sharded.load(sharded_state(built, is_loading=True), path))
    if state is not None:
        device.set_rng_state(state)
    return manifest.header


def _checked(path: Path) -> Manifest:
    """The manifest, on each rank; nothing that it leads to runs code."""
    found: Manifest | None = None
    problem = ""
    if exchange.rank() == 0:
        try:
            if os.environ.get(UNSAFE, "0").lower() in ("1", "y", "yes", "true"):
                raise BadCheckpoint(f"{UNSAFE} is set, so torch would run code from files; unset it")
            found = read_manifest(path)
            refuse_code(path, frozenset(found.files))
        except BadCheckpoint as error:
            problem = str(error)
    found, problem = exchange.from_first((found, problem))
    if problem or found is None:
        raise BadCheckpoint(f"{path}: {problem}")
    return found


def generators(path: Path) -> Mapping[str, Any]:
    """This rank's. Collective. Raises `BadCheckpoint` on all ranks, if one of them has none."""
    from trainer.checkpoints import sharded  # noqa: PLC0415 - Megatron, after the device is open

    file = path / rng.file_name(**sharded.coordinates())
    state, problem = None, ""
    try:
        state = rng.parse(file.read_text(encoding="utf-8"), where=str(file))
    except (OSError, UnicodeDecodeError) as error:
        problem = f"{file} can't be read ({error})"
    except BadCheckpoint as error:
        problem = str(error)
    if problems := [each for each in exchange.to_all(problem) if each]:
        raise BadCheckpoint(problems[0])
    assert state is not None
    return state
