"""Which documents a glob of text files holds, in which order, and a name for their content."""

import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from watchdog.vocabulary.errors import UsageError

STDLIB = "{stdlib}"
"""Stands for the directory of the standard library of the Python that runs."""
NOT_STDLIB = frozenset({"site-packages", "dist-packages", "__pycache__"})
"""What lies inside of that directory and belongs to others."""

_WILDCARDS = frozenset("*?[")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One file."""

    name: str
    """Relative to the glob's fixed part, with ``/``: the same on every machine."""
    path: Path


def list_documents(source: str, pattern: str) -> tuple[Document, ...]:
    """All files of the glob, in an order that depends on nothing but their names and mixes directories.

    So the last ones, which are held out, are of the same kind as all. Raises `UsageError` where there is none.
    """
    stdlib = sysconfig.get_path("stdlib")
    root, rest = _split(pattern.replace(STDLIB, stdlib))
    found = list(root.glob(rest))
    if STDLIB in pattern:
        found = [path for path in found if NOT_STDLIB.isdisjoint(path.relative_to(stdlib).parts)]
    documents = [Document(name=path.relative_to(root).as_posix(), path=path) for path in found if path.is_file()]
    if not documents:
        raise UsageError(f"sources.{source}.text is {pattern!r}, which is no file here; `**` goes into all directories")
    return tuple(sorted(documents, key=lambda document: (_of_name(document.name), document.name)))


def read_texts(documents: Sequence[Document]) -> Iterator[str | None]:
    """Content of each; None for what isn't UTF-8 or is empty, which is no document."""
    for document in documents:
        try:
            yield document.path.read_bytes().decode("utf-8") or None
        except UnicodeDecodeError:
            yield None


def content_of(documents: Sequence[Document]) -> str:
    """Names all bytes of all documents and their names; reads them."""
    found = blake2b(digest_size=16)
    for document in documents:
        name, content = document.name.encode(), document.path.read_bytes()
        found.update(f"{len(name)} {len(content)} ".encode() + name)
        found.update(content)
    return found.hexdigest()


def status_of(paths: Sequence[Path]) -> str:
    """Names paths, sizes and times of change: equal only where nothing was written. Reads no content."""
    found = blake2b(digest_size=16)
    for path in paths:
        status = path.stat()
        found.update(f"{path.resolve()}\0{status.st_size} {status.st_mtime_ns}\n".encode())
    return found.hexdigest()


def _split(pattern: str) -> tuple[Path, str]:
    """The directory before the first wildcard, and the glob in it."""
    parts = Path.cwd().joinpath(pattern).parts
    fixed = next((at for at, part in enumerate(parts) if _WILDCARDS.intersection(part)), len(parts) - 1)
    return Path(*parts[:fixed]), "/".join(parts[fixed:])


def _of_name(name: str) -> bytes:
    return blake2b(name.encode(), digest_size=16).digest()
