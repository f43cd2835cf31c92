"""A trainer need not run as the daemon's user: a group may be let in."""

import grp
import os
import stat
from pathlib import Path

import pytest

from watchdog.api.listening import unix_socket
from watchdog.vocabulary.errors import UsageError


def test_the_socket_is_the_owners_alone_unless_a_group_is_named(tmp_path: Path) -> None:
    group = grp.getgrgid(os.getgid()).gr_name
    for name, mode in (("", 0o600), (group, 0o660)):
        path = tmp_path / f"s{mode:o}"
        with unix_socket(path, name):
            assert stat.S_IMODE(path.stat().st_mode) == mode
            assert path.stat().st_gid == os.getgid()


def test_an_unknown_group_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no-such-group"):
        unix_socket(tmp_path / "s", "no-such-group")
