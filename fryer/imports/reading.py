"""Reads a file as text, never more than a bound of it, and judges it. The one module of this package that reads."""

import sys
from pathlib import Path

from fryer.imports.verdict import FileVerdict, judge_text, not_read
from watchdog.vocabulary.errors import UsageError

LIMIT_BYTES = 32 << 20
"""nccl-tests' JSON with the times of each iteration of a thousand ranks takes some 15 MiB; all else far less."""
STDIN = "-"
_PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"PK\x03\x04": "zip"}
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_STRANGE_RATIO = 0.01
"""Share of bytes that are no text, above which a file is binary."""


def check(files: list[str]) -> None:
    """Raise `UsageError` for a file that is not there, or that can't be one, before any is judged."""
    if files.count(STDIN) > 1:
        raise UsageError("- (standard input) can be given once")
    for file in files:
        path = Path(file)
        if file == STDIN:
            if sys.stdin is None:
                raise UsageError("- is standard input, and that is closed; name a file, or feed it by a pipe")
            continue
        if not path.exists():
            raise UsageError(f"no such file: {file}")
        if path.is_dir():
            raise UsageError(f"{file} is a directory: give the files in it")


def judge_file(file: str, expected_bytes_per_second: float | None = None) -> FileVerdict:
    """The verdict on one file; what can't be read is an ERROR."""
    try:
        content = _read(file)
    except OSError as error:
        return not_read(file, "unreadable", f"it can't be read: {error.strerror or error}", remedy="")
    if len(content) > LIMIT_BYTES:
        return not_read(
            file, "too_large", f"it is larger than {LIMIT_BYTES >> 20} MiB, which no such output is", remedy=""
        )
    packed = next((name for magic, name in _PACKED.items() if content.startswith(magic)), None)
    if packed:
        return not_read(file, "packed", f"it is packed with {packed}: unpack it first", remedy="")
    text = decoded(content)
    if text is None:
        return not_read(file, "binary", "it is binary: the text that a tool printed is missing", remedy="")
    return judge_text(file, text, expected_bytes_per_second)


def _read(file: str) -> bytes:
    if file == STDIN:
        return sys.stdin.buffer.read(LIMIT_BYTES + 1)
    with Path(file).open("rb") as stream:
        return stream.read(LIMIT_BYTES + 1)


def decoded(content: bytes) -> str | None:
    """`content` as text, UTF-8 or UTF-16 with its mark; None for what is none."""
    if content.startswith(_UTF16):
        return content.decode("utf-16", errors="replace")
    if b"\x00" in content:
        return None
    text = content.decode("utf-8", errors="replace")
    return None if text.count("\ufffd") > _STRANGE_RATIO * len(text) + 1 else text
