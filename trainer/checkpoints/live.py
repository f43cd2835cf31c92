"""What this rank saves, as views of the tensors that training works on: nothing is copied or gathered to say it.

The keys and shapes are those of Megatron's fully reshardable format, so its loading reads what is saved from here in
any layout. Megatron itself gathers the distributed optimizer's state on every rank to save it: at 3 billion parameters,
tensor parallel size 2, 18 GB of main memory a rank, with training standing still.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from megatron.core.dist_checkpointing.dict_utils import nested_values
from megatron.core.dist_checkpointing.mapping import ShardedTensor, ShardedTensorFactory
from megatron.core.dist_checkpointing.state_dict_utils import save_preprocess
from megatron.core.dist_checkpointing.utils import extract_sharded_tensors_and_factories
from megatron.core.optimizer.distrib_optimizer import DistributedOptimizer

from trainer.checkpoints.boxes import boxes
from trainer.model.build import chained
from trainer.model.built import Built
from trainer.model.state import FORMAT, metadata, sharded_state, unwrapped

PREFIX = "optimizer.state"
"""Of the keys of moments and main parameters, as Megatron has it."""


def live_state(built: Built) -> dict[str, Any]:
    """As `trainer.model.state.sharded_state` for a save, but for who writes which part of the optimizer's state."""
    part = _distributed(built)
    if part is None:
        return sharded_state(built, is_loading=False)
    model = unwrapped(built.chunks[0]).sharded_state_dict(metadata=metadata())
    optimizer = {**_common(part), "param_state": list(_pieces(part, model))}
    return {"model": model, "optimizer": optimizer}


def common_state(built: Built) -> Any:
    """What of the state is no tensor: equal on all ranks, other at each save."""
    part = _distributed(built)
    if part is None:
        return save_preprocess(sharded_state(built, is_loading=False), validate_access_integrity=False)[1]
    return {"optimizer": _common(part)}


def _distributed(built: Built) -> Any | None:
    """The distributed optimizer, where it is the only one."""
    parts = chained(built.optimizer)
    return parts[0] if len(parts) == 1 and isinstance(parts[0], DistributedOptimizer) else None


def _common(part: Any) -> dict[str, Any]:
    return {**part.state_dict(), "param_state_sharding_type": FORMAT}


def _pieces(part: Any, model: Any) -> Iterator[ShardedTensor]:
    """This rank's stretches of each parameter's main copy and moments."""
    sharded, _ = extract_sharded_tensors_and_factories(model)
    by_param = {id(each.data): each for each in nested_values(sharded)}
    for ranges in part.gbuf_ranges:
        for buckets in ranges.values():
            for bucket in buckets:
                for param, places in bucket["param_map"].items():
                    stretch = places["param"]
                    for name, values in part._get_main_param_and_optimizer_states(param).items():
                        yield from _cut(by_param[id(param)], name, values, stretch.start, stretch.end)


def _cut(whole: Any, name: str, values: torch.Tensor, begin: int, end: int) -> Iterator[ShardedTensor]:
    """`values`, flat, are elements `begin` to `end` of the local parameter that `whole` describes."""
    assert values.shape == (end - begin,), f"{whole.key}: {name} has shape {tuple(values.shape)} for {end - begin}"
    for at, sub in _consecutive(whole):
        offset = max(begin, at)
        for box in boxes(tuple(sub.local_shape), offset - at, min(end, at + sub.data.numel()) - at):
            data = values.detach()[offset - begin : offset - begin + box.num_elements]
            offset += box.num_elements
            ones = (1,) * sub.prepend_axis_num
            begins = ((0,) * sub.prepend_axis_num) + box.begin
            yield ShardedTensor(
                key=f"{PREFIX}.{name}.{sub.key}",
                data=data.view(ones + box.size),
                dtype=data.dtype,
                local_shape=ones + box.size,
                global_shape=tuple(sub.global_shape),
                global_offset=tuple(a + b for a, b in zip(sub.global_offset, begins, strict=True)),
                axis_fragmentations=None,
                # no other data parallel rank has these elements
                replica_id=(*sub.replica_id[:-1], 0),
            )


def _consecutive(whole: Any) -> Iterator[tuple[int, ShardedTensor]]:
    """Parts of a parameter that are each one place in the global tensor, and where they begin in the flattened one: a
    gate and what it gates lie one behind the other on a rank, and apart in the whole."""
    if not isinstance(whole, ShardedTensorFactory):
        yield 0, whole
        return
    # on a stand-in without values: only places matter
    stand_in = replace(whole, data=torch.empty(whole.data.shape, dtype=whole.data.dtype, device="meta"))
    for sub in nested_values({"built": stand_in.build()}):
        assert sub.data.is_contiguous()
        yield sub.data.storage_offset(), sub
