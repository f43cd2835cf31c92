"""A real systemd as PID 1: a container on an overlay of this machine's root. What it writes goes to memory.

For the daemon's own tests too: `machine.install` puts a unit there with a drop-in. The user fryer exists, this checkout
is /opt/fryer/source, its virtual environment /opt/fryer/venv (call ``bin/python bin/fryer``).
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
USER = "fryer"
_QUIET = (
    "systemd-logind.service",
    "systemd-timesyncd.service",
    "console-getty.service",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "man-db.timer",
    "e2scrub_all.timer",
)
"""Units of the machine that have no work in the container."""


@dataclass
class Machine:
    """A booted container."""

    root: Path
    """Its file system, from outside."""
    init: int
    """Its systemd, by the number that this machine knows it by."""

    def run(self, *arguments: str, check: bool = True) -> str:
        """What a command prints that runs in it as root."""
        done = subprocess.run(
            ["nsenter", "--target", str(self.init), "--all", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0 or not check, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def systemctl(self, *arguments: str) -> str:
        return self.run("systemctl", *arguments)

    def install(self, name: str, text: str, drop_in: str = "") -> None:
        """Put the unit `name` there, and what overrides it."""
        units = self.root / "etc/systemd/system"
        (units / name).write_text(text, encoding="utf-8")
        (units / f"{name}.d").mkdir(exist_ok=True)
        (units / f"{name}.d" / "test.conf").write_text(drop_in, encoding="utf-8")
        self.systemctl("daemon-reload")

    def start(self, unit: str) -> None:
        """Start it; where it does not, the error has its journal."""
        done = self.run("systemctl", "start", unit, check=False)
        assert self.show(unit, "ActiveState") == "active", f"{done}\n{self.journal(unit)}"

    def show(self, unit: str, name: str) -> str:
        """One property of a unit."""
        return self.systemctl("show", "--value", f"--property={name}", unit)

    def wait(self, unit: str, name: str, wanted: Callable[[str], bool], seconds: float = 30.0) -> str:
        """The property, once it is as wanted."""
        end = time.monotonic() + seconds
        while not wanted(found := self.show(unit, name)):
            assert time.monotonic() < end, f"{unit}: {name} is {found!r}\n{self.journal(unit)}"
            time.sleep(0.1)
        return found

    def journal(self, unit: str) -> str:
        return self.run("journalctl", "--no-pager", "--output=cat", f"--unit={unit}")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """One for all tests of a module; skips without root or systemd-nspawn, and fails then in CI."""
    lacking = _lacking()
    if lacking:
        assert os.environ.get("CI") != "true", f"CI has {lacking}"
        pytest.skip(f"needs {lacking}")
    with _alone(), _overlay() as root, _booted(root, tmp_path_factory.mktemp("nspawn") / "log") as init:
        made = Machine(root=root, init=init)
        made.run("useradd", "--system", "--home-dir", "/var/lib/fryer", "--shell", "/usr/sbin/nologin", USER)
        made.run("mknod", "--mode=644", "/dev/kmsg", "c", "1", "11")  # nspawn gives none
        made.run("mknod", "--mode=666", "/dev/nvidia0", "c", "195", "0")  # nobody serves it: ENXIO
        yield made


def _lacking() -> str:
    if os.geteuid() != 0:
        return "root, for a container"
    return "" if shutil.which("systemd-nspawn") else "systemd-nspawn (Debian package systemd-container)"


@contextmanager
def _alone() -> Iterator[None]:
    """Containers of one session of processes share a control group, so there is one at a time."""
    with Path("/tmp/fryer-nspawn.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _overlay() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="fryer-nspawn-"))
    root = folder / "root"
    _command("mount", "-t", "tmpfs", "-o", "size=1G", "tmpfs", str(folder))
    try:
        for name in ("upper", "work", "root"):
            (folder / name).mkdir()
        options = f"lowerdir=/,upperdir={folder}/upper,workdir={folder}/work"
        _command("mount", "-t", "overlay", "overlay", "-o", options, str(root))
        try:
            _prepare(root)
            yield root
        finally:
            _unmount(root)
    finally:
        _unmount(folder)
        folder.rmdir()


def _prepare(root: Path) -> None:
    """No unit of this machine starts; the user fryer reaches the Python that runs this."""
    units = root / "etc/systemd/system"
    for path in (*units.glob("*.wants"), *units.glob("*.service"), *(root / "etc/init.d").glob("*")):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    (root / "etc/machine-id").write_text("")
    for name in _QUIET:
        (units / name).unlink(missing_ok=True)
        (units / name).symlink_to("/dev/null")
    for parent in Path(sys.base_prefix).parents:
        inside = root / parent.relative_to("/")
        inside.chmod(inside.stat().st_mode | 0o011)


@contextmanager
def _booted(root: Path, log: Path) -> Iterator[int]:
    """Number of the container's systemd. It is halted at the end: killing nspawn would leave it an orphan."""
    arguments = ["systemd-nspawn", "--quiet", f"--directory={root}", "--boot", "--register=no", "--keep-unit"]
    arguments += ["--private-network", f"--machine=fryer-{os.getpid()}", "--console=pipe", "--link-journal=no"]
    arguments += ["--capability=CAP_SYSLOG", f"--bind-ro={sys.base_prefix}"]
    # under their own names either may be in /tmp, which is private to a service
    arguments += [f"--bind-ro={ROOT}:/opt/fryer/source", f"--bind-ro={Path(sys.prefix).resolve()}:/opt/fryer/venv"]
    with log.open("wb") as stream:
        nspawn = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True
        )
    init = 0
    try:
        init = _init_of(nspawn, log)
        yield init
    finally:
        if init:
            os.kill(init, signal.SIGRTMIN + 3)
        else:
            nspawn.terminate()
        nspawn.wait(30)
        _forget_groups()


def _init_of(nspawn: subprocess.Popen[bytes], log: Path) -> int:
    end = time.monotonic() + 30
    while time.monotonic() < end and nspawn.poll() is None:
        children = Path(f"/proc/{nspawn.pid}/task/{nspawn.pid}/children").read_text().split()
        if children and _is_running(int(children[0])):
            return int(children[0])
        time.sleep(0.1)
    raise AssertionError(f"the container did not boot\n{log.read_text(errors='replace')[-3000:]}")


def _is_running(init: int) -> bool:
    done = subprocess.run(
        ["nsenter", "--target", str(init), "--all", "systemctl", "is-system-running"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.stdout.strip() in ("running", "degraded")


def _forget_groups() -> None:
    """Remove the empty control groups that nspawn leaves; ones that are in use stay."""
    for name in ("systemd", "unified", ""):
        for group in ("payload", "supervisor"):
            folder = Path("/sys/fs/cgroup", name, group)
            for path in sorted((one for one in folder.rglob("*") if one.is_dir()), reverse=True):
                _remove(path)
            _remove(folder)


def _remove(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return


def _unmount(folder: Path) -> None:
    """The last processes of a container may hold it for a moment."""
    for _ in range(50):
        if subprocess.run(["umount", str(folder)], capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.1)
    _command("umount", "--lazy", str(folder))


def _command(*arguments: str) -> None:
    subprocess.run(arguments, check=True, capture_output=True, timeout=30)
