"""A model's state: in Megatron's sharded form for durable checkpoints, and as this rank's tensors for all else."""

from collections.abc import Mapping
from typing import Any

import torch
from megatron.core import parallel_state

from trainer.model.build import chained
from trainer.model.built import Built, Digests, digest_of

FORMAT = "fully_reshardable"
"""Of the distributed optimizer's state: loads in any layout."""


def unwrapped(chunk: Any) -> Any:
    """The GPTModel within Megatron's wrappers."""
    while hasattr(chunk, "module"):
        chunk = chunk.module
    return chunk


def metadata() -> dict[str, Any]:
    """What Megatron must be told of the format, when it saves and when it loads."""
    return {
        "distrib_optim_sharding_type": FORMAT,
        "dp_cp_group": parallel_state.get_data_parallel_group(with_context_parallel=True),
        "singleton_local_shards": False,
        "chained_optim_avoid_prefix": True,
    }


def sharded_state(built: Built, *, is_loading: bool) -> dict[str, Any]:
    """For `dist_checkpointing`: ``model`` and ``optimizer``. Collective. Call `force_param_sync` before a save."""
    model = unwrapped(built.chunks[0]).sharded_state_dict(metadata=metadata())
    optimizer = built.optimizer.sharded_state_dict({"model": model}, is_loading=is_loading, metadata=metadata())
    return {"model": model, "optimizer": optimizer}


def force_param_sync(built: Built) -> None:
    """Each rank's weights are whole: with overlapped gathering, others' shards are stale until the next pass."""
    for chunk in built.chunks:
        if chunk.ddp_config.overlap_param_gather:
            chunk.start_param_sync(force_sync=True)


def load_state(built: Built, loaded: Mapping[str, Any]) -> None:
    """Put back what `dist_checkpointing.load` gave for `sharded_state`."""
    unwrapped(built.chunks[0]).load_state_dict(loaded["model"])
    with torch.no_grad():
        built.optimizer.load_state_dict(loaded["optimizer"])


def local_tensors(built: Built) -> dict[str, torch.Tensor]:
    """This rank's weights, moments and counts of steps, by name: the tensors themselves, not copies.

    Call `force_param_sync` before.
    """
    found = {f"weight.{name}": each.data for name, each in unwrapped(built.chunks[0]).named_parameters()}
    return found | optimizer_tensors(built)


def optimizer_tensors(built: Built) -> dict[str, torch.Tensor]:
    """Moments, counts of steps, and main parameters where they aren't the weights themselves."""
    found: dict[str, torch.Tensor] = {}
    has_own_main = built.config.params_dtype != torch.float32
    for number, part in enumerate(chained(built.optimizer)):
        part.optimizer.begin_moments()
        for index, group in enumerate(part.optimizer.param_groups):
            prefix = f"optimizer.{number}.{index}"
            found[f"{prefix}.step"] = torch.tensor([group["step"]], dtype=torch.int64)
            for place, param in enumerate(group["params"]):
                if has_own_main:
                    found[f"{prefix}.{place}.main"] = param.data
                found |= {f"{prefix}.{place}.{name}": each for name, each in part.optimizer.state[param].items()}
    return found


@torch.no_grad()
def restore_local(built: Built, tensors: Mapping[str, torch.Tensor]) -> None:
    """Copy what `local_tensors` gave back into place. Raises KeyError or RuntimeError for another model or layout."""
    own = local_tensors(built)
    if missing := own.keys() ^ tensors.keys():
        raise KeyError(f"the state has other tensors than this model: {', '.join(sorted(missing)[:3])}")
    for name, tensor in own.items():
        tensor.copy_(tensors[name])
    for number, part in enumerate(chained(built.optimizer)):
        for index, group in enumerate(part.optimizer.param_groups):
            group["step"] = int(tensors[f"optimizer.{number}.{index}.step"])


def digests(built: Built, rng: Mapping[str, Any]) -> Digests:
    """Fingerprints of this rank's state and generators. Collective: stale weights are brought up to date."""
    force_param_sync(built)
    tensors = local_tensors(built)
    return Digests(
        weights=digest_of({name: each for name, each in tensors.items() if name.startswith("weight.")}),
        optimizer=digest_of({name: each for name, each in tensors.items() if name.startswith("optimizer.")}),
        rng=rng_digest(rng),
    )


def rng_digest(rng: Mapping[str, Any]) -> str:
    """Of generators' states: tensors by their bits, all else as it is written."""
    tensors: dict[str, torch.Tensor] = {}
    words: list[str] = []
    _flatten("", rng, tensors, words)
    written = torch.frombuffer(bytearray("\n".join(words).encode()), dtype=torch.uint8)
    return digest_of({**tensors, "words": written})


def _flatten(name: str, value: Any, tensors: dict[str, torch.Tensor], words: list[str]) -> None:
    if isinstance(value, torch.Tensor):
        tensors[name] = value
    elif isinstance(value, Mapping):
        for key in sorted(value):
            _flatten(f"{name}.{key}", value[key], tensors, words)
    elif isinstance(value, tuple | list) and any(isinstance(each, torch.Tensor) for each in value):
        for index, each in enumerate(value):
            _flatten(f"{name}.{index}", each, tensors, words)
    else:
        words.append(f"{name}={value!r}")
