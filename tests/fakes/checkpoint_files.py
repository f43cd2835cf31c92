"""Checkpoints without tensors: whole directories of small files, as a save leaves them."""

from pathlib import Path

from trainer.checkpoints.hashing import entry_of
from trainer.checkpoints.manifest import Manifest
from trainer.checkpoints.names import WRITING, partial_name
from trainer.checkpoints.seal import seal
from trainer.checkpoints.words import Header, Layout

LAYOUT = Layout(tensor=1, pipeline=1, context=1, data=1)
FILES = {"__0_0.distcp": b"weights" * 1000, "rng/tp000_pp000_cp000_dp00000.json": b"{}", ".metadata": b"\x80\x04N."}


def header_at(step: int, **changes: object) -> Header:
    return Header(**({"run": "r", "plan_hash": "p", "step": step, "stage": "s", "layout": LAYOUT} | changes))  # type: ignore[arg-type]


def make(directory: Path, step: int, files: dict[str, bytes] | None = None) -> Path:
    """A whole checkpoint of `step` under its name."""
    writing = directory / partial_name(step, WRITING, "00")
    contents = FILES if files is None else files
    for name, content in contents.items():
        file = writing / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    entries = {name: entry_of(writing / name) for name in contents}
    path, _ = seal(writing, Manifest(header=header_at(step), files=entries, created_at=1_700_000_000.0 + step))
    return path
