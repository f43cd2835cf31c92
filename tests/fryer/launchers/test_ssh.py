"""The SSH launcher against real sshd on real hosts (network namespaces): every way to fail is a real failure.

The launcher runs in the head's network through `head.py`; what it receives comes back as JSON.
"""

import os
import signal
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from network_hosts import NetworkHosts, require
from ssh_head import FRYER, Head, wait_until_gone

from fryer.launchers.ssh import ssh_hosts
from watchdog.vocabulary.errors import UsageError

pytestmark = pytest.mark.timeout(900)
"""Another test may have the hosts: they are waited for."""


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NetworkHosts]:
    require()
    with NetworkHosts(tmp_path_factory.mktemp("hosts"), 4) as up:
        yield up


def script(directory: Path, text: str) -> str:
    """A program that stands where Fryer should."""
    path = directory / "program"
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_four_hosts_say_hello_with_the_address_that_ssh_came_by_and_end_as_told(hosts: NetworkHosts) -> None:
    with Head(hosts, *hosts.names) as head:
        hellos = head.wait("Hello", 4)
        assert {one["node"]: one["addresses"][0] for one in hellos} == {n: hosts.address(n) for n in hosts.names}
        head.say({"stop": "over"})
        ends = head.wait("Ended", 4)
        assert {(one["node"], one["code"]) for one in ends} == {(name, "done") for name in hosts.names}
        head.say("close")
        head.wait("closed")
        assert head.process.wait() == 0


def test_a_collective_runs_between_two_hosts(hosts: NetworkHosts) -> None:
    with Head(hosts, "fh1", "fh2") as head:
        head.wait("Hello", 2)
        head.say({"collect": "c1", "addresses": {name: hosts.address(name) for name in ("fh1", "fh2")}})
        ends = head.wait("Collected", 2)
        assert {one["node"]: (one["problem"], len(one["rows"])) for one in ends} == {"fh1": ("", 1), "fh2": ("", 0)}
        (row,) = [row for one in ends for row in one["rows"]]
        assert (row["num_ranks"], row["num_wrong"]) == (2, 0)


def test_a_host_whose_link_is_down_is_unreachable_and_holds_up_nobody(hosts: NetworkHosts) -> None:
    hosts.cut("fh2")
    try:
        with Head(hosts, "fh1", "fh2") as head:
            assert [one["node"] for one in head.wait("Hello")] == ["fh1"]
            (ended,) = head.wait("Ended")
            assert (ended["node"], ended["code"], ended["exit_code"]) == ("fh2", "unreachable", 255)
            assert ended["message"].startswith("fh2: ssh can't reach it: ssh: connect to host fh2 port 22: ")
    finally:
        hosts.mend("fh2")


def test_a_host_without_power_refuses(hosts: NetworkHosts) -> None:
    hosts.kill("fh4")
    try:
        with Head(hosts, "fh4") as head:
            (ended,) = head.wait("Ended")
            assert (ended["code"], "Connection refused" in ended["stderr"]) == ("unreachable", True)
    finally:
        hosts.boot("fh4")
        hosts.wait_for("fh4")


def test_a_link_cut_in_the_middle_of_a_burn_is_noticed(hosts: NetworkHosts) -> None:
    with Head(hosts, "fh1", "fh2") as head:
        head.burn()
        hosts.cut("fh2")
        try:
            (ended,) = head.wait("Ended")
            assert (ended["node"], ended["code"]) == ("fh2", "unreachable")
            assert ended["message"] == (
                "fh2: it stopped answering: Timeout, server fh2 not responding.; is its link up, and the node?"
            )
        finally:
            hosts.mend("fh2")
    hosts.kill("fh2")  # its worker can't know of the cut before TCP gives up
    hosts.boot("fh2")
    hosts.wait_for("fh2")


def test_a_host_that_loses_power_in_the_middle_of_a_burn_has_died(hosts: NetworkHosts) -> None:
    with Head(hosts, "fh1", "fh4") as head:
        head.burn()
        hosts.kill("fh4")
        try:
            (ended,) = head.wait("Ended")
            assert (ended["node"], ended["code"]) == ("fh4", "died")
            assert "it closed the connection" in ended["message"]
            head.say({"stop": "over"})
            assert [one["node"] for one in head.wait("Qualified")] == ["fh1"]
        finally:
            hosts.boot("fh4")
            hosts.wait_for("fh4")


def test_a_killed_worker_has_died_and_nothing_that_it_started_is_left(hosts: NetworkHosts) -> None:
    with Head(hosts, "fh3") as head:
        head.burn()
        (worker,) = hosts.workers("fh3")
        worker.kill()
        (ended,) = head.wait("Ended")
        assert (ended["code"], ended["message"]) == (
            "died",
            "fh3: its worker was killed by a signal, or ssh was; look at dmesg there: out of memory, or a crash?",
        )
        wait_until_gone(hosts, "fh3")


def test_a_worker_whose_program_is_elsewhere_is_not_installed(hosts: NetworkHosts) -> None:
    with Head(hosts, "fh1", remote_command="/nowhere/fryer") as head:
        (ended,) = head.wait("Ended")
        assert (ended["code"], ended["exit_code"]) == ("not_installed", 127)
        assert "/nowhere/fryer" in ended["stderr"]


