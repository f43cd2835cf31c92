"""Reads single values from the kernel's files. A file that is missing or does not answer is None, never 0."""

from pathlib import Path

_MOST_BYTES = 65_536
"""No file of one value is longer; a device that is gone may answer with rubbish."""


def text(path: Path) -> str | None:
    """The file's text without blanks at its ends; None where it can't be read."""
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES).decode(errors="replace").strip()
    except OSError:
        return None


def whole(path: Path) -> int | None:
    """The whole number that the file holds; None where it holds none."""
    found = text(path)
    try:
        return int(found, 0) if found else None
    except ValueError:
        return None


def folders(path: Path) -> list[Path]:
    """What is in a folder, by name; empty where there is no such folder."""
    try:
        return sorted(path.iterdir())
    except OSError:
        return []
