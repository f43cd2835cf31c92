"""The text of fryer-watch.service for a place and a user, and putting it in its folder. Says nothing to anybody."""

import os
import pwd
import re
from collections.abc import Sequence
from pathlib import Path
from string import Template

from watchdog.vocabulary.errors import UsageError

UNIT = "fryer-watch.service"
_TEMPLATE = Path(__file__).parent / "cli" / f"{UNIT}.template"
_PLAIN = re.compile(r"/[A-Za-z0-9_./@+-]*")
"""Paths that a unit file takes without quoting or escaping."""


def unit_text(command: Path, user: str, writable: Sequence[Path] = ()) -> str:
    """The unit that runs `command` ``watch`` as `user` and may write to the folders `writable`.

    Raises `UsageError` for a path that is not absolute, or has characters that systemd would read otherwise.
    """
    for path in (command, *writable):
        if not _PLAIN.fullmatch(str(path)):
            raise UsageError(f"{path} can't stand in a unit file; give an absolute path of letters, digits and ._@+-/")
    # with a leading "-", a folder that is not there yet is no failure to start
    writes = "".join(f"ReadWritePaths=-{path}\n" for path in writable)
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        command=command, identity=_identity(user), writable=writes
    )


def install(text: str, folder: Path, *, force: bool) -> bool:
    """Write the unit into `folder`, whole or not at all; False when it was there already.

    Raises `UsageError` when another text is there and not `force`, or when the folder can't be written.
    """
    target = folder / UNIT
    try:
        found = target.read_text(encoding="utf-8") if target.exists() else None
        if found == text:
            return False
        if found is not None and not force:
            raise UsageError(
                f"{target} is there and differs; look at the difference (fryer install-service --dry-run | "
                f"diff {target} -), then give --force, or keep changes in a drop-in: systemctl edit {UNIT}"
            )
        draft = folder / f".{UNIT}.{os.getpid()}"
        draft.write_text(text, encoding="utf-8")
        draft.chmod(0o644)
        draft.replace(target)
    except OSError as error:
        raise UsageError(f"{target} can't be written: {error}; run it as root, or see it with --dry-run") from error
    return True


def require_user(user: str) -> None:
    """Raise `UsageError` when there is no such user on this machine."""
    try:
        pwd.getpwnam(user)
    except KeyError:
        raise UsageError(
            f"no user {user!r} on this machine; make one (useradd --system --home-dir /var/lib/fryer "
            f"--shell /usr/sbin/nologin {user}), or give --user"
        ) from None


def _identity(user: str) -> str:
    """Root keeps what the bounding set leaves; another user is given it."""
    if user == "root":
        return "User=root"
    return f"User={user}\nAmbientCapabilities=CAP_SYSLOG"
