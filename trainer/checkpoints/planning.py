"""Plans durable saves: which rank writes which tensors, once for all saves, as long as the tensors stay where they are.

Imports Megatron-core, so it is itself imported after the device is open. Megatron's strategies divide the work and
torch's planner checks that all parts together are each tensor once; the writing is `share`'s.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from megatron.core import parallel_state
from megatron.core.dist_checkpointing.core import CheckpointingConfig, save_config
from megatron.core.dist_checkpointing.state_dict_utils import save_preprocess
from megatron.core.dist_checkpointing.strategies.async_utils import AsyncRequest
from megatron.core.dist_checkpointing.strategies.filesystem_async import FileSystemWriterAsync
from megatron.core.dist_checkpointing.strategies.fully_parallel import FullyParallelSaveStrategyWrapper
from megatron.core.dist_checkpointing.strategies.state_dict_saver import save_state_dict_async_plan
from megatron.core.dist_checkpointing.strategies.torch import (
    MCoreSavePlanner,
    TorchDistSaveShardedStrategy,
    _replace_state_dict_keys_with_sharded_keys,
    mcore_to_pyt_state_dict,
)
from torch.distributed.checkpoint.planner import WriteItemType

from trainer.checkpoints import exchange
from trainer.checkpoints.durably import sync_file
from trainer.checkpoints.live import common_state, live_state
from trainer.model.built import Built
from trainer.model.state import local_tensors

COMMON = "common.pt"
"""Megatron's name of what is equal on all ranks; written by rank 0."""
BACKEND, BACKEND_VERSION = "torch_dist", 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What this rank writes in one save."""

    buckets: list[Any]
    """Each (path, name, (byte items, tensor items)); on the processor's side."""
    transforms: Any
    common: Any
    metadata: Any
    """Of all ranks, on rank 0; None elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """A plan that holds for later saves."""

    items: list[tuple[Any, Any]]
    """torch's item and the tensor or bytes."""
    file: str
    metadata: Any
    places: frozenset[int]
    """Addresses of all tensors of the state."""
    is_lasting: bool
    """No item holds bytes that may be others at the next save."""


class _Writer(FileSystemWriterAsync):  # type: ignore[misc]
    """Writes nothing: hands out the items with the tensors themselves, not copies."""

    items: list[tuple[Any, Any]]
    file: str

    def prepare_write_data(self, plan: Any, planner: Any) -> None:
        """Called at the end of the planning."""
        self.items = [(item, planner.resolve_data(item)) for item in plan.items]
        self.file = f"{plan.storage_data.prefix}0.distcp"


class _Strategy(TorchDistSaveShardedStrategy):  # type: ignore[misc]
    """Megatron's, up to the writing."""

    writer: Any = None
    metadata: Any = None

    def async_save(self, sharded_state_dict: Any, checkpoint_dir: Path) -> Any:
        """Plan; collective. The request that is returned does nothing."""
        by_key, _, _ = _replace_state_dict_keys_with_sharded_keys(sharded_state_dict, self.keep_only_main_replica)
        writer = _Writer(checkpoint_dir, thread_count=1)
        planner = MCoreSavePlanner(dedup_replicated_tensors=False, flatten_state_dict=False)
        found = save_state_dict_async_plan(mcore_to_pyt_state_dict(by_key, False), writer, None, 0, planner=planner)
        self.writer, self.metadata = writer, found[0][1]
        return AsyncRequest(None, (), [])


class Planner:
    """Plans saves of one model on this rank."""

    def __init__(self) -> None:
        self._kept: _Kept | None = None

    def plan(self, built: Built, directory: Path) -> Planned:
        """Collective. Copies what lies on a GPU to the processor's side; `directory` exists and is empty."""
        places = _places(built)
        kept = self._kept
        can_stay = kept is not None and kept.is_lasting and kept.places == places
        if not exchange.is_everywhere(can_stay, _device_of(built)) or kept is None:
            kept = self._kept = _plan(built, directory, places)
        byte_items = [each for each in kept.items if each[0].type == WriteItemType.BYTE_IO]
        tensor_items = [each for each in kept.items if each[0].type != WriteItemType.BYTE_IO]
        bucket = (str(directory / kept.file), kept.file, (byte_items, tensor_items))
        return Planned(
            buckets=FileSystemWriterAsync.preload_tensors([bucket] if kept.items else [], True),
            transforms=FileSystemWriterAsync(directory, thread_count=1).transforms,
            common=common_state(built),
            metadata=kept.metadata,
        )


def _plan(built: Built, directory: Path, places: frozenset[int]) -> _Kept:
    # torch's planner checks the parts against the whole; Megatron's own check knows regular grids only
    parts, _ = save_preprocess(live_state(built), validate_access_integrity=False)
    strategy = _Strategy(BACKEND, BACKEND_VERSION, thread_count=1)
    group = parallel_state.get_data_parallel_group(with_context_parallel=True)
    FullyParallelSaveStrategyWrapper(strategy, group).async_save(parts, directory)
    if strategy.metadata is not None:
        # for a cache of Megatron's that is not in use here; it would be most of the file
        del strategy.metadata.all_local_plans
    return _Kept(
        items=strategy.writer.items,
        file=strategy.writer.file,
        metadata=strategy.metadata,
        places=places,
        is_lasting=all(_is_nothing(data) for item, data in strategy.writer.items if item.type == WriteItemType.BYTE_IO),
    )


def _places(built: Built) -> frozenset[int]:
    """Addresses of the state's tensors. Counts of steps are numbers that are made into tensors at each call."""
    named = local_tensors(built)
    return frozenset(tensor.data_ptr() for name, tensor in named.items() if not name.endswith(".step"))


def _device_of(built: Built) -> torch.device:
    device: torch.device = next(built.chunks[0].parameters()).device
    return device


def _is_nothing(data: Any) -> bool:
    """Whether bytes are a module's word that it has no state beside its tensors."""
    try:
        return bool(torch.load(BytesIO(data.getvalue()), weights_only=True) == [None])
    except UnpicklingError:
        return False


def finish(planned: Planned, results: Iterable[Any], directory: Path) -> list[str]:
    """On rank 0, after all ranks have written: Megatron's and torch's metadata. Names of the files; raises OSError."""
    writer = FileSystemWriterAsync(directory, thread_count=1)
    writer.finish(replace(planned.metadata), list(results))
    save_config(CheckpointingConfig(BACKEND, BACKEND_VERSION), str(directory))
    sync_file(directory / "metadata.json")  # Megatron leaves that to the system
    return [".metadata", "metadata.json"]
