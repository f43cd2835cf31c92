"""Megatron's sharded format (torch_dist) on a disk: who writes what, and reading it in any layout.

Imports Megatron-core, so it is itself imported after the device is open. It plans through Megatron's strategies and
leaves the writing to `share` and the end of it to `durable`: Megatron's own end of a save lets ranks wait for one
another for ever when one of them finds its disk full.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from megatron.core import dist_checkpointing, parallel_state
from megatron.core.dist_checkpointing.core import CheckpointingConfig, save_config
from megatron.core.dist_checkpointing.state_dict_utils import save_preprocess
from megatron.core.dist_checkpointing.strategies import filesystem_async
from megatron.core.dist_checkpointing.strategies.async_utils import AsyncRequest
from megatron.core.dist_checkpointing.strategies.filesystem_async import FileSystemWriterAsync
from megatron.core.dist_checkpointing.strategies.fully_parallel import (
    FullyParallelLoadStrategyWrapper,
    FullyParallelSaveStrategyWrapper,
)
from megatron.core.dist_checkpointing.strategies.torch import TorchDistLoadShardedStrategy, TorchDistSaveShardedStrategy
from megatron.core.dist_checkpointing.validation import StrictHandling

from trainer.checkpoints.durably import sync_file

COMMON = "common.pt"
"""Megatron's name of what is equal on all ranks; written by rank 0."""
BACKEND, BACKEND_VERSION = "torch_dist", 1

# Megatron's planner starts a manager process for its own writers' answers unless there is one: that takes seconds,
# imports the main program anew, and outlives a trainer that is killed. No writer of Megatron's is used here.
filesystem_async._results_queue = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What this rank writes of a state."""

    buckets: list[Any]
    """On the processor's side."""
    transforms: Any
    writer: Any
    metadata: Any
    """Of all ranks, on rank 0; None elsewhere."""
    common: Any


class _Planning(TorchDistSaveShardedStrategy):  # type: ignore[misc]
    """Stops after the plan."""

    writer: Any = None
    metadata: Any = None

    def _get_save_and_finalize_callbacks(self, writer: Any, save_state_dict_ret: Any) -> Any:
        self.writer, self.metadata = writer, save_state_dict_ret[1]
        return AsyncRequest(None, (), [])


class Planner:
    """Plans saves of one model; each data parallel rank writes an equal part of what they have in common."""

    def __init__(self) -> None:
        # one file a rank: small enough at any size that is trained with data parallelism
        self._strategy = _Planning(BACKEND, BACKEND_VERSION, thread_count=1)
        group = parallel_state.get_data_parallel_group(with_context_parallel=True)
        self._spread = FullyParallelSaveStrategyWrapper(self._strategy, group, do_cache_distribution=True)
        self._is_first = True

    def plan(self, state: Any, directory: Path) -> Planned:
        """Collective. Copies what lies on a GPU to the processor's side; `directory` exists and is empty."""
        # which rank holds what is checked once: it is the same at each save, and costs an exchange over all ranks
        parts, common = save_preprocess(state, validate_access_integrity=self._is_first)
        self._spread.async_save(parts, directory)
        self._is_first = False
        writer, metadata = self._strategy.writer, self._strategy.metadata
        self._strategy.writer = self._strategy.metadata = None
        if metadata is not None:
            # for a cache that is not in use here; it would be most of the file
            del metadata.all_local_plans
        buckets = FileSystemWriterAsync.preload_tensors(writer.write_buckets, True)
        return Planned(buckets=buckets, transforms=writer.transforms, writer=writer, metadata=metadata, common=common)


def finish(planned: Planned, results: list[Any], directory: Path) -> list[str]:
    """On rank 0, after all ranks have written: Megatron's and torch's metadata. Names of the files; raises OSError."""
    planned.writer.finish(planned.metadata, results)
    save_config(CheckpointingConfig(BACKEND, BACKEND_VERSION), str(directory))
    sync_file(directory / "metadata.json")  # Megatron leaves that to the system
    return [".metadata", "metadata.json"]


def load(state: Any, directory: Path) -> Any:
    """Fill a loading state dict. Collective; each data parallel rank reads an equal part and they exchange it.

    Raises Megatron's CheckpointingException for a tensor that is missing, superfluous or of another shape.
    """
    group = parallel_state.get_data_parallel_group(with_context_parallel=True)
    strategy = FullyParallelLoadStrategyWrapper(TorchDistLoadShardedStrategy(), group)
    return dist_checkpointing.load(state, str(directory), sharded_strategy=strategy, strict=StrictHandling.RAISE_ALL)


def coordinates() -> dict[str, int]:
    """Of this rank: ``tensor``, ``pipeline``, ``context``, ``data``."""
    return {
        "tensor": parallel_state.get_tensor_model_parallel_rank(),
        "pipeline": parallel_state.get_pipeline_model_parallel_rank(),
        "context": parallel_state.get_context_parallel_rank(),
        "data": parallel_state.get_data_parallel_rank(),
    }
