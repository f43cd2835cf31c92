"""States of random generators as JSON text: no pickle is read from a disk. Files are named by the rank's place."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import torch

from trainer.checkpoints.manifest import BadCheckpoint

_BYTES, _TENSOR, _TUPLE = "$bytes", "$tensor", "$tuple"


def file_name(*, tensor: int, pipeline: int, context: int, data: int) -> str:
    """Where the generators of the rank at these coordinates are, relative to the checkpoint."""
    return f"rng/tp{tensor:03d}_pp{pipeline:03d}_cp{context:03d}_dp{data:05d}.json"


def to_text(state: Mapping[str, Any]) -> str:
    """Bytes, numbers, strings, tuples, lists, tensors and mappings of them. Raises TypeError for anything else."""
    return json.dumps(_to_json(state), allow_nan=False)


def parse(text: str, *, where: str) -> Mapping[str, Any]:
    """What `to_text` made; `where` names it in errors. Raises `BadCheckpoint`."""
    try:
        state = _from_json(json.loads(text))
    except (KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise BadCheckpoint(f"{where} holds no states of generators ({type(error).__name__}: {error})") from error
    if not isinstance(state, dict):
        raise BadCheckpoint(f"{where} holds no states of generators")
    return state


def _to_json(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        flat = value.detach().cpu().contiguous()
        raw = flat.flatten().view(torch.uint8).numpy().tobytes()
        return {_TENSOR: [str(flat.dtype).removeprefix("torch."), list(flat.shape), _to_base64(raw)]}
    if isinstance(value, bytes):
        return {_BYTES: _to_base64(value)}
    if isinstance(value, tuple):
        return {_TUPLE: [_to_json(each) for each in value]}
    if isinstance(value, list):
        return [_to_json(each) for each in value]
    if isinstance(value, Mapping):
        return {str(key): _to_json(each) for key, each in value.items()}
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"a state of a generator holds a {type(value).__name__}, which has no place in JSON")


def _from_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_from_json(each) for each in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {_BYTES}:
        return base64.b64decode(value[_BYTES], validate=True)
    if set(value) == {_TUPLE}:
        return tuple(_from_json(each) for each in value[_TUPLE])
    if set(value) == {_TENSOR}:
        name, shape, text = value[_TENSOR]
        values, dtype = bytearray(base64.b64decode(text, validate=True)), getattr(torch, name)
        # frombuffer refuses an empty buffer
        raw = torch.frombuffer(values, dtype=torch.uint8) if values else torch.empty(0, dtype=torch.uint8)
        if not isinstance(dtype, torch.dtype):
            raise ValueError(f"{name!r} is no dtype")
        return raw.view(dtype).reshape(shape)
    return {key: _from_json(each) for key, each in value.items()}


def _to_base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
