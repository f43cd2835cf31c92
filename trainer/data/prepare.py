"""Sources as Megatron's indexed datasets: text is tokenised once and found again by its content, others' are checked.

In the data directory: ``tokens/SOURCE-HASH/`` with ``text.bin``, ``text.idx`` and ``manifest.json``, where HASH names
every byte of the text and the tokenizer; ``tokenizers/bpe-HASH.json``; ``known/``, so that content isn't read again
while no file has changed. Text that changed gets another directory: nothing is ever rewritten under a run.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path

from trainer.data.corpus import Document, content_of, list_documents, read_texts, status_of
from trainer.data.files import making_directory, one_maker, sync_file, write_whole
from trainer.data.indexed import check_dataset, open_dataset, paths_of, write_dataset
from trainer.data.progress import shown
from trainer.data.tokens import BpeTokenizer, ByteTokenizer, TextTokenizer, TokenFacts, train_bpe
from trainer.plan import Plan, Source
from watchdog.vocabulary.errors import UsageError, nearest

FORMAT = 1
"""Of what is written; part of every hash."""
EDGE_BYTES = 1 << 20
"""Of each end of a ``.bin`` that others made: read for its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """One source, ready to be read."""

    source: str
    prefix: Path
    """Of ``.bin`` and ``.idx``."""
    identity: str
    """Names the tokens: another one means other data."""
    num_documents: int
    """The held out ones included."""
    num_held_out: int
    """The last ones."""
    facts: TokenFacts

    @property
    def num_training(self) -> int:
        """Documents that are trained on: the first ones."""
        return self.num_documents - self.num_held_out


def prepare(plan: Plan, name: str, directory: Path, *, is_builder: bool = True) -> Prepared:
    """Make or find the tokens of one source. Any number of processes may call it at once: one of them makes them.

    `is_builder` goes first. Raises `UsageError` for a source that isn't there or isn't what the plan says.
    """
    source = plan.sources.get(name)
    if source is None:
        raise UsageError(f"{name} is no source of the plan{nearest(name, plan.sources)}")
    try:
        return _prepare(plan, source, directory, is_builder=is_builder)
    except OSError as error:
        raise UsageError(f"sources.{name} can't be prepared in {directory}: {error}") from error


def _prepare(plan: Plan, source: Source, directory: Path, *, is_builder: bool) -> Prepared:
    tokenizer = open_tokenizer(plan, directory, is_builder=is_builder)
    if tokenizer.facts.vocab_size > plan.model.vocabulary:
        raise UsageError(
            f"the tokenizer has {tokenizer.facts.vocab_size} ids and model.vocabulary is {plan.model.vocabulary}; "
            f"make it at least as large"
        )
    if source.dataset is not None:
        return _existing(source, source.dataset, directory, tokenizer.facts, is_builder=is_builder)
    assert source.text is not None, "a plan's source has a dataset or text"
    documents = list_documents(source.name, source.text)
    content = _content(documents, directory, is_builder=is_builder)
    target = directory / "tokens" / f"{source.name}-{_name_of(content, tokenizer.facts.identity)}"
    if not _is_whole(target):
        with one_maker(directory, lambda: _is_whole(target), is_first=is_builder):
            if not _is_whole(target):
                shutil.rmtree(target, ignore_errors=True)
                _tokenise(source, documents, tokenizer, target)
    manifest = json.loads((target / "manifest.json").read_text())
    return _prepared(source, target / "text", target.name, manifest["num_documents"], tokenizer.facts)


def open_tokenizer(plan: Plan, directory: Path, *, is_builder: bool = True) -> TextTokenizer:
    """The plan's. One that is to be trained learns from the texts that the first stage mixes, and from no others:
    so a stage or a source that is appended to a plan doesn't change what the ids of earlier ones mean."""
    wanted = plan.tokenizer
    if wanted.kind == "bytes":
        return ByteTokenizer()
    if wanted.file is not None:
        return BpeTokenizer(wanted.file, wanted.end_of_document)
    documents = _learned_from(plan)
    content = _content(documents, directory, is_builder=is_builder)
    name = _name_of(content, str(wanted.vocabulary), wanted.end_of_document)
    file = directory / "tokenizers" / f"bpe-{name}.json"
    if not file.is_file():
        with one_maker(directory, file.is_file, is_first=is_builder):
            if not file.is_file():
                texts = (text for text in shown(read_texts(documents), len(documents), "training BPE") if text)
                write_whole(file, train_bpe(texts, wanted.vocabulary, wanted.end_of_document).encode())
    return BpeTokenizer(file, wanted.end_of_document)


