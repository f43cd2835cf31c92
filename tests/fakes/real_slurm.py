"""A real Slurm on loopback: munged, slurmctld and four slurmd from Debian packages, with eight pretended GPUs each."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

NODES = 4
_PROGRAMS = ("munged", "slurmctld", "slurmd", "scontrol", "sinfo", "srun", "salloc", "scancel")
_CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={base}/munge.sock
CredType=cred/munge
SlurmctldPort={port}
SlurmctldPidFile={base}/slurmctld.pid
SlurmdPidFile={base}/slurmd-%n.pid
SlurmctldLogFile={base}/slurmctld.log
SlurmdLogFile={base}/slurmd-%n.log
StateSaveLocation={base}/state
SlurmdSpoolDir={base}/spool-%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
KillWait=5
SchedulerParameters=sched_interval=1,sched_min_interval=100000,bf_interval=1
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName=node[1-{nodes}] NodeAddr=127.0.0.1 NodeHostname={host} Port=[{first}-{last}] CPUs=8 RealMemory=4000 Gres=gpu:8
PartitionName=main Nodes=node[1-{nodes}] Default=YES MaxTime=INFINITE State=UP
"""


def _missing() -> str:
    absent = [name for name in _PROGRAMS if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None]
    if absent:
        return f"{', '.join(absent)} not installed: apt-get install slurmctld slurmd slurm-client munge"
    return "" if os.geteuid() == 0 else "slurmd starts as root only"


@pytest.fixture(scope="session")
def slurm_conf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The slurm.conf of a running cluster of idle nodes node1 to node4."""
    if missing := _missing():
        assert os.environ.get("CI") != "true", missing
        pytest.skip(missing)
    base = tmp_path_factory.mktemp("slurm")
    try:
        yield _up(base)
    finally:
        _down(base)


@pytest.fixture
def slurm(slurm_conf: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same as SLURM_CONF of this test; afterwards every node is idle again."""
    monkeypatch.setenv("SLURM_CONF", str(slurm_conf))
    yield slurm_conf
    _run("scancel", "--user=root")
    for index in range(1, NODES + 1):
        _run("scontrol", "update", f"nodename=node{index}", "state=resume", check=False)
    _wait_idle()


def _up(base: Path) -> Path:
    host = socket.gethostname().partition(".")[0]
    ports = _free_ports(NODES + 1)
    conf = base / "slurm.conf"
    conf.write_text(
        _CONF.format(host=host, base=base, port=ports[0], nodes=NODES, first=ports[1], last=ports[-1]), encoding="utf-8"
    )
    (base / "state").mkdir()
    (base / "gres.conf").write_text(f"NodeName=node[1-{NODES}] Name=gpu File=/dev/tty[1-8]\n", encoding="utf-8")
    plugin = "disabled" if _version() >= (23, 11) else "cgroup/v1"
    (base / "cgroup.conf").write_text(f"CgroupPlugin={plugin}\n", encoding="utf-8")
    key = base / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(1024))
    files = {"key-file": key, "socket": base / "munge.sock", "pid-file": base / "munged.pid"}
    files |= {"log-file": base / "munged.log", "seed-file": base / "munged.seed"}
    _run("munged", "--force", *(f"--{name}={path}" for name, path in files.items()))
    os.environ["SLURM_CONF"] = str(conf)
    try:
        _run("slurmctld", "-i")
        for index in range(1, NODES + 1):
            _run("slurmd", "-N", f"node{index}")
        _wait_idle()
    finally:
        del os.environ["SLURM_CONF"]
    return conf


def _wait_idle() -> None:
    """Until all nodes answer (``idle`` without a mark) and no job is left, not even one that is being cleaned up."""
    states = jobs = ""
    for _ in range(300):
        states = _run("sinfo", "--noheader", "--Node", "--format=%T", check=False)
        jobs = _run("squeue", "--noheader", check=False)
        if states.split() == ["idle"] * NODES and not jobs:
            return
        time.sleep(0.1)
    raise AssertionError(f"Slurm's nodes are {states.split()}, its jobs {jobs}: {_run('sinfo', '-R', check=False)}")


def _down(base: Path) -> None:
    files = (*sorted(base.glob("slurmd-*.pid")), base / "slurmctld.pid", base / "munged.pid")
    pids = [int(file.read_text()) for file in files if file.exists() and file.read_text().strip()]
    for pid in pids:
        _kill(pid, signal.SIGTERM)
    for _ in range(100):
        if not any(_is_alive(pid) for pid in pids):
            return
        time.sleep(0.1)
    for pid in pids:
        _kill(pid, signal.SIGKILL)


def _kill(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _is_alive(pid: int) -> bool:
    """A zombie that PID 1 has not reaped yet is dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _version() -> tuple[int, int]:
    found = re.search(r"(\d+)\.(\d+)", _run("slurmd", "-V"))
    assert found is not None
    return int(found[1]), int(found[2])


def _free_ports(count: int) -> list[int]:
    """`count` ports in a row that nobody listens on."""
    for first in range(17801, 19000, count):
        sockets = [socket.socket() for _ in range(count)]
        try:
            for index, one in enumerate(sockets):
                one.bind(("127.0.0.1", first + index))
        except OSError:
            continue
        else:
            return list(range(first, first + count))
        finally:
            for one in sockets:
                one.close()
    raise AssertionError(f"no {count} free ports in a row below 19000")


def _run(*command: str, check: bool = True) -> str:
    environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env=environment)
    assert not check or done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout
