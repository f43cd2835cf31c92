"""Workers over a real Slurm of four nodes: in an allocation of their own, and inside one."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
import pytest
import slurm_worker

from fryer.fleet.orders import Collect, Collected, Contact, Ended, Hello, Message, Progress, Qualified, Qualify, Stop
from fryer.launchers.slurm import SlurmHosts
from fryer.launchers.slurm_cluster import SlurmOptions
from fryer.plan import make_plan
from fryer.platform import versions
from watchdog.slurm import Slurm
from watchdog.vocabulary.errors import UsageError

NODES = ("node1", "node2", "node3", "node4")
FRYER = versions()["fryer"]
SMALL = f"{sys.executable} {slurm_worker.__file__}"
Start = Callable[..., SlurmHosts]

pytestmark = pytest.mark.usefixtures("slurm")


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a launcher; closed at the end whatever happened."""
    every: list[SlurmHosts] = []

    def begin(nodes: Sequence[str] = NODES, *, mode: str = "", hello: float = 60.0, **options: object) -> SlurmHosts:
        contact = Contact(connect_seconds=0.0, hello_seconds=hello, environment={"MODE": mode})
        hosts = SlurmHosts(fryer=FRYER, options=SlurmOptions(**{"program": SMALL, **options}), contact=contact)
        every.append(hosts)
        hosts.start(nodes)
        return hosts

    yield begin
    for hosts in every:
        hosts.close()


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Inside an allocation of node1 to node3."""
    done = run("salloc", "--no-shell", "--nodelist=node1,node2,node3", "--exclusive", "--mem=0", "--gres=gpu:8")
    number = done.stderr.split("Granted job allocation ")[1].split()[0]
    monkeypatch.setenv("SLURM_JOB_ID", number)
    monkeypatch.setenv("SLURM_GPUS_PER_TASK", "1")
    yield number
    run("scancel", number)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)


def order(name: str) -> Collect:
    return Collect(
        id=name,
        groups=(),
        cases=(),
        repeats=1,
        ranks_per_node=0,
        rail=None,
        addresses={},
        port=1,
        join_seconds=1.0,
        seconds=1.0,
    )


def listen(hosts: SlurmHosts, kind: type[Message], count: int, seconds: float = 90.0) -> list[Message]:
    """All messages up to the `count`-th of `kind`; a test that waits in vain fails."""
    found: list[Message] = []
    deadline = hosts.now() + seconds
    while sum(isinstance(one, kind) for one in found) < count:
        assert hosts.now() < deadline, found
        found += hosts.receive(0.5)
    return found


def said(messages: Sequence[Message], kind: type[Message]) -> dict[str, Message]:
    return {one.node: one for one in messages if isinstance(one, kind)}


def jobs() -> str:
    return run("squeue", "--noheader", "--format=%i %j %T").stdout.strip()


def pids(messages: Sequence[Message]) -> dict[str, int]:
    return {one.node: int(one.what) for one in messages if isinstance(one, Progress)}


def test_a_real_worker_qualifies_each_node_in_an_allocation_of_its_own(start: Start):
    hosts = start(program=None)
    hellos = said(listen(hosts, Hello, 4), Hello)
    assert sorted(hellos) == list(NODES)
    plan = make_plan(nodes=NODES, seconds=2, dtypes=[], burns=["gemm"], seed=1, memory_ratio=0.01, scenario=None)
    hosts.send(Qualify(id="q", plan=plan))
    qualified = said(listen(hosts, Qualified, 4), Qualified)
    assert sorted(qualified) == list(NODES)
    assert all(each.evidence.measurements for each in qualified.values())
    hosts.send(Stop(reason="over"))
    ended = said(listen(hosts, Ended, 4), Ended)
    assert {node: each.code for node, each in ended.items()} == dict.fromkeys(NODES, "done")
    hosts.close()
    assert jobs() == ""


def test_orders_reach_all_workers_in_their_order_and_each_node_gives_its_gpus(start: Start):
    hosts = start()
    hellos = said(listen(hosts, Hello, 4), Hello)
    assert {node: hello.num_gpus for node, hello in hellos.items()} == dict.fromkeys(NODES, 8)
    for name in ("first", "second"):
        hosts.send(order(name))
    answers = [one for one in listen(hosts, Collected, 8) if isinstance(one, Collected)]
    for node in NODES:
        assert [one.order for one in answers if one.node == node] == ["first", "second"]


@pytest.mark.parametrize("mode", ["chatty", "uncut"])
def test_long_messages_of_four_nodes_at_once_come_whole_in_pieces_or_not(start: Start, mode: str):
    hosts = start(mode=mode)
    hosts.send(order("talk"))
    answers = [one for one in listen(hosts, Collected, 4 * (slurm_worker.MESSAGES + 1)) if isinstance(one, Collected)]
    for node in NODES:
        texts = [one.problem for one in answers if one.node == node]
        assert texts == [*(slurm_worker.text_of(node, index) for index in range(slurm_worker.MESSAGES)), ""]


def test_a_worker_that_is_killed_ends_alone_with_its_stderr(start: Start):
    hosts = start()
    os.kill(pids(listen(hosts, Progress, 4))["node3"], signal.SIGKILL)
    (ended,) = said(listen(hosts, Ended, 1), Ended).values()
    assert (ended.node, ended.code, ended.exit_code) == ("node3", "died", 137)
    assert ended.stderr.splitlines()[0] == "node3 complains"
    assert "was killed by signal 9" in ended.message
    hosts.send(order("on"))
    assert sorted(said(listen(hosts, Collected, 3), Collected)) == ["node1", "node2", "node4"]


def test_a_drained_and_an_unknown_node_are_unreachable_and_hold_up_no_other(start: Start):
    Slurm().drain("node2", "xid 79")
    hosts = start([*NODES, "node9"])
    messages = listen(hosts, Hello, 3)
    assert {node: (each.code, each.message) for node, each in said(messages, Ended).items()} == {
        "node2": ("unreachable", "node2 is IDLE+DRAIN in Slurm: fryer: xid 79 (root)"),
        "node9": ("unreachable", "Slurm does not know node9; see sinfo -N"),
    }
    assert sorted(said(messages, Hello)) == ["node1", "node3", "node4"]


def test_a_node_that_slurm_loses_in_mid_run_ends_alone(start: Start):
    hosts = start()
    listen(hosts, Hello, 4)
    run("scontrol", "update", "nodename=node4", "state=down", "reason=test")
    (ended,) = said(listen(hosts, Ended, 1), Ended).values()
    assert (ended.node, ended.code) == ("node4", "died")
    assert ended.message.startswith("node4: Slurm lost the node")
    hosts.send(order("on"))
    assert sorted(said(listen(hosts, Collected, 3), Collected)) == ["node1", "node2", "node3"]
    hosts.close()
    run("scontrol", "reconfigure")  # without it, 22.05 later holds the idle node back from a job for minutes


def test_an_srun_that_dies_ends_all(start: Start):
    hosts = start()
    listen(hosts, Hello, 4)
    [os.kill(one.pid, signal.SIGKILL) for one in children("srun")]
    ended = said(listen(hosts, Ended, 4), Ended)
    assert {each.code for each in ended.values()} == {"died"}
    assert ended["node1"].message.startswith("node1: srun ")


def test_a_partition_and_a_reservation_that_are_not_there_are_wrong_usage(start: Start):
    with pytest.raises(UsageError, match=r"--partition: Slurm has no partition 'mian'; did you mean 'main'\?"):
        start(partition="mian")
    with pytest.raises(UsageError, match=r"--reservation: Slurm has no reservation 'r'; there is no reservation here"):
        start(reservation="r")
    assert jobs() == ""


def test_a_reservation_is_used_and_nodes_outside_of_it_are_told(start: Start):
    run("scontrol", "create", "reservation=burnin", "starttime=now", "duration=10", "users=root", "nodes=node[1-2]")
    try:
        with pytest.raises(UsageError, match=r"--reservation: burnin does not hold node3; it holds node\[1-2\]"):
            start(["node1", "node3"], reservation="burnin")
        hosts = start(["node1", "node2"], reservation="burnin", partition="main", time_seconds=120.0)
        listen(hosts, Hello, 2)
        hosts.close()
    finally:
        run("scontrol", "delete", "reservation=burnin")


def test_the_wait_for_nodes_in_use_is_bounded_told_and_takes_no_time_of_the_run(start: Start):
    other = subprocess.Popen(["srun", "--nodelist=node2", "--exclusive", "sleep", "600"], stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            if "ALLOCATED" in Slurm().show("node2").states:
                break
            other_ended = other.poll()
            assert other_ended is None
        hosts = start(["node1", "node2"], wait_seconds=2.0)
        begin = hosts.now()
        messages: list[Message] = []
        while len(messages) < 2:
            messages += hosts.receive(0.5)
            assert messages or hosts.now() == begin
        assert {one.code for one in messages if isinstance(one, Ended)} == {"deadline"}
        first = messages[0]
        assert isinstance(first, Ended)
        assert "no nodes within 2 s: PENDING" in first.message
        assert first.message.endswith("; in use: node2")
        hosts.close()
        assert "fryer" not in jobs()
    finally:
        other.kill()
        other.wait()


def test_inside_an_allocation_it_is_a_step_of_that_job_with_all_gpus(start: Start, job: str):
    hosts = start()
    messages = listen(hosts, Hello, 3)
    (ended,) = said(messages, Ended).values()
    assert (ended.node, ended.code) == ("node4", "unreachable")
    assert ended.message == f"node4 is not in Slurm job {job}, which has node[1-3]"
    assert {node: hello.num_gpus for node, hello in said(messages, Hello).items()} == dict.fromkeys(NODES[:3], 8)
    hosts.close()
    assert jobs().split()[0] == job


def test_a_job_that_is_over_is_wrong_usage(start: Start, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    with pytest.raises(UsageError, match=r"SLURM_JOB_ID is 4711, and Slurm says of it: .*Invalid job id"):
        start()


def test_what_cannot_be_started_is_not_installed(start: Start):
    hosts = start(["node1", "node2"], program="/no/such/fryer")
    ended = said(listen(hosts, Ended, 2), Ended)
    assert {node: each.code for node, each in ended.items()} == {"node1": "not_installed", "node2": "not_installed"}
    assert "/no/such/fryer" in ended["node1"].stderr


def test_a_worker_without_a_hello_is_ended_at_its_deadline(start: Start):
    hosts = start(["node1"], mode="absent", hello=2.0)
    (ended,) = said(listen(hosts, Ended, 1), Ended).values()
    assert (ended.code, ended.stderr) == ("deadline", "node1 complains")


def test_close_leaves_neither_a_job_nor_a_process(start: Start):
    hosts = start()
    workers = pids(listen(hosts, Progress, 4))
    hosts.close()
    hosts.close()
    assert jobs() == ""
    assert not any(is_alive(pid) for pid in workers.values())
    assert children("srun") == children("salloc") == []


def test_close_kills_workers_that_neither_read_nor_obey(start: Start, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fryer.launchers.slurm.CLOSE_SECONDS", 1.0)
    hosts = start(mode="deaf")
    workers = pids(listen(hosts, Progress, 4))
    hosts.close()
    assert not any(is_alive(pid) for pid in workers.values())
    assert children("srun") == children("salloc") == []


def test_nothing_is_said_twice_and_nothing_after_the_end(start: Start):
    hosts = start(["node1", "node2"])
    listen(hosts, Hello, 2)
    hosts.send(Stop(reason="over"))
    ended = [one for one in listen(hosts, Ended, 2) if isinstance(one, Ended)]
    assert sorted(one.node for one in ended) == ["node1", "node2"]
    assert hosts.receive(3.0) == ()
    hosts.close()
    assert hosts.receive(0.1) == ()


def test_a_controller_that_dies_leaves_nothing_behind(tmp_path: Path):
    script = (
        "import time\n"
        "from fryer.launchers.slurm import SlurmHosts, SlurmOptions\n"
        f"hosts = SlurmHosts(fryer={FRYER!r}, options=SlurmOptions(program={SMALL!r}))\n"
        "hosts.start(['node1', 'node2'])\n"
        "while True:\n"
        "    [print(one.what, flush=True) for one in hosts.receive(1) if hasattr(one, 'what')]\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as controller:
        assert controller.stdout is not None
        workers = [psutil.Process(int(controller.stdout.readline())) for _ in range(2)]
        controller.kill()
    psutil.wait_procs(workers, timeout=20)
    assert not any(is_alive(worker.pid) for worker in workers)
    for _ in range(100):
        if not jobs():
            break
        run("sleep", "0.1")
    assert jobs() == ""


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def children(name: str) -> list[psutil.Process]:
    return [
        one
        for one in psutil.Process().children(recursive=True)
        if one.name() == name and one.status() != psutil.STATUS_ZOMBIE
    ]
