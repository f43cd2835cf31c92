"""Exports a durable checkpoint to a directory that Hugging Face's transformers loads: safetensors and config.

On one process, from a checkpoint of any layout, tensor by tensor. Document masking is not part of it: transformers sees
a whole row as one document, so feed it one document a row.
"""

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from secrets import token_hex
from typing import Any

from trainer.checkpoints.durable import PLAN, TOKENIZER
from trainer.checkpoints.hashing import HashingStream
from trainer.checkpoints.hugging_face import (
    Named,
    config_of,
    end_of_document,
    refuse,
    tensors_of,
    tokenizer_config,
)
from trainer.checkpoints.manifest import BadCheckpoint, read_manifest
from trainer.checkpoints.pickles import refuse_code
from trainer.checkpoints.stored import Stored
from trainer.checkpoints.tensor_file import write_tensors
from trainer.checkpoints.verify import read_back
from trainer.plan.json_form import plan_from_json
from trainer.plan.words import Plan
from watchdog.vocabulary.errors import UsageError

SHARD_BYTES = 5_000_000_000
"""Most that one file holds, as Hugging Face has it by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written."""

    directory: Path
    step: int
    num_parameters: int
    num_bytes: int
    has_tokenizer: bool


def export(
    path: Path, out: Path, *, plan: Plan | None = None, tokenizer: Path | None = None, shard_bytes: int = SHARD_BYTES
) -> Exported:
    """Write `out`, which must not exist or be empty. `plan` and `tokenizer`: in place of the checkpoint's own copies.

    Raises `BadCheckpoint` for a damaged one and `UsageError` for one that can't be expressed; then `out` is as before.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is there already and not empty; give another directory, or remove it")
    if problem := read_back(path, is_from_disk=False).problem:
        raise BadCheckpoint(f"{path}: {problem}")
    manifest = read_manifest(path)
    refuse_code(path, frozenset(manifest.files))
    plan = plan or _plan_of(path)
    refuse(plan.model)
    writing = out.with_name(f"{out.name}.writing-{token_hex(4)}")
    try:
        writing.mkdir(parents=True)
        tokenizer_text = _tokenizer_text(path, plan, tokenizer)
        found = _write(path, writing, plan, manifest.header.stage, tokenizer_text, shard_bytes)
        if out.exists():
            out.rmdir()
        writing.rename(out)
    except OSError as error:
        raise UsageError(f"{error.filename or out} can't be written ({error.strerror})") from error
    finally:
        shutil.rmtree(writing, ignore_errors=True)
    num_parameters, num_bytes = found
    return Exported(
        directory=out,
        step=manifest.header.step,
        num_parameters=num_parameters,
        num_bytes=num_bytes,
        has_tokenizer=tokenizer_text is not None,
    )


def _plan_of(path: Path) -> Plan:
    try:
        return plan_from_json(json.loads((path / PLAN).read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise UsageError(f"{path.name} has no {PLAN}; give --plan") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadCheckpoint(f"{path / PLAN} can't be read ({error})") from error


def _tokenizer_text(path: Path, plan: Plan, given: Path | None) -> str | None:
    """tokenizers' JSON: the given one, the checkpoint's copy, or the plan's file; None where there is none to copy."""
    copied, named = path / TOKENIZER, plan.tokenizer.file
    file = given or (copied if copied.exists() else named)
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"tokenizer {file} can't be read ({error}); give --tokenizer") from error


def _write(
    path: Path, out: Path, plan: Plan, stage_name: str, tokenizer: str | None, shard_bytes: int
) -> tuple[int, int]:
    """Parameters and bytes."""
    stage = next((each for each in plan.stages if each.name == stage_name), None)
    if stage is None:
        raise UsageError(f"the checkpoint is of stage {stage_name!r}, which the plan doesn't have")
    stored = Stored(path)
    named = list(tensors_of(plan.model, stored))
    end = end_of_document(plan.tokenizer, tokenizer)
    _write_json(out / "config.json", config_of(plan.model, stage, dtype=named[0].slot.dtype, end_of_document=end))
    _write_json(out / "generation_config.json", {"_from_model_config": True, "eos_token_id": end})
    if tokenizer is not None:
        (out / TOKENIZER).write_text(tokenizer, encoding="utf-8")
        _write_json(out / "tokenizer_config.json", tokenizer_config(plan.tokenizer, stage))
    _write_shards(out, named, shard_bytes)
    return sum(prod(each.slot.shape) for each in named), sum(each.slot.num_bytes for each in named)


def _write_shards(out: Path, named: list[Named], shard_bytes: int) -> None:
    shards = list(_shards(named, shard_bytes))
    places: dict[str, str] = {}
    for number, shard in enumerate(shards, 1):
        name = "model.safetensors" if len(shards) == 1 else f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        with (out / name).open("wb") as raw:
            write_tensors(HashingStream(raw), {each.name: each.slot for each in shard}, {"format": "pt"})
        places |= {each.name: name for each in shard}
    if len(shards) > 1:
        total = sum(each.slot.num_bytes for each in named)
        index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(places.items()))}
        _write_json(out / "model.safetensors.index.json", index)


def _shards(named: Iterable[Named], shard_bytes: int) -> Iterable[list[Named]]:
    shard: list[Named] = []
    size = 0
    for each in named:
        if shard and size + each.slot.num_bytes > shard_bytes:
            yield shard
            shard, size = [], 0
        shard.append(each)
        size += each.slot.num_bytes
    yield shard


def _write_json(file: Path, document: dict[str, Any]) -> None:
    file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
