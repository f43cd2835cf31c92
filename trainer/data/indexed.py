"""Megatron's indexed datasets (``.bin`` and ``.idx``): written from ids, and opened with what must be true of them.

Imports Megatron-core: load it after `trainer.device` has prepared the device.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import Any

import numpy as np
from megatron.core.datasets.indexed_dataset import DType, IndexedDataset, IndexedDatasetBuilder

from trainer.data.files import sync_file
from trainer.data.tokens import Ids, TokenFacts
from watchdog.vocabulary.errors import UsageError

SAMPLED_DOCUMENTS = 256
"""Looked into when a dataset is opened that others have made."""
SAMPLED_TOKENS = 4096
"""Of each, from its start."""
MOST_TOKENS = np.iinfo(np.int32).max
"""Of one document, as the format has it."""

_HEADER = Struct("<9sQBQQ")
"""Of an ``.idx``: magic, version, type of ids, sequences, ends of documents."""
_MAGIC = b"MMIDIDX\0\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What went into a dataset."""

    num_documents: int
    num_tokens: int


def write_dataset(prefix: Path, documents: Iterable[Ids], facts: TokenFacts) -> Written:
    """Write each document and its end; on disk when this returns. Raises `UsageError` for an impossible document."""
    bin_path, idx_path = paths_of(prefix)
    builder = IndexedDatasetBuilder(str(bin_path), dtype=DType.optimal_dtype(facts.vocab_size))
    num_documents = num_tokens = 0
    with builder.data_file:
        for ids in documents:
            if len(ids) >= MOST_TOKENS:
                raise UsageError(f"document {num_documents} has {len(ids)} tokens, more than {MOST_TOKENS}; cut it")
            builder.add_document(np.append(ids, facts.eod), [len(ids) + 1])
            num_documents += 1
            num_tokens += len(ids) + 1
        builder.finalize(str(idx_path))
    sync_file(bin_path)
    sync_file(idx_path)
    return Written(num_documents=num_documents, num_tokens=num_tokens)


def open_dataset(prefix: Path) -> Any:
    """An `IndexedDataset`, memory mapped. Raises `UsageError` where its two files aren't there or don't fit."""
    bin_path, idx_path = paths_of(prefix)
    for path in (bin_path, idx_path):
        if not path.is_file():
            raise UsageError(f"dataset {prefix} has no {path.name}; give the path without .bin and .idx")
    _check_header(idx_path)
    if bin_path.stat().st_size == 0:
        raise UsageError(f"dataset {prefix} holds no document")
    dataset = IndexedDataset(str(prefix))
    expected = _end_of_last(dataset)
    if bin_path.stat().st_size != expected:
        raise UsageError(
            f"{bin_path} has {bin_path.stat().st_size} bytes where {idx_path.name} says {expected}; copy both again"
        )
    return dataset


def check_dataset(dataset: Any, prefix: Path, facts: TokenFacts) -> None:
    """Raise `UsageError` where documents don't end as the tokenizer's do, or hold ids that it doesn't have.

    Looks at documents spread evenly over the whole, not at all.
    """
    if not np.issubdtype(dataset.index.dtype, np.integer):
        raise UsageError(f"dataset {prefix} holds {dataset.index.dtype.__name__}, which are no token ids")
    num_documents = len(dataset)
    for document in np.unique(np.linspace(0, num_documents - 1, SAMPLED_DOCUMENTS).astype(np.int64)).tolist():
        length = int(dataset.sequence_lengths[document])
        last = int(dataset.get(document, offset=length - 1, length=1)[0]) if length else None
        if last != facts.eod:
            raise UsageError(
                f"document {document} of dataset {prefix} ends with token {last}, not with the tokenizer's end of "
                f"document {facts.eod}; make it with --append-eod and the plan's tokenizer"
            )
        ids = dataset.get(document, offset=0, length=min(length, SAMPLED_TOKENS))
        if ids.min() < 0 or ids.max() >= facts.vocab_size:
            raise UsageError(
                f"document {document} of dataset {prefix} holds ids from {ids.min()} to {ids.max()}; the tokenizer's "
                f"are 0 to {facts.vocab_size - 1}"
            )


def _check_header(idx_path: Path) -> None:
    """Before Megatron opens it: its own complaint names no file, and is followed by one about its clean-up."""
    with idx_path.open("rb") as file:
        start = file.read(_HEADER.size)
    if not start.startswith(_MAGIC) or len(start) < _HEADER.size:
        raise UsageError(f"{idx_path} is no index of an indexed dataset of Megatron's")
    _, _, _, num_sequences, num_ends = _HEADER.unpack(start)
    # a length of 4 and a place of 8 bytes each, then where documents end
    expected = _HEADER.size + 12 * num_sequences + 8 * num_ends
    if idx_path.stat().st_size < expected:
        raise UsageError(f"{idx_path} has {idx_path.stat().st_size} bytes of at least {expected}; copy it again")


def _end_of_last(dataset: Any) -> int:
    """Bytes of the ``.bin``, as the ``.idx`` has it."""
    index = dataset.index
    item_bytes: int = DType.size(index.dtype)
    return int(index.sequence_pointers[-1]) + int(index.sequence_lengths[-1]) * item_bytes


def paths_of(prefix: Path) -> tuple[Path, Path]:
    """The ``.bin`` and the ``.idx``."""
    return prefix.with_name(prefix.name + ".bin"), prefix.with_name(prefix.name + ".idx")
