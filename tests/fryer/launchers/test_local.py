"""The local launcher with real workers: processes of this machine under names of their own."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence

import psutil
import pytest

from fryer.fleet.orders import Contact, Ended, Hello, Message, Progress, Qualified, Qualify, Stop
from fryer.launchers.commands import CommandHosts
from fryer.launchers.local import local_hosts
from fryer.plan import make_plan
from fryer.platform import versions

FRYER = versions()["fryer"]
NODES = ("node001", "node002")
LONG = make_plan(nodes=NODES, seconds=600, dtypes=[], burns=["gemm"], seed=1, memory_ratio=None, scenario=None)


@pytest.fixture
def started() -> Iterator[Callable[..., CommandHosts]]:
    """Starts a launcher on `NODES`; closed at the end whatever happened."""
    every = []

    def start(nodes: Sequence[str] = NODES, **options: object) -> CommandHosts:
        hosts = local_hosts(**{"fryer": FRYER, **options})
        every.append(hosts)
        hosts.start(nodes)
        return hosts

    yield start
    for hosts in every:
        hosts.close()


def listen(hosts: CommandHosts, until: Callable[[list[Message]], bool], seconds: float = 90.0) -> list[Message]:
    """All messages up to the one that makes `until` true; a test that waits in vain fails."""
    found: list[Message] = []
    deadline = hosts.now() + seconds
    while not until(found):
        assert hosts.now() < deadline, found
        found += hosts.receive(0.5)
    return found


def of(kind: type[Message], count: int) -> Callable[[list[Message]], bool]:
    return lambda found: sum(isinstance(one, kind) for one in found) >= count


def workers() -> list[psutil.Process]:
    """Our workers' processes that live."""
    return [p for p in psutil.Process().children(recursive=True) if p.status() != psutil.STATUS_ZOMBIE]


def test_each_node_says_hello_and_ends_as_told(started: Callable[..., CommandHosts]) -> None:
    hosts = started()
    hellos = listen(hosts, of(Hello, 2))
    assert {(one.node, one.versions["fryer"], one.addresses[0]) for one in hellos} == {
        (node, FRYER, "127.0.0.1") for node in NODES
    }
    hosts.send(Stop(reason="over"))
    ends = listen(hosts, of(Ended, 2))
    assert {(one.node, one.code, one.exit_code) for one in ends} == {(node, "done", 0) for node in NODES}


def test_a_plan_is_carried_out_by_each_node_for_itself(started: Callable[..., CommandHosts]) -> None:
    hosts = started(("node001",))
    plan = make_plan(nodes=NODES, seconds=1, dtypes=["fp32"], burns=["gemm"], seed=1, memory_ratio=0.001, scenario=None)
    hosts.send(Qualify(id="q1", plan=plan))  # before the Hello: it is read when the worker is up
    found = listen(hosts, of(Qualified, 1))
    (evidence,) = [one.evidence for one in found if isinstance(one, Qualified)]
    assert (evidence.node, evidence.interrupted, evidence.problems) == ("node001", None, ())
    assert {one.burn for one in evidence.measurements} == {"gemm"}
    assert evidence.repeat["gemm"].startswith("fryer run --nodes node001 --burns gemm")
    assert [one.order for one in found if isinstance(one, Progress)][:1] == ["q1"]


def test_a_stop_hands_in_what_was_measured(started: Callable[..., CommandHosts]) -> None:
    hosts = started(("node001",))
    hosts.send(Qualify(id="q1", plan=LONG))
    listen(hosts, lambda found: any(isinstance(one, Progress) and one.what == "gemm" for one in found))
    hosts.send(Stop(reason="early stop"))
    found = listen(hosts, of(Ended, 1))
    assert [one.evidence.interrupted for one in found if isinstance(one, Qualified)] == ["stopped by its controller"]
    assert [one.code for one in found if isinstance(one, Ended)] == ["done"]


def test_a_worker_that_is_killed_has_died_and_the_other_goes_on(started: Callable[..., CommandHosts]) -> None:
    hosts = started()
    listen(hosts, of(Hello, 2))
    (victim,) = [p for p in workers() if "node002" in p.cmdline() and "worker" in p.cmdline()]
    os.kill(victim.pid, signal.SIGKILL)
    (ended,) = listen(hosts, of(Ended, 1))
    assert (ended.node, ended.code) == ("node002", "died")
    assert ended.message == (
        "node002: its worker was killed by signal 9; look at dmesg there: out of memory, or a crash?"
    )
    hosts.send(Stop(reason="over"))
    assert [(one.node, one.code) for one in listen(hosts, of(Ended, 1))] == [("node001", "done")]


def test_sigterm_ends_a_worker_with_its_own_words(started: Callable[..., CommandHosts]) -> None:
    hosts = started(("node001",))
    listen(hosts, of(Hello, 1))
    (victim,) = [p for p in workers() if "worker" in p.cmdline()]
    victim.terminate()
    (ended,) = listen(hosts, of(Ended, 1))
    assert (ended.code, ended.exit_code) == ("died", 3)
    assert ended.message == (
        "node001: its worker ended by itself with exit code 3: fryer worker on node001: ended: SIGTERM"
    )


def test_close_leaves_no_process_behind_in_the_middle_of_a_burn(started: Callable[..., CommandHosts]) -> None:
    others = set(workers())  # of tests before: a fork server that stays
    hosts = started(("node001",))
    hosts.send(Qualify(id="q1", plan=LONG))
    listen(hosts, lambda found: any(isinstance(one, Progress) and one.what == "gemm" for one in found))
    everyone = [process for process in workers() if process not in others]
    assert len(everyone) > 1
    hosts.close()
    psutil.wait_procs(everyone, timeout=10)
    assert [p for p in everyone if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []


def test_a_program_that_is_not_there_is_not_installed(started: Callable[..., CommandHosts]) -> None:
    hosts = started(("node001",), program="/nowhere/fryer")
    (ended,) = listen(hosts, of(Ended, 1))
    assert (ended.code, ended.exit_code) == ("not_installed", 127)
    assert "/nowhere/fryer: not found" in ended.stderr


def test_a_worker_without_a_hello_meets_its_deadline_and_is_killed(started: Callable[..., CommandHosts]) -> None:
    contact = Contact(connect_seconds=0.5, hello_seconds=0.5)
    hosts = started(("node001",), program="exec sleep 600 #", contact=contact)
    (ended,) = listen(hosts, of(Ended, 1))
    assert (ended.code, ended.message) == ("deadline", "node001: no Hello of its worker within 1 s")
    hosts.close()
    time.sleep(0.1)
    assert [p for p in workers() if "600" in p.cmdline()] == []


def test_nodes_that_wait_for_their_turn_are_told_of_when_the_run_is_over(started: Callable[..., CommandHosts]) -> None:
    hosts = started([f"node{index:03d}" for index in range(70)], program="exec sleep 600 #")
    hosts.close()
    ends = listen(hosts, of(Ended, 70))
    assert len({one.node for one in ends}) == 70
    assert sum("before its turn" in one.message for one in ends if isinstance(one, Ended)) == 6


def test_settings_reach_the_worker(started: Callable[..., CommandHosts]) -> None:
    contact = Contact(environment={"GLOO_SOCKET_IFNAME": "eth 0"})
    hosts = started(("node001",), program='echo "seen: $GLOO_SOCKET_IFNAME" >&2; exit 7;', contact=contact)
    (ended,) = listen(hosts, of(Ended, 1))
    assert (ended.code, ended.exit_code, ended.stderr) == ("died", 7, "seen: eth 0")
