"""Seeds and states of all generators of a process: Python's, numpy's, torch's and those of Megatron's tracker."""

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

PIPELINE_SEED_STEP = 100
"""Between pipeline stages, as Megatron's training script has it: equal layers otherwise start with equal weights."""


class Generators:
    """What devices of every kind share."""

    def seed(self, seed: int, *, tensor_rank: int, pipeline_rank: int) -> None:
        """See `Device`."""
        from megatron.core import tensor_parallel  # noqa: PLC0415 - after the device is open

        own = seed + PIPELINE_SEED_STEP * pipeline_rank
        random.seed(own)
        np.random.seed(own)
        torch.manual_seed(own)
        tensor_parallel.model_parallel_cuda_manual_seed(own, tp_rank=tensor_rank, force_reset_rng=True)

    def rng_state(self) -> Mapping[str, Any]:
        """See `Device`."""
        from megatron.core.tensor_parallel import get_cuda_rng_tracker  # noqa: PLC0415

        name, keys, *rest = np.random.get_state()
        return {
            "python": random.getstate(),
            "numpy": (name, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest),
            "torch": torch.get_rng_state(),
            "tracker": {key: state.clone() for key, state in get_cuda_rng_tracker().get_states().items()},
        }

    def set_rng_state(self, state: Mapping[str, Any]) -> None:
        """See `Device`."""
        from megatron.core.tensor_parallel import get_cuda_rng_tracker  # noqa: PLC0415

        version, internal, gauss = state["python"]
        random.setstate((version, tuple(internal), gauss))
        name, keys, *rest = state["numpy"]
        np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
        torch.set_rng_state(state["torch"])
        get_cuda_rng_tracker().set_states({key: each.clone() for key, each in state["tracker"].items()})
