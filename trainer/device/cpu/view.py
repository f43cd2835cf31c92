"""Gives modules of megatron.core a torch whose CUDA is the processor. Process-wide torch stays as it is.

It must be an import hook: Megatron imports some modules at its first save only.
"""

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import wraps
from types import ModuleType
from typing import Any

import torch

PACKAGE = "megatron.core"
CPU = torch.device("cpu")
_FACTORIES = ("zeros", "ones", "empty", "full", "tensor", "arange", "empty_like", "zeros_like", "as_tensor", "rand")


class View(ModuleType):
    """A module that answers for `real`, but for what is set on it."""

    def __init__(self, name: str, real: Any, **own: Any) -> None:
        """`own` goes before `real`."""
        super().__init__(name)
        self.__dict__.update(own, _real=real)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class _Inert:
    """A stream or event of a device that has none: every method does nothing."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __getattr__(self, name: str) -> Callable[..., None]:
        return _nothing


def _nothing(*_: object, **__: object) -> None:
    return None


def _on_cpu(factory: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(factory)
    def make(*arguments: Any, **named: Any) -> Any:
        if "device" in named and torch.device(named["device"] or "cpu").type == "cuda":
            named["device"] = CPU
        named.pop("pin_memory", None)
        return factory(*arguments, **named)

    return make


def _view_of_torch() -> View:
    cuda = View(
        "torch.cuda",
        torch.cuda,
        is_available=lambda: False,
        current_device=lambda: CPU,
        synchronize=_nothing,
        empty_cache=_nothing,
        manual_seed=torch.manual_seed,
        manual_seed_all=torch.manual_seed,
        get_rng_state=lambda *_, **__: torch.get_rng_state(),
        set_rng_state=lambda state, *_, **__: torch.set_rng_state(state),
        current_stream=_Inert,
        default_stream=_Inert,
        Stream=_Inert,
        Event=_Inert,
        stream=lambda *_, **__: nullcontext(),
    )
    return View("torch", torch, cuda=cuda, **{name: _on_cpu(getattr(torch, name)) for name in _FACTORIES})


class _Loader(importlib.abc.Loader):
    """Runs a module with its own loader, then changes what it calls torch."""

    def __init__(self, real: importlib.abc.Loader, view: View) -> None:
        self._real = real
        self._view = view

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """As the real one."""
        return self._real.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """As the real one; afterwards the module's global ``torch`` is the view."""
        self._real.exec_module(module)
        if module.__dict__.get("torch") is torch:
            module.__dict__["torch"] = self._view

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class _Finder(importlib.abc.MetaPathFinder):
    """Wraps the loaders of modules of the package."""

    def __init__(self) -> None:
        self._view = _view_of_torch()

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """What the next finder finds, with a wrapped loader."""
        if not f"{name}.".startswith(f"{PACKAGE}."):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self._view)
        return spec


def install() -> None:
    """From now on modules of megatron.core get the view. Raises RuntimeError where some are loaded already."""
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    if PACKAGE in sys.modules:
        raise RuntimeError("megatron.core was imported before trainer.device.open.open_device: import it later")
    sys.meta_path.insert(0, _Finder())
