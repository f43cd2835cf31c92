"""Real hosts on one machine: network namespaces on a bridge, each with its own sshd, processes and name.

    fh0 (10.77.0.100, the head, where the program under test runs) ── bridge ──┬── fh1 (10.77.0.1)
                                                                                ├── fh2 (10.77.0.2) ...

    with NetworkHosts(directory, 4) as hosts:
        subprocess.run([*hosts.inside("fh0"), sys.executable, "-m", "fryer", "run", "--nodes", "fh[1-4]",
                        "--ssh-options", hosts.ssh_options, ...])

Nothing is added to the machine's own network namespace. Names in the kernel and in /etc/netns are the same for each
use, so a machine-wide lock lets one use in at a time; what an earlier one that was killed left behind is removed first.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
import pytest

HEAD = "fh0"
HEAD_ADDRESS = "10.77.0.100"
PROGRAMS = {
    "ip": "iproute2",
    "tc": "iproute2",
    "sshd": "openssh-server",
    "ssh": "openssh-client",
    "tini": "tini",
    "unshare": "util-linux",
}
LOCK = Path("/run/lock/fryer-network-hosts")
UP_SECONDS = 20.0
_SSHD = """Port 22
HostKey {0}/hostkey
AuthorizedKeysFile {0}/authorized_keys
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UseDNS no
PrintMotd no
MaxStartups 200
MaxSessions 100
PidFile none
"""
_SSH = """Host fh*
  User root
  IdentityFile {0}/id
  IdentitiesOnly yes
  UserKnownHostsFile {0}/known_hosts
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  BatchMode yes
"""
_INIT = """mount --make-rprivate /
mount --bind {0}/nsswitch.conf /etc/nsswitch.conf
hostname {1}
mount -t tmpfs tmpfs /run; mkdir -p /run/sshd /run/lock
mount -t tmpfs tmpfs /var/log
exec tini -s -- {2} -D -E {0}/sshd-{1}.log -f {0}/sshd_config
"""
"""Of a host: PID 1 is tini with sshd below it. Look-ups go by the hosts file: a DNS that is not there is waited for."""


def require() -> None:
    """Skip the test where hosts can't be had, saying why; under CI fail instead."""
    missing = [f"{name} ({package})" for name, package in PROGRAMS.items() if _which(name) is None]
    why = "needs root" if os.geteuid() else f"needs {', '.join(missing)}" if missing else ""
    if not why:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"in CI hosts in namespaces must be there: {why}")
    pytest.skip(f"hosts in namespaces: {why}")


