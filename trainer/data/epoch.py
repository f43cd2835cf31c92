"""One epoch of one source as sequences of equal length: Megatron's GPTDataset with an index that is safe to share.

Megatron has only rank 0 of the world write the index and the others read it, so a node-local directory stays empty on
all other nodes, and a writer that is killed leaves half an index that the next start believes. Here each directory's
first rank writes it, whole or not at all. Sequences are shuffled by `trainer.data.order`, so Megatron's third index
isn't made; its arrays never depend on the number of steps.

Imports Megatron-core: load it after `trainer.device` has prepared the device.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from megatron.core.datasets import helpers
from megatron.core.datasets.gpt_dataset import GPTDataset, GPTDatasetConfig
from megatron.core.datasets.utils import Split
from numpy.typing import NDArray

from trainer.data.files import making_directory, one_maker, sync_file
from trainer.data.indexed import open_dataset
from trainer.data.permutation import derive_key, hashed
from trainer.data.prepare import Prepared


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """How a source is cut into sequences."""

    length: int
    """Tokens of a sequence that are predicted; it has one more."""
    first: int
    """Of the documents that are used."""
    end: int
    key: bytes | None
    """Of the order in which documents are put behind each other; None: as they are."""

    @property
    def name(self) -> str:
        """Of a directory for its index."""
        return hashed_name(derive_key(str(self.length), self.first, self.end, (self.key or b"").hex()))


class Epoch(GPTDataset):  # type: ignore[misc]  # Megatron has no types
    """All full sequences of some documents, each once."""

    def __init__(self, prepared: Prepared, cut: Cut, directory: Path, *, is_builder: bool) -> None:
        """`directory` holds the indices of all; several processes may open the same."""
        self._cut = cut
        self._index_directory = directory / "indices" / f"{prepared.identity}-{cut.name}"
        self._is_builder = is_builder
        super().__init__(
            open_dataset(prepared.prefix),
            str(prepared.prefix),
            range(cut.first, cut.end),
            None,
            Split.train,
            _config(prepared, cut),
        )

    def sequence(self, index: int) -> NDArray[np.int64]:
        """The tokens (S + 1,) of one sequence: inputs, and after them the last label."""
        tokens, _ = self._query_document_sample_shuffle_indices(index)
        return tokens  # type: ignore[no-any-return]

    def _build_document_sample_shuffle_indices(self) -> tuple[Any, Any, range]:
        """Called by Megatron's constructor: order of documents, where each sequence begins, and no shuffle."""
        target = self._index_directory
        if not target.is_dir():
            with one_maker(target.parent, target.is_dir, is_first=self._is_builder):
                if not target.is_dir():
                    self._write_index(target)
        documents, starts = (np.load(target / name, mmap_mode="r") for name in ("documents.npy", "starts.npy"))
        return documents, starts, range(len(starts) - 1)

    def _write_index(self, target: Path) -> None:
        documents = np.arange(self._cut.first, self._cut.end, dtype=np.int32)
        if self._cut.key is not None:
            # of all numpy's generators the one whose stream is promised never to change (NEP 19)
            np.random.RandomState(hashed(self._cut.key) % 2**32).shuffle(documents)
        lengths = self.dataset.sequence_lengths
        num_tokens = int(lengths[documents].sum(dtype=np.int64))
        starts = helpers.build_sample_idx(lengths.copy(), documents, self._cut.length, 1, num_tokens)
        with making_directory(target) as beside:
            for name, array in (("documents.npy", documents), ("starts.npy", starts)):
                np.save(beside / name, array)
                sync_file(beside / name)


def hashed_name(key: bytes) -> str:
    """16 hexadecimal digits of a key."""
    return f"{hashed(key):016x}"


def _config(prepared: Prepared, cut: Cut) -> Any:
    return GPTDatasetConfig(
        random_seed=0,
        sequence_length=cut.length,
        tokenizer=prepared.facts,
        reset_position_ids=False,
        reset_attention_mask=False,
        eod_mask_loss=False,
        create_attention_mask=False,
    )
