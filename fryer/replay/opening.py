"""Opens what was typed and finds its format by what it holds, never by its name."""

import json
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fryer.replay import csv_table, json_documents, kept_runs, megatron_log, records, step_log, tensorboard
from fryer.replay.event_records import is_event_file
from fryer.replay.words import Item, Log, Options, Reading, Unreadable
from watchdog.store.database import FILE_NAME
from watchdog.vocabulary.errors import UsageError

STDIN = "-"
_HEAD_BYTES = 4 << 20
"""Looked at for the format: logs may begin with a program's source or its settings."""
_PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"PK\x03\x04": "zip"}
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_STRANGE_RATIO = 0.01
"""Share of bytes that are no text, above which a file is binary."""
_JSON = re.compile(r"\s*(?:\{|\[\s*[{\[\]])")
"""A log may begin with ``[default7]:``, which is no list."""
_FORMATS = (
    "CSV (long, wide, wandb's), JSON lines, trainer_state.json, Megatron's log and golden values, logs with a step a "
    "line, TensorBoard's event files, Fryer's store"
)


@contextmanager
def given(name: str) -> Iterator[Path]:
    """The path behind what was typed; standard input is kept in a file meanwhile. Raises `UsageError` for no file."""
    if name != STDIN:
        path = Path(name)
        if not path.exists():
            raise UsageError(f"no such file: {name}")
        yield path
        return
    with tempfile.NamedTemporaryFile(prefix="fryer-replay-") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
        file.flush()
        yield Path(file.name)


def log_of(name: str, path: Path, options: Options) -> Log:
    """The log at `path`, with its format. Raises `Unreadable` in one sentence."""
    try:
        kind, read = _format(path, options)
    except OSError as error:
        raise Unreadable(f"it can't be read: {error.strerror or error}") from error

    def reading_of(reading: Reading) -> Iterator[Item]:
        try:
            yield from read(reading)
        except OSError as error:
            raise Unreadable(f"it can't be read: {error.strerror or error}") from error

    return Log(name=name, format=kind, read=reading_of)


Read = Callable[[Reading], Iterator[Item]]


def _format(path: Path, options: Options) -> tuple[str, Read]:
    if path.is_dir():
        return _folder(path, options)
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head.strip():
        raise Unreadable("it is empty")
    if head.startswith(kept_runs.MAGIC):
        return "Fryer's store", lambda reading: kept_runs.read(path, reading)
    if is_event_file(head):
        return "TensorBoard events", lambda reading: tensorboard.read([path], None, options, reading)
    packed = next((each for magic, each in _PACKED.items() if head.startswith(magic)), None)
    if packed:
        raise Unreadable(f"it is packed with {packed}: unpack it first")
    return _text(path, _decoded(head), options)


def _folder(path: Path, options: Options) -> tuple[str, Read]:
    files = tensorboard.event_files(path)
    if files:
        return "TensorBoard events", lambda reading: tensorboard.read(files, path, options, reading)
    if (path / FILE_NAME).exists():
        return "Fryer's store", lambda reading: kept_runs.read(path / FILE_NAME, reading)
    raise Unreadable("it is a folder without TensorBoard's event files and without Fryer's store: give the files in it")


def _decoded(head: bytes) -> str:
    if head.startswith(_UTF16):
        raise Unreadable("it is UTF-16: write it as UTF-8 first (iconv -f UTF-16 -t UTF-8)")
    text = head.decode("utf-8", errors="replace")
    if b"\x00" in head or text.count("\ufffd") > _STRANGE_RATIO * len(text) + 1:
        raise Unreadable(f"it is binary, and none of the formats that are read: {_FORMATS}")
    return text.removeprefix("\ufeff")


def _text(path: Path, head: str, options: Options) -> tuple[str, Read]:
    lines = head.splitlines()
    if _JSON.match(head):
        return _json(path, head, options)
    is_megatron = any(megatron_log.LINE.search(line) for line in lines)
    is_step_log = any(step_log.LINE.match(line) and not megatron_log.LINE.search(line) for line in lines)
    if is_megatron and is_step_log and not _is_table(lines):
        raise Unreadable("it is mixed: it has lines of Megatron's log and of a log with a step a line; split it")
    if _is_table(lines):
        return "CSV", lambda reading: csv_table.read(path, options, reading)
    if is_megatron:
        return "Megatron log", lambda reading: _of_lines(path, megatron_log.read, options, reading)
    if is_step_log:
        return "step log", lambda reading: _of_lines(path, step_log.read, options, reading)
    raise Unreadable(f"it is of no format that is read: {_FORMATS}")


def _of_lines(path: Path, read: Callable[..., Iterator[Item]], options: Options, reading: Reading) -> Iterator[Item]:
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        yield from read(lines, options, reading)


def _is_table(lines: list[str]) -> bool:
    """The first line names columns, and the second has as many."""
    first = lines[0]
    delimiter = csv_table.delimiter_of(first)
    if delimiter is None or megatron_log.LINE.search(first) or step_log.LINE.match(first):
        return False
    cells = first.split(delimiter)
    is_named = all(len(cell) < 200 and not _is_number(cell) for cell in cells)
    return is_named and (len(lines) < 2 or lines[1].count(delimiter) >= len(cells) - 1)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _json(path: Path, head: str, options: Options) -> tuple[str, Read]:
    first = head.lstrip().split("\n", 1)[0].strip()
    if first.startswith("{") and len(first) < len(head.strip()):
        try:
            json.loads(first)
        except (ValueError, RecursionError):
            pass
        else:
            return "JSON lines", lambda reading: records.read(path, options, reading)
    document = json_documents.load(path)
    kind = json_documents.format_of(document)
    if kind:
        return kind, lambda reading: json_documents.read(document, options, reading)
    if isinstance(document, dict):
        return "JSON lines", lambda reading: records.read_list([document], options, reading)
    raise Unreadable(f"it is JSON, and none of the formats that are read: {_FORMATS}")
