"""What all ranks look at together before the first step: do they run the same, and hold what they should?

Imports Megatron-core: load it after the device is open.
"""

from collections.abc import Iterator, Mapping

import torch
from megatron.core import parallel_state

from trainer.checkpoints import exchange
from trainer.model.built import Built, digest_of
from trainer.model.state import unwrapped
from trainer.replicas import Held, Weight, problem_of
from trainer.versions import skew_of
from watchdog.vocabulary.errors import FryerError

_TIED = "embedding.word_embeddings.weight"


class Inconsistent(FryerError):  # noqa: N818 - says what is not
    """Ranks that must not train together."""


def check_versions(versions: Mapping[str, str]) -> None:
    """Raise `Inconsistent` on all ranks where one has other versions than rank 0. Collective."""
    if problem := skew_of(exchange.to_all(dict(versions))):
        raise Inconsistent(problem)


def check_weights(built: Built) -> None:
    """Raise `Inconsistent` on all ranks where copies of a weight differ, or parts of one that were drawn apart agree.

    Collective; before the first step, fresh or resumed. Reads all weights once: a second for each GB of a rank's.
    """
    if exchange.num_ranks() == 1:
        return
    # no `force_param_sync` here: it would put one rank's weights over another's before they are compared
    held = Held(tensor=parallel_state.get_tensor_model_parallel_rank(), weights=dict(_weights(built)))
    if problem := problem_of(exchange.to_all(held)):
        raise Inconsistent(problem)


def _weights(built: Built) -> Iterator[tuple[str, Weight]]:
    for chunk in built.chunks:
        model = unwrapped(chunk)
        numbers = {index: layer.layer_number - 1 for index, layer in enumerate(model.decoder.layers)}
        for name, param in model.named_parameters():
            is_tied = getattr(param, "shared_embedding", False)
            yield _TIED if is_tied else global_name(name, numbers), _weight(param)


def _weight(param: torch.nn.Parameter) -> Weight:
    low, high = torch.aminmax(param.detach())
    return Weight(
        digest=digest_of({"": param}),
        is_sharded=bool(getattr(param, "tensor_model_parallel", False)),
        is_random=param.dim() > 1 and bool(low != high),
    )


def global_name(name: str, numbers: Mapping[int, int]) -> str:
    """With a layer's number in the whole model, where a pipeline stage counts its own from 0."""
    words = name.split(".")
    if words[:2] == ["decoder", "layers"]:
        words[2] = str(numbers[int(words[2])])
    return ".".join(words)
