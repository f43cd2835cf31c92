"""fryer-watch.service: written with the right paths, understood by systemd, and hardened."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from watchdog.cli.install_service import app
from watchdog.unit_file import UNIT, install, require_user, unit_text
from watchdog.vocabulary.errors import UsageError

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "deploy" / "systemd" / UNIT
Need = Callable[[str, str], str]


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """A folder with venv/bin/fryer."""
    command = tmp_path / "opt" / "venv" / "bin" / "fryer"
    command.parent.mkdir(parents=True)
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    return tmp_path / "opt"


def settings(text: str, key: str) -> list[str]:
    return [line.partition("=")[2] for line in text.splitlines() if line.startswith(f"{key}=")]


def test_the_shipped_unit_is_what_the_command_writes() -> None:
    """After a change of the template: fryer install-service --dry-run --prefix /opt/fryer >deploy/systemd/..."""
    assert SHIPPED.read_text(encoding="utf-8") == unit_text(Path("/opt/fryer/venv/bin/fryer"), "fryer")


@pytest.mark.parametrize("user", ["root", "fryer"])
def test_systemd_reads_the_unit_without_a_complaint(user: str, prefix: Path, tmp_path: Path, need: Need) -> None:
    unit = tmp_path / UNIT
    unit.write_text(unit_text(prefix / "venv/bin/fryer", user, [Path("/scratch"), Path("/data/checkpoints")]))
    done = subprocess.run(
        [need("systemd-analyze", "systemd"), "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_its_exposure_is_at_most_two(need: Need) -> None:
    done = subprocess.run(
        [
            need("systemd-analyze", "systemd"),
            "security",
            "--offline=true",
            "--threshold=20",
            "--no-pager",
            str(SHIPPED),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout.splitlines()[-1]


def test_another_user_than_root_is_given_the_right_to_read_the_kernel_log() -> None:
    as_user, as_root = (unit_text(Path("/opt/fryer"), user) for user in ("watcher", "root"))
    assert settings(as_user, "User") == ["watcher"]
    assert settings(as_user, "AmbientCapabilities") == ["CAP_SYSLOG"]
    assert settings(as_root, "User") == ["root"]
    assert settings(as_root, "AmbientCapabilities") == []
    assert settings(as_root, "CapabilityBoundingSet") == ["CAP_SYSLOG"]


def test_each_folder_of_the_storage_probe_is_writable_and_may_be_missing() -> None:
    text = unit_text(Path("/opt/fryer"), "fryer", [Path("/scratch"), Path("/data")])
    assert settings(text, "ReadWritePaths") == ["-/scratch", "-/data"]


@pytest.mark.parametrize("path", ["relative/fryer", "/opt/my fryer", "/opt/%i/fryer", "/opt/a\nExecStartPre=/bin/evil"])
def test_a_path_that_systemd_would_read_otherwise_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match="can't stand in a unit file"):
        unit_text(Path(path), "fryer")


@pytest.mark.parametrize(
    "setting",
    [
        "PrivateDevices=no",
        "ProtectKernelLogs=no",
        "ProtectHome=read-only",
        "ProtectProc=default",
        "ProcSubset=all",
        "PrivateUsers=no",
        "PrivateNetwork=no",
        "KillMode=mixed",
        "DeviceAllow=/dev/kmsg r",
    ],
)
def test_a_setting_that_is_laxer_than_it_could_be_says_why(setting: str) -> None:
    """Right above it, or above the group of settings that it is in."""
    lines = SHIPPED.read_text(encoding="utf-8").splitlines()
    above = reversed(lines[: lines.index(setting)])
    assert next(line for line in above if line.startswith("#") or "=" not in line).startswith("# ")


def test_the_command_writes_the_unit_once_and_says_what_to_do_next(prefix: Path, tmp_path: Path) -> None:
    into = tmp_path / "units"
    into.mkdir()
    arguments = ["--prefix", str(prefix), "--user", "root", "--into", str(into), "--writable", "/scratch"]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert f"ExecStart={prefix}/venv/bin/fryer watch\n" in (into / UNIT).read_text()
    assert [path.name for path in into.iterdir()] == [UNIT]
    assert "written. It runs" in done.stdout
    assert "systemctl enable --now fryer-watch.service" in done.stdout
    again = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert "unchanged. It runs" in again.stdout


def test_a_dry_run_prints_the_unit_and_writes_nothing(prefix: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["--prefix", str(prefix), "--into", str(tmp_path), "--dry-run"])
    assert done.stdout == unit_text(prefix / "venv/bin/fryer", "fryer")
    assert not (tmp_path / UNIT).exists()


def test_a_unit_that_somebody_changed_is_kept_unless_forced(tmp_path: Path) -> None:
    (tmp_path / UNIT).write_text("mine")
    with pytest.raises(UsageError, match=r"is there and differs; .*give --force"):
        install("new", tmp_path, force=False)
    assert (tmp_path / UNIT).read_text() == "mine"
    assert install("new", tmp_path, force=True)
    assert (tmp_path / UNIT).read_text() == "new"
    assert (tmp_path / UNIT).stat().st_mode & 0o777 == 0o644


def test_a_folder_that_is_not_there_is_told_and_so_is_an_unknown_user(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"can't be written: .*--dry-run"):
        install("new", tmp_path / "nowhere", force=False)
    with pytest.raises(UsageError, match=r"no user 'nobody-like-this' .*useradd --system"):
        require_user("nobody-like-this")


def test_a_prefix_without_fryer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no command .*/venv/bin/fryer; install Fryer there"):
        CliRunner().invoke(app, ["--prefix", str(tmp_path), "--user", "root"], catch_exceptions=False)
    assert list(tmp_path.iterdir()) == []