def _learned_from(plan: Plan) -> tuple[Document, ...]:
    mixture = plan.stages[0].mixture
    texts = [plan.sources[name] for name in sorted(mixture) if mixture[name] > 0 and plan.sources[name].text]
    if not texts:
        raise UsageError(
            "no source of the first stage is text that a BPE could be trained on; give tokenizer.file, the one that "
            "the datasets were made with"
        )
    return tuple(document for source in texts for document in list_documents(source.name, source.text or ""))


def _tokenise(source: Source, documents: Sequence[Document], tokenizer: TextTokenizer, target: Path) -> None:
    num_left_out = 0
    paths = [document.path for document in documents]
    status = status_of(paths)

    def texts() -> Iterator[str]:
        nonlocal num_left_out
        for text in shown(read_texts(documents), len(documents), f"tokenising {source.name}"):
            if text is None:
                num_left_out += 1
            else:
                yield text

    with making_directory(target) as beside:
        written = write_dataset(beside / "text", tokenizer.encode(texts()), tokenizer.facts)
        if written.num_documents == 0:
            raise UsageError(f"sources.{source.name}: none of {len(documents)} files is UTF-8 text")
        if status_of(paths) != status:
            raise UsageError(f"sources.{source.name}: files changed while they were read; start again when they rest")
        manifest = {
            "format": FORMAT,
            "source": source.name,
            "text": source.text,
            "tokenizer": tokenizer.facts.identity,
            "num_left_out": num_left_out,
            "num_bytes": [path.stat().st_size for path in paths_of(beside / "text")],
            **asdict(written),
        }
        (beside / "manifest.json").write_text(json.dumps(manifest, indent=1))
        sync_file(beside / "manifest.json")


def _is_whole(target: Path) -> bool:
    """A directory that is there was whole once; files that others cut or took away since are made again."""
    try:
        sizes = json.loads((target / "manifest.json").read_text())["num_bytes"]
        return bool(sizes == [path.stat().st_size for path in paths_of(target / "text")])
    except FileNotFoundError:
        return False


def _existing(source: Source, prefix: Path, directory: Path, facts: TokenFacts, *, is_builder: bool) -> Prepared:
    dataset = open_dataset(prefix)
    check_dataset(dataset, prefix, facts)
    bin_path, idx_path = paths_of(prefix)
    content = _known(
        directory / "known" / status_of([bin_path, idx_path]),
        lambda: _name_of(*_edges(bin_path), str(bin_path.stat().st_size), _hash_of(idx_path)),
        is_builder=is_builder,
    )
    identity = f"{source.name}-{_name_of(content, facts.identity)}"
    return _prepared(source, prefix, identity, len(dataset), facts)


def _prepared(source: Source, prefix: Path, identity: str, num_documents: int, facts: TokenFacts) -> Prepared:
    # at least one where any was asked for, but never all
    held_out = min(max(1, round(num_documents * source.held_out)), num_documents - 1) if source.held_out else 0
    return Prepared(
        source=source.name,
        prefix=prefix,
        identity=identity,
        num_documents=num_documents,
        num_held_out=held_out,
        facts=facts,
    )


def _content(documents: Sequence[Document], directory: Path, *, is_builder: bool) -> str:
    """Names the documents' content; reads them only where their sizes and times aren't known."""
    names = blake2b("\0".join(document.name for document in documents).encode(), digest_size=8).hexdigest()
    known = directory / "known" / f"{status_of([document.path for document in documents])}-{names}"
    return _known(known, lambda: content_of(documents), is_builder=is_builder)


def _known(file: Path, find: Callable[[], str], *, is_builder: bool) -> str:
    """What was found before, or is now, by one for all."""
    if not file.is_file():
        with one_maker(file.parent, file.is_file, is_first=is_builder):
            if not file.is_file():
                write_whole(file, find().encode())
    return file.read_text()


def _edges(path: Path) -> tuple[str, str]:
    with path.open("rb") as file:
        first = file.read(EDGE_BYTES)
        file.seek(max(0, path.stat().st_size - EDGE_BYTES))
        return _name_of(first.hex()), _name_of(file.read().hex())


def _hash_of(path: Path) -> str:
    found = blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(EDGE_BYTES):
            found.update(block)
    return found.hexdigest()


def _name_of(*parts: str) -> str:
    found = blake2b(f"fryer tokens {FORMAT}".encode(), digest_size=8)
    for part in parts:
        found.update(f"{len(part)} {part}".encode())
    return found.hexdigest()
