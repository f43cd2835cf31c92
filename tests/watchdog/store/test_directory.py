"""Where results are kept by default, and on which file systems SQLite's log in shared memory must not be used."""

from pathlib import Path

import pytest

from watchdog.store.directory import default_directory, file_system_of, is_on_network
from watchdog.vocabulary.errors import UsageError

MOUNTS = """\
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
22 21 0:5 / /home rw,relatime shared:2 master:1 - nfs4 nas:/home rw,vers=4.2
23 22 0:6 / /home/local\\040disk rw - xfs /dev/sdb1 rw
24 22 0:7 / /home/local\\040disk rw - tmpfs tmpfs rw
"""


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FRYER_STATE_DIRECTORY", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_the_variable_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRYER_STATE_DIRECTORY", "/scratch/fryer")
    assert default_directory() == Path("/scratch/fryer")


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRYER_STATE_DIRECTORY", "")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert default_directory() == Path("/var/lib/fryer")


def test_a_user_keeps_results_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", "/home/ada")
    assert default_directory() == Path("/home/ada/.local/state/fryer")
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert default_directory() == Path("/home/ada/.local/state/fryer")
    monkeypatch.setenv("XDG_STATE_HOME", "/state/ada")
    assert default_directory() == Path("/state/ada/fryer")


def test_a_user_without_a_home_is_asked_for_a_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container with a user id of its own has no entry in the password file."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("os.getuid", lambda: 98765)
    with pytest.raises(UsageError, match=r"no home directory.*--state DIR"):
        default_directory()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/fryer", "ext4"),
        ("/home", "nfs4"),
        ("/home/ada/x", "nfs4"),
        ("/homer", "ext4"),
        ("/home/local disk/x", "tmpfs"),
    ],
)
def test_the_file_system_is_that_of_the_innermost_newest_mount(path: str, kind: str) -> None:
    assert file_system_of(Path(path), MOUNTS) == kind


def test_a_file_under_no_mount_has_no_file_system() -> None:
    assert file_system_of(Path("/x"), "") == ""


def test_proc_is_on_no_network() -> None:
    assert is_on_network(Path("/proc/self")) is False
