"""The life of a durable checkpoint, kept in its state.json. Which change is allowed is pure; the rest reads and writes.

A trainer and a person's command may change the same state at once: each change reads, decides and writes under a lock.
"""

import fcntl
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from trainer.checkpoints.durably import write_whole
from trainer.checkpoints.manifest import BadCheckpoint
from trainer.checkpoints.names import STATE
from trainer.checkpoints.words import State
from watchdog.vocabulary.errors import FryerError

SCHEMA = "fryer/checkpoint-state"
VERSION = 1

ALLOWED: Mapping[State, frozenset[State]] = MappingProxyType(
    {
        State.WRITING: frozenset({State.COMPLETE}),
        State.COMPLETE: frozenset({State.VERIFIED, State.SUSPECT, State.BAD}),
        State.VERIFIED: frozenset({State.GOOD, State.SUSPECT, State.BAD}),
        State.GOOD: frozenset({State.SUSPECT, State.BAD}),
        # cleared by a look into it: it must be read back and prove itself again
        State.SUSPECT: frozenset({State.COMPLETE, State.BAD}),
        # by a person who took the word back
        State.BAD: frozenset({State.COMPLETE}),
    }
)
"""From each state, those that may follow. Never good without verified before it."""


class NotAllowed(FryerError):  # noqa: N818 - says what may not follow
    """A change of state that makes no sense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One entry of the history."""

    state: State
    at: float
    """Unix seconds."""
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What became of a checkpoint so far."""

    state: State = State.COMPLETE
    is_pinned: bool = False
    """Kept until a person unpins it."""
    history: tuple[Change, ...] = ()


def changed(status: Status, state: State, *, at: float, why: str = "") -> Status:
    """With one more change. Raises `NotAllowed`; to the state that it has already, nothing changes."""
    if state == status.state:
        return status
    if state not in ALLOWED[status.state]:
        after = ", ".join(sorted(ALLOWED[status.state]))
        raise NotAllowed(f"a checkpoint that is {status.state} can't become {state}; it may become: {after}")
    return replace(status, state=state, history=(*status.history, Change(state=state, at=at, why=why)))


def pinned(status: Status, is_pinned: bool, *, at: float, why: str = "") -> Status:
    """Pinned or not; the history has it too."""
    if is_pinned == status.is_pinned:
        return status
    word = why or ("pinned" if is_pinned else "unpinned")
    return replace(status, is_pinned=is_pinned, history=(*status.history, Change(state=status.state, at=at, why=word)))


def to_text(status: Status) -> str:
    """As state.json has it."""
    history = [{"state": each.state, "at": each.at, "why": each.why} for each in status.history]
    document = {"schema": SCHEMA, "version": VERSION, "state": status.state, "pinned": status.is_pinned}
    return json.dumps(document | {"history": history}, indent=1) + "\n"


def parse_status(text: str, *, where: str) -> Status:
    """What `to_text` made; `where` names it in errors. Raises `BadCheckpoint`."""
    try:
        row = json.loads(text)
        if row["schema"] != SCHEMA or row["version"] != VERSION:
            raise ValueError(f"schema {row['schema']!r}, version {row['version']!r}")
        return Status(state=State(row["state"]), is_pinned=_flag(row["pinned"]), history=_history(row["history"]))
    except (KeyError, ValueError, TypeError) as error:
        raise BadCheckpoint(f"{where} is not as it was written ({type(error).__name__}: {error})") from error


def _history(rows: list[Mapping[str, Any]]) -> tuple[Change, ...]:
    return tuple(Change(state=State(row["state"]), at=float(row["at"]), why=str(row["why"])) for row in rows)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"pinned is {value!r}")
    return value


def read_status(directory: Path) -> Status:
    """Of a checkpoint; one without a state.json is complete and no more. Raises `BadCheckpoint`."""
    file = directory / STATE
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Status()
    except (OSError, UnicodeDecodeError) as error:
        raise BadCheckpoint(f"{file} can't be read ({error})") from error
    return parse_status(text, where=str(file))


def set_state(directory: Path, state: State, *, why: str = "") -> Status:
    """Change it on the disk. Raises `NotAllowed`, `BadCheckpoint` or OSError; then nothing changed."""
    return _change(directory, lambda status: changed(status, state, at=time.time(), why=why))


def set_pinned(directory: Path, is_pinned: bool, *, why: str = "") -> Status:
    """Pin or unpin on the disk; errors as of `set_state`."""
    return _change(directory, lambda status: pinned(status, is_pinned, at=time.time(), why=why))


def write_first(directory: Path, *, at: float) -> None:
    """The state of a new checkpoint that has all its files, before it gets its name."""
    status = Status(state=State.WRITING, history=(Change(state=State.WRITING, at=at),))
    write_whole(directory / STATE, to_text(changed(status, State.COMPLETE, at=time.time())))


def _change(directory: Path, change: Callable[[Status], Status]) -> Status:
    with _locked(directory):
        status = read_status(directory)
        after = change(status)
        if after != status:
            write_whole(directory / STATE, to_text(after))
        return after


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    with (directory / ".state.lock").open("w") as stream:
        with suppress(OSError):  # a file system without locks: the rename alone keeps the file whole
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield
