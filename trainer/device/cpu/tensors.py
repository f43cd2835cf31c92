"""Two methods of Tensor that Megatron calls as if there were CUDA: the only process-wide changes."""

import sys
from typing import Any

import torch

_TYPE = torch.Tensor.type
_CUDA = torch.Tensor.cuda


def _type(self: torch.Tensor, dtype: Any = None, *arguments: Any, **named: Any) -> Any:
    """Megatron compares names such as ``torch.cuda.FloatTensor``: it is told the name with ``cuda`` in it."""
    if dtype is None and not arguments and not named:
        name = _TYPE(self)
        caller = sys._getframe(1).f_globals.get("__name__", "")
        return name.replace("torch.", "torch.cuda.", 1) if caller.startswith("megatron.core.") else name
    return _TYPE(self, dtype, *arguments, **named)


def _cuda(self: torch.Tensor, *arguments: Any, **named: Any) -> torch.Tensor:
    """Megatron moves what is already where it computes."""
    caller = sys._getframe(1).f_globals.get("__name__", "")
    return self if caller.startswith("megatron.core.") else _CUDA(self, *arguments, **named)


def install() -> None:
    """Replace both; other callers see no difference."""
    torch.Tensor.type = _type  # type: ignore[method-assign,assignment]
    torch.Tensor.cuda = _cuda  # type: ignore[method-assign,assignment]
