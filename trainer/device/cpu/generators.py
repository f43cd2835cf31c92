"""Megatron's tracker of generators, made to swap the processor's generator."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


def install() -> None:
    """Replace the tracker's class and its two functions; imports Megatron, so after `view.install`."""
    from megatron.core.tensor_parallel import random  # noqa: PLC0415 - after the view is in place

    class Tracker(random.CudaRNGStatesTracker):  # type: ignore[misc]
        """Named states of the processor's generator."""

        @contextmanager
        def fork(self, name: str = random._MODEL_PARALLEL_RNG_TRACKER_NAME) -> Iterator[None]:
            """Within it, random numbers come from the state of that name."""
            outer = torch.get_rng_state()
            torch.set_rng_state(self.states_[name])
            try:
                yield
            finally:
                self.states_[name] = torch.get_rng_state()
                torch.set_rng_state(outer)

    def get_state(*_: Any, **__: Any) -> torch.Tensor:
        return torch.get_rng_state()

    def set_state(state: torch.Tensor, *_: Any, **__: Any) -> None:
        torch.set_rng_state(state)

    random._get_cuda_rng_state = get_state
    random._set_cuda_rng_state = set_state
    random.CudaRNGStatesTracker = Tracker