class NetworkHosts:
    """`count` hosts ``fh1``, ``fh2``, ... that are up between enter and exit; all is gone afterwards."""

    def __init__(self, directory: Path, count: int) -> None:
        """`directory` is absolute, and takes keys, settings and logs; sshd's are ``sshd-fhN.log``."""
        self.names = tuple(f"fh{index}" for index in range(1, count + 1))
        self.ssh_options = f"-F {directory}/ssh_config"
        self._directory = directory
        self._inits: dict[str, subprocess.Popen[bytes]] = {}
        self._lock: int | None = None

    def __enter__(self) -> Self:
        LOCK.parent.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            self._remove()
            self._write_settings()
            self._build()
            for name in self.names:
                self.boot(name)
            for name in self.names:
                self.wait_for(name)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def address(self, name: str) -> str:
        """Of a host: ``10.77.0.1`` is that of fh1."""
        return HEAD_ADDRESS if name == HEAD else f"10.77.0.{name.removeprefix('fh')}"

    def inside(self, name: str) -> list[str]:
        """Words before a command that make it run in the network of `name`, as a process of this machine."""
        return ["ip", "netns", "exec", name]

    def cut(self, name: str) -> None:
        """Pull the cable of a host: nobody is told, packets are gone."""
        _ip("-n", HEAD, "link", "set", _port(name), "down")

    def mend(self, name: str) -> None:
        """Put the cable back."""
        _ip("-n", HEAD, "link", "set", _port(name), "up")

    def slow(self, name: str, bits_per_second: int) -> None:
        """Send no more than this, by a token bucket (tc-tbf(8)), in both directions of the host's cable."""
        words = ["root", "tbf", "rate", f"{bits_per_second}bit", "burst", "256kb", "latency", "50ms"]
        _run("ip", "netns", "exec", name, "tc", "qdisc", "replace", "dev", "eth0", *words)
        _run("ip", "netns", "exec", HEAD, "tc", "qdisc", "replace", "dev", _port(name), *words)

    def fast(self, name: str) -> None:
        """Undo `slow`."""
        _run("ip", "netns", "exec", name, "tc", "qdisc", "del", "dev", "eth0", "root")
        _run("ip", "netns", "exec", HEAD, "tc", "qdisc", "del", "dev", _port(name), "root")

    def kill(self, name: str) -> None:
        """The host loses power: all its processes are gone at once."""
        init = self._inits.pop(name)
        pids = [process.pid for process in self.processes(name, init)]
        init.kill()  # unshare --kill-child: PID 1 goes with it, and with PID 1 all others
        init.wait()
        _wait_gone(pids)

    def boot(self, name: str) -> None:
        """Start a host that is not up: its PID 1, and so its sshd."""
        log = (self._directory / f"init-{name}.log").open("ab")
        self._inits[name] = subprocess.Popen(
            [
                *self.inside(name),
                *("unshare", "--fork", "--pid", "--mount", "--uts", "--ipc", "--mount-proc", "--kill-child"),
                *("bash", str(self._directory / f"init-{name}.sh")),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        log.close()

    def wait_for(self, name: str, seconds: float = UP_SECONDS) -> None:
        """Until the host's sshd takes connections; raises `TimeoutError` with its log."""
        probe = f"exec 3<>/dev/tcp/{self.address(name)}/22"
        until = time.monotonic() + seconds
        while subprocess.run([*self.inside(HEAD), "bash", "-c", probe], check=False, capture_output=True).returncode:
            if time.monotonic() > until:
                log = self._directory / f"init-{name}.log"
                raise TimeoutError(f"{name}'s sshd does not answer; {log}: {log.read_text()}")
            time.sleep(0.05)

    def processes(self, name: str, init: subprocess.Popen[bytes] | None = None) -> list[psutil.Process]:
        """All that live on a host, PID 1 first; zombies are dead."""
        init = init or self._inits.get(name)
        if init is None:
            return []
        found = []
        for process in psutil.Process(init.pid).children(recursive=True):
            try:
                if process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.NoSuchProcess:
                continue
        return found

    def workers(self, name: str) -> list[psutil.Process]:
        """The ``fryer worker`` of a host, without what it started."""
        return [process for process in self.processes(name) if _is_worker(process)]

    def _close(self) -> None:
        for name in list(self._inits):
            self.kill(name)
        self._remove()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _remove(self) -> None:
        """Namespaces of this and of any earlier use, with the processes that are still in them."""
        for name in _namespaces():
            pids = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=False).stdout
            for pid in map(int, pids.split()):
                _kill(pid)
            _wait_gone([int(pid) for pid in pids.split()])
            _ip("netns", "del", name)
            shutil.rmtree(Path("/etc/netns") / name, ignore_errors=True)
        if Path("/etc/netns").is_dir() and not any(Path("/etc/netns").iterdir()):
            Path("/etc/netns").rmdir()

    def _write_settings(self) -> None:
        directory = self._directory
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o700)
        for key in ("id", "hostkey"):
            if not (directory / key).exists():
                _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / key))
        shutil.copy(directory / "id.pub", directory / "authorized_keys")
        lines = Path("/etc/nsswitch.conf").read_text().splitlines() if Path("/etc/nsswitch.conf").exists() else []
        kept = [line for line in lines if not line.startswith("hosts:")]
        (directory / "nsswitch.conf").write_text("\n".join([*kept, "hosts: files", ""]))
        (directory / "sshd_config").write_text(_SSHD.format(directory))
        (directory / "ssh_config").write_text(_SSH.format(directory))
        everyone = (HEAD, *self.names)
        table = "".join(f"{self.address(name)} {name}\n" for name in everyone)
        (directory / "hosts").write_text(f"127.0.0.1 localhost\n{table}")
        key = " ".join((directory / "hostkey.pub").read_text().split()[:2])
        (directory / "known_hosts").write_text("".join(f"{n},{self.address(n)} {key}\n" for n in everyone))
        for name in self.names:
            (directory / f"init-{name}.sh").write_text(_INIT.format(directory, name, _which("sshd")))

    def _build(self) -> None:
        """Namespaces, bridge and cables."""
        for name in (HEAD, *self.names):
            own = Path("/etc/netns") / name
            own.mkdir(parents=True, exist_ok=True)
            shutil.copy(self._directory / "hosts", own / "hosts")
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", HEAD, "link", "add", "br0", "type", "bridge")
        _ip("-n", HEAD, "addr", "add", f"{HEAD_ADDRESS}/24", "dev", "br0")
        _ip("-n", HEAD, "link", "set", "br0", "up")
        for name in self.names:
            _ip("-n", HEAD, "link", "add", _port(name), "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("-n", HEAD, "link", "set", _port(name), "master", "br0", "up")
            _ip("-n", name, "addr", "add", f"{self.address(name)}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")


def _namespaces() -> Iterator[str]:
    words = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout.splitlines()
    for name in (line.split()[0] for line in words if line):
        if name.removeprefix("fh").isdigit() and name.startswith("fh"):
            yield name


def _port(name: str) -> str:
    """The bridge's end of a host's cable."""
    return f"p{name.removeprefix('fh')}"


def _which(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _ip(*words: str) -> None:
    _run("ip", *words)


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr.strip()}"


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _wait_gone(pids: Sequence[int], seconds: float = 5.0) -> None:
    until = time.monotonic() + seconds
    while any(_lives(pid) for pid in pids) and time.monotonic() < until:
        time.sleep(0.02)


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _is_worker(process: psutil.Process) -> bool:
    try:
        words = process.cmdline()
    except psutil.NoSuchProcess:
        return False
    return words[1:4] == ["-m", "fryer", "worker"]