def test_a_python_without_fryer_is_not_installed(hosts: NetworkHosts) -> None:
    command = f"cd / && {sys.executable} -I -S -m fryer"
    with Head(hosts, "fh1", remote_command=command) as head:
        (ended,) = head.wait("Ended")
        assert ended["code"] == "not_installed"
        assert "No module named fryer" in ended["message"]


def test_a_worker_of_another_protocol_is_version_skew_and_is_ended(hosts: NetworkHosts, tmp_path: Path) -> None:
    hello = '{"schema":"fryer/worker","version":2,"type":"hello","node":"fh1","new":[]}'
    program = script(tmp_path, f"import sys\nprint('''{hello}''', flush=True)\nsys.stdin.read()\n")
    with Head(hosts, "fh1", remote_command=program) as head:
        (ended,) = head.wait("Ended")
        assert (ended["code"], ended["message"]) == (
            "version_skew",
            "fh1: its lines are of protocol 2, and this Fryer speaks 1; install the same Fryer on both",
        )
        wait_until_gone(hosts, "fh1")


def test_a_worker_of_another_fryer_is_version_skew(hosts: NetworkHosts, tmp_path: Path) -> None:
    hello = (
        '{"schema":"fryer/worker","version":1,"type":"hello","node":"fh1","protocol":1,'
        '"versions":{"fryer":"0.0.9"},"addresses":[],"num_gpus":0}'
    )
    program = script(tmp_path, f"import sys\nprint('''{hello}''', flush=True)\nsys.stdin.read()\n")
    with Head(hosts, "fh1", remote_command=program) as head:
        (ended,) = head.wait("Ended")
        assert (ended["code"], ended["message"]) == (
            "version_skew",
            f"fh1: it has Fryer 0.0.9, and here is {FRYER}; install the same Fryer on both",
        )


def test_a_fryer_without_a_worker_is_version_skew(hosts: NetworkHosts, tmp_path: Path) -> None:
    program = script(tmp_path, "import sys\nprint(\"fryer: no command 'worker'\", file=sys.stderr)\nsys.exit(2)\n")
    with Head(hosts, "fh1", remote_command=program) as head:
        (ended,) = head.wait("Ended")
        assert (ended["code"], ended["exit_code"]) == ("version_skew", 2)


def test_chatter_on_stdout_is_skipped(hosts: NetworkHosts) -> None:
    command = f"echo Welcome to node1; printf 'Loading cuda... '; {sys.executable} -m fryer"
    with Head(hosts, "fh1", remote_command=command) as head:
        assert [one["node"] for one in head.wait("Hello")] == ["fh1"]


def test_a_line_of_ours_that_is_broken_is_garbled(hosts: NetworkHosts, tmp_path: Path) -> None:
    line = '{"schema":"fryer/worker","version":1,"type":"hel'
    program = script(tmp_path, f"import sys\nprint('''{line}''', flush=True)\nsys.stdin.read()\n")
    with Head(hosts, "fh1", remote_command=program) as head:
        (ended,) = head.wait("Ended")
        assert ended["code"] == "garbled"


def test_a_host_that_hangs_is_unreachable_and_holds_up_nobody(hosts: NetworkHosts) -> None:
    frozen = hosts.processes("fh2")
    for process in frozen:
        process.suspend()
    try:
        with Head(hosts, "fh1", "fh2") as head:
            assert [one["node"] for one in head.wait("Hello")] == ["fh1"]
            (ended,) = head.wait("Ended")
            assert (ended["node"], ended["code"]) == ("fh2", "unreachable")
            assert ended["message"].endswith("timed out")
    finally:
        for process in frozen:
            process.resume()


def test_a_worker_that_hangs_before_its_hello_meets_its_deadline_and_is_ended(hosts: NetworkHosts) -> None:
    contact = {"connect_seconds": 3.0, "hello_seconds": 1.0}
    with Head(hosts, "fh1", remote_command="exec cat #", contact=contact) as head:
        (ended,) = head.wait("Ended")
        assert (ended["code"], ended["message"]) == ("deadline", "fh1: no Hello of its worker within 4 s")
        wait_until_gone(hosts, "fh1")


def test_a_controller_that_is_killed_leaves_no_worker_behind(hosts: NetworkHosts) -> None:
    with Head(hosts, "fh1", "fh2") as head:
        head.burn()
        head.process.send_signal(signal.SIGKILL)
        for name in ("fh1", "fh2"):
            wait_until_gone(hosts, name)


def test_close_in_the_middle_of_a_burn_leaves_nothing_behind(hosts: NetworkHosts) -> None:
    with Head(hosts, "fh1", "fh2") as head:
        head.burn()
        before = {p.pid for p in psutil.Process(head.process.pid).children(recursive=True)}
        assert len(before) == 2
        head.say("close")
        head.wait("closed")
        assert not [pid for pid in before if psutil.pid_exists(pid)]
        for name in ("fh1", "fh2"):
            wait_until_gone(hosts, name)


def test_ctrl_c_at_the_terminal_reaches_no_worker(hosts: NetworkHosts) -> None:
    with Head(hosts, "fh1") as head:
        head.wait("Hello")
        (ssh,) = psutil.Process(head.process.pid).children()
        assert os.getpgid(ssh.pid) != os.getpgid(head.process.pid)
        assert os.getsid(ssh.pid) == ssh.pid


def test_options_that_no_shell_reads_are_wrong_usage() -> None:
    with pytest.raises(UsageError, match=r"--ssh-options \"-o 'x\" can't be read: No closing quotation"):
        ssh_hosts(fryer=FRYER, ssh_options="-o 'x")
