"""What the operating system and SQLite say of a database, in one sentence each that tells a person what to do."""

import errno
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from watchdog.store.directory import LOG_BYTES, free_bytes
from watchdog.store.packing import PackingError
from watchdog.vocabulary.errors import StoreError

_ELSEWHERE = "choose another directory with --state DIR or FRYER_STATE_DIRECTORY"
_FULL = (errno.ENOSPC, errno.EDQUOT)
_DENIED = (errno.EROFS, errno.EACCES, errno.EPERM)

_SQLITE_BUSY, _SQLITE_LOCKED, _SQLITE_READONLY, _SQLITE_IOERR = 5, 6, 8, 10
_SQLITE_CORRUPT, _SQLITE_FULL, _SQLITE_CANTOPEN, _SQLITE_NOTADB = 11, 13, 14, 26
"""Primary result codes, https://sqlite.org/rescode.html; an extended code carries its primary in the low byte."""
_DAMAGED = (_SQLITE_CORRUPT, _SQLITE_NOTADB)
_SQLITE_PERM, _SQLITE_NOMEM, _SQLITE_PROTOCOL = 3, 7, 15
_PASSING = frozenset(
    {
        _SQLITE_PERM,
        _SQLITE_BUSY,
        _SQLITE_LOCKED,
        _SQLITE_NOMEM,
        _SQLITE_READONLY,
        _SQLITE_IOERR,
        _SQLITE_CORRUPT,
        _SQLITE_FULL,
        _SQLITE_CANTOPEN,
        _SQLITE_PROTOCOL,
        _SQLITE_NOTADB,
    }
)


class DamagedError(StoreError):
    """The file is no database, or a damaged one."""


@contextmanager
def explained(path: Path, doing: str, patience_seconds: float) -> Iterator[None]:
    """Turn every failure of the block, which is `doing` something to the database at `path`, into a `StoreError`."""
    try:
        yield
    except PackingError as error:
        raise DamagedError(damaged(path, str(error))) from error
    except OSError as error:
        raise StoreError(_of_system(path, doing, error)) from error
    except (SQLAlchemyError, sqlite3.Error) as error:
        sentence = _of_sqlite(path, doing, error, patience_seconds)
        raise (DamagedError if _code(error) in _DAMAGED else StoreError)(sentence) from error


def is_of_the_disk(error: BaseException) -> bool:
    """Whether it is the file or its disk that failed, and not what was to be written: trying again may help."""
    if isinstance(error, StoreError):
        if error.__cause__ is None:  # another program's file, a newer Fryer's
            return True
        error = error.__cause__
    return isinstance(error, OSError) or _code(error) in _PASSING


def damaged(path: Path, detail: str) -> str:
    """The sentence for a file that is no database, or a damaged one: the log beside it must move with it."""
    detail = " ".join(detail.split())
    aside = path.parent / "damaged"
    command = f"mkdir -p {shlex.quote(str(aside))} && mv {shlex.quote(str(path))}* {shlex.quote(str(aside))}/"
    return (
        f"{path} is damaged or no database ({detail}); set it aside with `{command}` and run again: a new one is "
        f"made, and `sqlite3 {shlex.quote(str(aside / path.name))} .recover` shows what can be saved"
    )


def foreign(path: Path) -> str:
    """The sentence for another program's database."""
    return f"{path} is a database of another program, and is left as it is; {_ELSEWHERE}"


def newer(path: Path, found: str, known: str) -> str:
    """The sentence for a schema from the future."""
    return (
        f"{path} was made by a newer Fryer (schema {found}, this one knows up to {known}), and is left as it is; "
        f"update Fryer (`pip install -U fryer`), or {_ELSEWHERE}"
    )


def _of_system(path: Path, doing: str, error: OSError) -> str:
    reason = error.strerror or str(error)
    if error.errno in _FULL:
        return _full(path, doing)
    if error.errno in _DENIED:
        return f"can't {doing} {path}: {reason}; {_permit(path, doing, str(path.parent))}"
    if error.errno == errno.EISDIR:
        return f"can't {doing} {path}: it is a directory; move it away, or {_ELSEWHERE}"
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return f"can't {doing} {path}: {path.parent} is no directory, or lies under a file; {_ELSEWHERE}"
    return f"can't {doing} {path}: {reason}; {_ELSEWHERE}"


def _of_sqlite(path: Path, doing: str, error: Exception, patience_seconds: float) -> str:
    said = str(getattr(error, "orig", None) or error)
    code = _code(error)
    if code in _DAMAGED:
        return damaged(path, f"SQLite: {said}")
    if code in (_SQLITE_BUSY, _SQLITE_LOCKED):
        return (
            f"can't {doing} {path}: another process has kept it locked for {patience_seconds:g} s; "
            f"`fuser -v {shlex.quote(str(path))}` shows which, wait for it or end it, and try again"
        )
    if code == _SQLITE_FULL or (code in (_SQLITE_CANTOPEN, _SQLITE_IOERR) and free_bytes(path) < LOG_BYTES):
        return _full(path, doing)
    if code in (_SQLITE_READONLY, _SQLITE_CANTOPEN):
        files = f"it, the files beside it ({path.name}-wal, {path.name}-shm) and {path.parent}"
        return f"can't {doing} {path}: SQLite says {said!r}; {_permit(path, doing, files)}"
    return f"can't {doing} {path}: SQLite says {said!r}; check the file system (`dmesg`, `df`), or {_ELSEWHERE}"


def _code(error: BaseException) -> int:
    """SQLite's primary result code; 0 for an error that is not SQLite's."""
    cause = getattr(error, "orig", None) or error
    return (getattr(cause, "sqlite_errorcode", None) or 0) & 0xFF


def cause_of(error: Exception) -> str:
    """What the library said that was underneath, in one line."""
    cause = error.__cause__ or error
    cause = getattr(cause, "orig", None) or cause
    return " ".join(f"{type(cause).__name__}: {cause}".split())


def _permit(path: Path, doing: str, files: str) -> str:
    if doing == "read":
        return f"ask as the user who owns it (`stat -c %U {shlex.quote(str(path.parent))}` as root), or {_ELSEWHERE}"
    return f"make {files} writable for this user, or {_ELSEWHERE}"


def _full(path: Path, doing: str) -> str:
    return (
        f"can't {doing} {path}: no room left on its file system ({free_bytes(path)} bytes free); free some "
        f"(`df {shlex.quote(str(path.parent))}`; a quota counts too), or {_ELSEWHERE}"
    )
