"""A real worker over pipes: what it says, and that it ends whatever becomes of its controller."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from fryer.fleet.beat import BEAT, Beats
from fryer.fleet.identity import order_addresses
from fryer.fleet.orders import Collected, Hello, Message, Order, Progress, Qualified, Qualify, Stop
from fryer.fleet.wire import MESSAGES, Reader, Unreadable, encode
from fryer.plan import make_plan
from fryer.platform import versions

PLAN = make_plan(
    nodes=["node001", "node002"],
    seconds=1,
    dtypes=["fp32"],
    burns=["gemm"],
    seed=1,
    memory_ratio=0.001,
    scenario=None,
)
LONG = replace(PLAN, phases=(replace(PLAN.phases[0], seconds=600.0),))

HASTY = """
from fryer.fleet import beat
from fryer.main import main
beat.ABANDONED_SECONDS = {}
main()
"""
"""A worker that gives its controller up sooner."""


class Worker:
    """A process and what it says."""

    def __init__(self, *options: str, abandoned_seconds: float | None = None) -> None:
        words = ["-m", "fryer"] if abandoned_seconds is None else ["-c", HASTY.format(abandoned_seconds)]
        self.process = subprocess.Popen(
            [sys.executable, *words, "worker", "--node", "node001", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._reader = Reader(MESSAGES)
        self.lengths: list[int] = []

    def say(self, *orders: Order) -> None:
        self.process.stdin.write("".join(f"{line}\n" for order in orders for line in encode(order)).encode())
        self.process.stdin.flush()

    def hear(self, until: Callable[[Message], bool]) -> list[Message]:
        """What it says up to the first message for which `until` is true."""
        found: list[Message] = []
        while not (found and until(found[-1])):
            line = self.process.stdout.readline().decode()
            assert line, (found, self.process.stderr.read())
            self.lengths.append(len(line) - 1)
            word = self._reader.read(line.rstrip("\n"))
            assert not isinstance(word, Unreadable), word
            if word is not None:
                found.append(word)
        return found

    def rest(self) -> bytes:
        """All that it says until its end."""
        return self.process.stdout.read()

    def burn(self) -> list[psutil.Process]:
        """Order a long burn, wait until it is under way; all processes of the worker."""
        self.say(Qualify(id="q1", plan=LONG))
        self.hear(lambda one: isinstance(one, Progress) and one.what == "gemm")
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]


@pytest.fixture
def worker() -> Iterator[Callable[..., Worker]]:
    every = []

    def start(*options: str, abandoned_seconds: float | None = None) -> Worker:
        every.append(Worker(*options, abandoned_seconds=abandoned_seconds))
        return every[-1]

    yield start
    for one in every:
        one.process.kill()
        one.process.wait()
        for pipe in (one.process.stdin, one.process.stdout, one.process.stderr):
            pipe.close()


def is_hello(one: Message) -> bool:
    return isinstance(one, Hello)


def is_qualified(one: Message) -> bool:
    return isinstance(one, Qualified)


def assert_gone(processes: list[psutil.Process]) -> None:
    _, left = psutil.wait_procs(processes, timeout=15)
    assert [one for one in left if one.is_running() and one.status() != psutil.STATUS_ZOMBIE] == []


def test_it_says_who_it_is_before_anything_else(worker: Callable[..., Worker]) -> None:
    (hello,) = worker("--address", "192.0.2.7").hear(is_hello)
    assert (hello.node, hello.protocol, hello.versions) == ("node001", 1, versions())
    assert hello.addresses[0] == "192.0.2.7"


def test_evidence_is_of_its_own_node_and_comes_with_signs_of_life(worker: Callable[..., Worker]) -> None:
    one = worker("--piece-bytes", "900")
    one.say(Qualify(id="q1", plan=PLAN))
    *signs, last = one.hear(is_qualified)
    assert (last.order, last.evidence.node, last.evidence.interrupted) == ("q1", "node001", None)
    assert {m.burn for m in last.evidence.measurements} == {"gemm"}
    assert [each.order for each in signs if isinstance(each, Progress)][:1] == ["q1"]
    assert max(one.lengths) <= 900
    one.say(Stop(reason="over"))
    assert one.process.wait() == 0


def test_orders_are_carried_out_in_their_order(worker: Callable[..., Worker]) -> None:
    one = worker()
    one.say(Qualify(id="q1", plan=PLAN), Qualify(id="q2", plan=PLAN))
    assert one.hear(is_qualified)[-1].order == "q1"
    assert one.hear(is_qualified)[-1].order == "q2"


def test_a_plan_that_can_t_be_run_is_told_as_evidence_and_the_worker_lives_on(worker: Callable[..., Worker]) -> None:
    one = worker()
    one.say(Qualify(id="q1", plan=replace(PLAN, scenario="/nowhere/scenario.toml")))
    (problem,) = one.hear(is_qualified)[-1].evidence.problems
    assert (problem.code, problem.verdict.value, "/nowhere/scenario.toml" in problem.message) == (
        "crashed",
        "ERROR",
        True,
    )
    one.say(Qualify(id="q2", plan=PLAN))
    assert one.hear(is_qualified)[-1].evidence.problems == ()


def test_a_garbled_order_is_complained_of_on_stderr_and_passed_over(worker: Callable[..., Worker]) -> None:
    one = worker()
    one.process.stdin.write(b'noise\n{"schema":"fryer/worker","version":1,"type":"dance"}\n')
    one.say(Stop(reason="over"))
    assert one.process.wait() == 0
    assert b"of type 'dance', none of qualify, collect, stop" in one.process.stderr.read()


def test_what_a_library_prints_goes_to_stderr(worker: Callable[..., Worker]) -> None:
    one = worker()
    one.hear(is_hello)
    standard_in, out, err = (Path(f"/proc/{one.process.pid}/fd/{number}").readlink() for number in (0, 1, 2))
    assert (standard_in, out) == (Path("/dev/null"), err)


def test_a_stop_hands_in_what_was_measured(worker: Callable[..., Worker]) -> None:
    one = worker()
    everyone = one.burn()
    one.say(Stop(reason="early stop"))
    assert one.hear(is_qualified)[-1].evidence.interrupted == "stopped by its controller"
    assert one.process.wait() == 0
    assert_gone(everyone)


def test_the_end_of_its_orders_ends_it_and_all_that_it_started(worker: Callable[..., Worker]) -> None:
    one = worker()
    everyone = one.burn()
    assert len(everyone) > 2
    one.process.stdin.close()
    assert one.process.wait(timeout=15) == 3
    assert_gone(everyone)


def test_a_controller_that_closes_its_ear_ends_it(worker: Callable[..., Worker]) -> None:
    one = worker()
    everyone = one.burn()
    one.process.stdout.close()
    assert one.process.wait(timeout=30) == 3
    assert_gone(everyone)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_hands_in_what_was_measured_and_says_so(worker: Callable[..., Worker], number: signal.Signals) -> None:
    one = worker()
    everyone = one.burn()
    one.process.send_signal(number)
    assert one.hear(is_qualified)[-1].evidence.interrupted == number.name
    assert one.process.wait() == 3
    assert one.process.stderr.read().endswith(f"fryer worker on node001: ended: {number.name}\n".encode())
    assert_gone(everyone)


def test_a_kill_leaves_none_of_its_processes(worker: Callable[..., Worker]) -> None:
    one = worker()
    everyone = one.burn()
    one.process.kill()
    assert_gone(everyone)


def test_a_burn_that_can_t_be_ended_does_not_keep_it(worker: Callable[..., Worker]) -> None:
    one = worker()
    everyone = one.burn()
    for process in everyone[1:]:
        process.suspend()
    one.process.stdin.close()
    assert one.process.wait(timeout=30) == 3
    assert_gone(everyone)


def test_a_collective_of_others_is_no_order_for_it(worker: Callable[..., Worker]) -> None:
    from fryer.collectives.cases import CollectiveCase
    from fryer.fleet.orders import Collect

    one = worker()
    case = CollectiveCase(operation="all_reduce", size_bytes=1 << 20)
    collect = Collect(
        id="c1",
        groups=(("node002", "node003"),),
        cases=(case,),
        repeats=1,
        ranks_per_node=0,
        rail=None,
        addresses={},
        port=29600,
        join_seconds=1.0,
        seconds=1.0,
    )
    one.say(collect, Qualify(id="q1", plan=PLAN))
    heard = one.hear(is_qualified)
    assert not [each for each in heard if isinstance(each, Collected)]
    assert {each.order for each in heard if isinstance(each, Progress)} == {"q1"}


def test_addresses_come_surest_first_and_lead_to_other_nodes() -> None:
    environment = {"SSH_CONNECTION": "10.0.0.100 4321 10.0.0.7 22"}
    everything = ["127.0.0.1", "192.168.1.7", "10.0.0.7", "172.17.0.1", "fe80::1", "fd00::7"]
    assert order_addresses(None, environment, ["127.0.1.1", "192.168.1.7", "8.8.8.8"], everything) == (
        "10.0.0.7",
        "192.168.1.7",
        "172.17.0.1",
        "fd00::7",
    )
    assert order_addresses("127.0.0.1", {}, [], ["127.0.0.1", "10.0.0.7"]) == ("127.0.0.1", "10.0.0.7")


@pytest.mark.parametrize("options", [(), ("--node", "n", "--piece-bytes", "10"), ("--node", "n", "--fast")])
def test_wrong_usage_exits_2_and_prints_nothing_on_stdout(options: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fryer", "worker", *options], capture_output=True, check=False, stdin=subprocess.DEVNULL
    )
    assert (done.returncode, done.stdout) == (2, b"")


def test_a_controller_that_falls_silent_without_a_word_ends_it(worker: Callable[..., Worker]) -> None:
    """As where a cable is pulled: nothing closes, and nothing comes any more."""
    one = worker(abandoned_seconds=3.0)
    everyone = one.burn()
    for _ in range(8):
        one.process.stdin.write(BEAT.encode())
        one.process.stdin.flush()
        time.sleep(0.5)
    assert one.process.poll() is None
    assert one.process.wait(timeout=30) == 3
    assert one.process.stderr.read().endswith(b"fryer worker on node001: ended: its controller is gone\n")
    assert_gone(everyone)


def test_a_controller_that_never_beat_is_not_missed(worker: Callable[..., Worker]) -> None:
    one = worker(abandoned_seconds=0.5)
    one.hear(is_hello)
    time.sleep(2.0)
    one.say(Qualify(id="q1", plan=PLAN))
    assert one.hear(is_qualified)[-1].evidence.interrupted is None


def test_beats_are_due_by_the_clock() -> None:
    beats = Beats(100.0)
    assert [beats.is_due(100.0 + at) for at in (9.9, 10.0, 10.1, 19.9, 20.0, 95.0)] == [
        False,
        True,
        False,
        False,
        True,
        True,
    ]


def test_a_clear_failure_ends_its_burns_early_and_is_told_at_once(
    worker: Callable[..., Worker], tmp_path: Path
) -> None:
    scenario = tmp_path / "scenario.toml"
    scenario.write_text(
        'seed = 5\nspeed = 20.0\n[fleet]\nnodes = "node001"\npart = "H100-SXM5-80GB"\ngpus_per_node = 2\n'
        '[[fault]]\non = "node001/gpu1"\nkind = "wrong_bits"\nbits = 1\nevery = 50\n'
    )
    hour = replace(PLAN, dtypes=("bf16",), phases=(replace(PLAN.phases[0], seconds=7200.0),), scenario=str(scenario))
    one = worker()
    one.say(Qualify(id="q1", plan=hour))
    *signs, last = one.hear(is_qualified)
    assert last.evidence.interrupted == "a clear failure of gpu1 (--no-early-stop burns on)"
    told = [problem for sign in signs if isinstance(sign, Progress) for problem in sign.problems]
    assert "gpu1: wrong results in gemm bf16 8192x8192x8192" in told
    one.say(Qualify(id="q2", plan=PLAN))
    assert one.hear(is_qualified)[-1].evidence.interrupted is None
