"""Reads single tensors of a durable checkpoint whole, whatever layout it was saved in. One process, no Megatron."""

import math
import warnings
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.checkpoint.state_dict_loader import load

from trainer.checkpoints.manifest import BadCheckpoint
from trainer.checkpoints.pickles import read_metadata


class _Reader(FileSystemReader):
    """Takes metadata that was read without running code."""

    def __init__(self, path: Path, metadata: Any) -> None:
        super().__init__(path)
        self._metadata = metadata

    def read_metadata(self, *args: Any, **kwargs: Any) -> Any:
        """What it was made with."""
        del args, kwargs
        return self._metadata


class Stored:
    """The tensors of a checkpoint, by Megatron's names; layers are stacked along a first axis."""

    def __init__(self, path: Path) -> None:
        """Raises `BadCheckpoint`. The files must have been read back."""
        metadata = read_metadata(path)
        self._reader = _Reader(path, metadata)
        self._tensors: dict[str, TensorStorageMetadata] = {
            name: each
            for name, each in metadata.state_dict_metadata.items()
            if isinstance(each, TensorStorageMetadata) and not name.startswith("optimizer.")
        }
        self._last: tuple[str, torch.Tensor] | None = None

    @property
    def names(self) -> list[str]:
        """Of the model's tensors; not the optimizer's."""
        return sorted(self._tensors)

    def dtype(self, name: str) -> torch.dtype:
        """Of a tensor. Raises `BadCheckpoint` for one that isn't there."""
        return self._of(name).properties.dtype

    def shape(self, name: str) -> tuple[int, ...]:
        """As `dtype`."""
        return tuple(self._of(name).size)

    def num_bytes(self, name: str) -> int:
        """As `dtype`."""
        return math.prod(self.shape(name)) * self.dtype(name).itemsize

    def read(self, name: str) -> torch.Tensor:
        """The whole tensor. The last one that was read is kept: ask for layers of one name in a row."""
        if self._last is None or self._last[0] != name:
            self._last = None
            found = torch.empty(self.shape(name), dtype=self.dtype(name))
            with warnings.catch_warnings():
                # that there is one process only is what is wanted
                warnings.filterwarnings("ignore", message="torch.distributed is disabled", category=UserWarning)
                load({name: found}, storage_reader=self._reader, planner=DefaultLoadPlanner(), no_dist=True)
            self._last = (name, found)
        return self._last[1]

    def _of(self, name: str) -> TensorStorageMetadata:
        if name not in self._tensors:
            raise BadCheckpoint(f"it has no tensor {name!r}; it has {', '.join(self.names)}")
        return self._tensors[name]
