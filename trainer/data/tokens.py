"""Text to token ids: bytes, or byte-level BPE that is trained here or given as a file.

Ids and their end-of-document never depend on anything but the tokenizer's own content, which `identity` names.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from watchdog.vocabulary.errors import UsageError

Ids = NDArray[np.int64]
_DOCUMENTS_AT_ONCE = 64
"""Handed to the tokenizer's own threads together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFacts:
    """What of a tokenizer matters once the text is tokens; what Megatron's datasets ask for by these names."""

    vocab_size: int
    """Ids are below it."""
    eod: int
    """Id of the end of document."""
    identity: str
    """Changes with anything that changes an id."""
    pad: int = -1
    """An id that never occurs: sequences are always full."""
    unique_identifiers: Mapping[str, object] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "unique_identifiers", {"identity": self.identity})


class TextTokenizer(Protocol):
    """Gives ids of text, without an end of document."""

    facts: TokenFacts

    def encode(self, documents: Iterable[str]) -> Iterator[Ids]:
        """Ids of each document, in order."""
        ...


class ByteTokenizer:
    """The bytes of UTF-8 as they are; 256 ends a document."""

    facts = TokenFacts(vocab_size=257, eod=256, identity="bytes")

    def encode(self, documents: Iterable[str]) -> Iterator[Ids]:
        """Ids of each document, in order."""
        for document in documents:
            yield np.frombuffer(document.encode(), dtype=np.uint8).astype(np.int64)


class BpeTokenizer:
    """One of tokenizers' JSON files."""

    def __init__(self, file: Path, end_of_document: str) -> None:
        """Raises `UsageError` for a file that can't be read, or that has no such token."""
        from tokenizers import Tokenizer  # noqa: PLC0415 - slow to load, and not needed once text is tokens

        _keep_threads()
        try:
            text = file.read_text(encoding="utf-8")
            self._tokenizer = Tokenizer.from_str(text)
        except (OSError, ValueError) as error:
            raise UsageError(f"tokenizer {file} can't be read: {error}; give a tokenizer.json") from error
        except Exception as error:  # tokenizers raises bare ones for JSON that it can't use
            raise UsageError(f"tokenizer {file} is none of tokenizers' JSON: {error}") from error
        # the words of a document may spell a special token: they must not end it
        self._tokenizer.encode_special_tokens = True
        ids = self._tokenizer.get_vocab(with_added_tokens=True)
        if end_of_document not in ids:
            raise UsageError(
                f"tokenizer {file} has no token {end_of_document!r}; set tokenizer.end_of_document to one that it has"
            )
        found = blake2b(f"{len(text)} {text}{end_of_document}".encode(), digest_size=16)
        self.facts = TokenFacts(
            vocab_size=max(ids.values()) + 1, eod=ids[end_of_document], identity=f"bpe-{found.hexdigest()}"
        )

    def encode(self, documents: Iterable[str]) -> Iterator[Ids]:
        """Ids of each document, in order."""
        remaining = iter(documents)
        while batch := list(islice(remaining, _DOCUMENTS_AT_ONCE)):
            for encoding in self._tokenizer.encode_batch(batch, add_special_tokens=False):
                yield np.array(encoding.ids, dtype=np.int64)


def train_bpe(documents: Iterator[str], vocabulary: int, end_of_document: str) -> str:
    """Byte-level BPE as tokenizers' JSON, equal for equal documents; the end of document is id 0."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: PLC0415 - as above

    _keep_threads()
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet: Sequence[str] = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[end_of_document], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(documents, trainer)
    return str(tokenizer.to_str())


def _keep_threads() -> None:
    # said before the first use, or the library complains in every process that is forked later, as for a checkpoint
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
