"""No code from a disk. torch's sharded format has two places that are unpickled without a limit when it is loaded: its
``.metadata``, and objects that are not tensors. Both are read here first, by readers that know only what belongs there.

Tensors and ``common.pt`` are loaded by torch with ``weights_only``, which has such a limit itself.
"""

import pickle
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch.distributed.checkpoint.metadata import BytesStorageMetadata

from trainer.checkpoints.manifest import BadCheckpoint

METADATA = ".metadata"

_KNOWN = frozenset(
    {
        *(
            ("torch.distributed.checkpoint.metadata", name)
            for name in (
                "BytesStorageMetadata",
                "ChunkStorageMetadata",
                "Metadata",
                "MetadataIndex",
                "StorageMeta",
                "TensorProperties",
                "TensorStorageMetadata",
                "_MEM_FORMAT_ENCODING",
            )
        ),
        ("torch.distributed.checkpoint.filesystem", "_StorageInfo"),
        ("torch.serialization", "_get_layout"),
        ("torch", "Size"),
        *(
            ("torch", str(each).removeprefix("torch."))
            for each in vars(torch).values()
            if isinstance(each, torch.dtype)
        ),
        ("pathlib", "PosixPath"),
        ("collections", "OrderedDict"),
    }
)
"""Module and name of each class and function that ``.metadata`` is made of: they hold numbers and names, and do nothing
when they are made."""


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Only what is known."""
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


def read_metadata(directory: Path) -> Any:
    """torch's Metadata of a checkpoint. Raises `BadCheckpoint` for one that would run code or is damaged."""
    file = directory / METADATA
    try:
        with file.open("rb") as stream:
            return _Reader(stream).load()
    # a pickle that was tampered with fails in any of the ways that its classes know
    except Exception as error:
        raise BadCheckpoint(f"{file.name} is not torch's metadata ({error}); it was changed or damaged") from error


def refuse_code(directory: Path, names: frozenset[str]) -> None:
    """Raises `BadCheckpoint` if loading `directory` would read outside the files `names`, or make objects of unknown
    classes."""
    metadata = read_metadata(directory)
    for index, info in metadata.storage_data.items():
        if info.relative_path not in names:
            raise BadCheckpoint(f"{METADATA} says {index.fqn} is in {info.relative_path!r}, which the manifest lacks")
    for index, info in metadata.storage_data.items():
        if isinstance(metadata.state_dict_metadata.get(index.fqn), BytesStorageMetadata):
            with (directory / info.relative_path).open("rb") as stream:
                _read_object(stream, info, index.fqn)


def _read_object(stream: BinaryIO, info: Any, name: str) -> None:
    stream.seek(info.offset)
    try:
        torch.load(BytesIO(stream.read(info.length)), weights_only=True)
    except Exception as error:  # as above
        raise BadCheckpoint(f"{name} is not made of numbers and tensors alone ({error})") from error
