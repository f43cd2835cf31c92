"""Loads Megatron's sharded format (torch_dist) in any layout. Imports Megatron-core: after the device is open."""

from pathlib import Path
from typing import Any

from megatron.core import dist_checkpointing, parallel_state
from megatron.core.dist_checkpointing.strategies.fully_parallel import FullyParallelLoadStrategyWrapper
from megatron.core.dist_checkpointing.strategies.torch import TorchDistLoadShardedStrategy
from megatron.core.dist_checkpointing.validation import StrictHandling


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
