"""Nodes of one group on loopback: each a `run_collect` of its own, with real processes that are stopped and killed."""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil
import pytest
from lone_nodes import lone

from fryer.collectives.cases import CollectiveCase
from fryer.collectives.collect import interface_of, run_collect, split_by_algorithm
from fryer.collectives.roll import Patience
from fryer.crew import make_context
from fryer.fleet.orders import Collect, Collected

QUICK = Patience(sign_seconds=0.2, silence_seconds=6.0, start_seconds=60.0, reserve_seconds=2.0)
SHORT = CollectiveCase(operation="all_reduce", size_bytes=1 << 16, warmup=1, iterations=3)
ENDLESS = CollectiveCase(operation="all_reduce", size_bytes=1 << 20, warmup=1, iterations=1_000_000)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def order(*nodes: str, **changes: object) -> Collect:
    fields = {
        "id": "order-1",
        "groups": (nodes,),
        "cases": (SHORT,),
        "repeats": 1,
        "ranks_per_node": 0,
        "rail": None,
        "addresses": dict.fromkeys(nodes, "127.0.0.1"),
        "port": free_port(),
        "join_seconds": 30.0,
        "seconds": 90.0,
    }
    return Collect(**fields | changes)  # type: ignore[arg-type]


@dataclass
class Node:
    name: str
    answer: Collected | None = None
    seconds: float = 0.0
    seen: list[str] = field(default_factory=list)


@contextmanager
def taking_part(what: Collect, *names: str) -> Iterator[list[Node]]:
    """Nodes that run at the same time; all have answered when it ends."""
    context = make_context()
    nodes = [Node(name) for name in names]

    def take_part(node: Node) -> None:
        start = time.monotonic()
        node.answer = run_collect(what, node.name, node.seen.append, context=context, patience=QUICK)
        node.seconds = time.monotonic() - start

    threads = [threading.Thread(target=take_part, args=(node,)) for node in nodes]
    for thread in threads:
        thread.start()
    try:
        yield nodes
    finally:
        for thread in threads:
            thread.join()


def run(what: Collect, *names: str) -> list[Collected]:
    with taking_part(what, *names) as nodes:
        pass
    return [node.answer for node in nodes if node.answer]


def new_processes(before: set[int]) -> list[psutil.Process]:
    return [process for process in psutil.Process().children(recursive=True) if process.pid not in before]


def children() -> set[int]:
    make_context()
    return {process.pid for process in psutil.Process().children(recursive=True)}


def test_the_first_node_sends_the_rows_and_the_others_none() -> None:
    cases = (SHORT, CollectiveCase(operation="alltoall", size_bytes=4096, dtype="bfloat16", iterations=2))
    first, second = run(order("a", "b", cases=cases, repeats=2), "a", "b")
    assert (first.problem, first.missing) == ("", ())
    assert [(row.case.operation, row.repeat, row.num_ranks, row.num_wrong) for row in first.rows] == [
        ("all_reduce", 0, 2, 0),
        ("alltoall", 0, 2, 0),
        ("all_reduce", 1, 2, 0),
        ("alltoall", 1, 2, 0),
    ]
    assert {row.transport for row in first.rows} == {"gloo tcp"}
    assert (first.node, first.order, first.problem, first.missing) == ("a", "order-1", "", ())
    assert second == Collected(node="b", order="order-1")


def test_groups_of_one_order_measure_at_the_same_time() -> None:
    what = order("a", "b", groups=(("a", "b"), ("c", "d")), addresses=dict.fromkeys("abcd", "127.0.0.1"))
    answers = run(what, "a", "b", "c", "d")
    assert [(answer.node, len(answer.rows), answer.problem) for answer in answers] == [
        ("a", 1, ""),
        ("b", 0, ""),
        ("c", 1, ""),
        ("d", 0, ""),
    ]


def test_orders_that_follow_each_other_may_use_the_same_port() -> None:
    port = free_port()
    for number in range(3):
        first, _ = run(order("a", "b", id=f"round{number}", port=port), "a", "b")
        assert (len(first.rows), first.problem) == (1, "")


def test_a_node_may_have_several_ranks() -> None:
    (answer,) = run(order("a", ranks_per_node=3), "a")
    assert [row.num_ranks for row in answer.rows] == [3]


def test_a_node_in_no_group_does_nothing() -> None:
    before = children()
    assert run_collect(order("a", "b"), "z", pytest.fail) is None
    assert new_processes(before) == []


def test_it_leaves_no_process_and_loads_no_torch() -> None:
    before = children()
    had_torch = "torch" in sys.modules
    run(order("a"), "a")
    assert new_processes(before) == []
    assert ("torch" in sys.modules) is had_torch


def test_a_member_that_never_comes_is_named_by_all_others() -> None:
    answers = run(order("a", "b", "c", join_seconds=4.0), "a", "c")
    assert [(answer.problem, answer.missing) for answer in answers] == [("b did not come within 4 s", ("b",))] * 2


def test_a_member_that_comes_late_is_waited_for_and_nobody_is_lost() -> None:
    what = order("a", "b")
    with lone(what, QUICK, "a") as first:
        first.wait_for("waiting for 2 nodes")
        time.sleep(2 * QUICK.silence_seconds + 1)
        second = run_collect(what, "b", lambda _: None, patience=QUICK)
        answer = first.answer()
    assert (answer.problem, answer.missing, len(answer.rows)) == ("", (), 1)
    assert second == Collected(node="b", order="order-1")


def test_a_first_member_that_never_comes_is_named() -> None:
    (answer,) = run(order("a", "b", join_seconds=2.0), "b")
    assert answer.missing == ("a",)
    assert answer.problem.startswith("a did not answer at 127.0.0.1 port ")


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_a_rank_that_is_stopped_or_killed_in_mid_run_is_named(number: signal.Signals) -> None:
    before = children()
    what = order("a", "b", "c", cases=(ENDLESS,), seconds=60.0)
    with lone(what, QUICK, "c") as third, taking_part(what, "a", "b") as others:
        third.wait_for("all_reduce")
        os.kill(third.rank().pid, number)
        answers = [third.answer()]
    answers += [node.answer for node in others if node.answer]
    assert [answer.missing for answer in answers] == [("c",)] * 3
    word = "no sign of life for 6 s" if number is signal.SIGSTOP else "ended with exit code -9"
    assert all(word in answer.problem for answer in answers)
    assert max(node.seconds for node in others) < 50
    assert new_processes(before) == []


def test_a_first_node_that_dies_whole_is_named_by_the_others() -> None:
    what = order("a", "b", cases=(ENDLESS,), seconds=60.0)
    with lone(what, QUICK, "a") as first, taking_part(what, "b") as (second,):
        first.wait_for("all_reduce")
        first.kill()
    assert second.answer == Collected(
        node="b", order="order-1", problem="b lost a, which answers no more", missing=("a",)
    )


def test_what_was_measured_before_a_loss_is_kept() -> None:
    what = order("a", "b", cases=(SHORT, ENDLESS), seconds=60.0)
    with lone(what, QUICK, "b") as second, taking_part(what, "a") as (first,):
        second.wait_for("all_reduce 1 MiB")
        second.kill()
    assert first.answer is not None
    assert [row.case.size_bytes for row in first.answer.rows] == [SHORT.size_bytes]
    assert first.answer.missing == ("b",)


def test_a_case_that_takes_too_long_is_cut_to_the_time_there_is() -> None:
    answers = run(order("a", "b", cases=(ENDLESS, SHORT), seconds=16.0), "a", "b")
    endless, short = answers[0].rows
    assert 1 <= endless.case.iterations < ENDLESS.iterations
    assert endless.case.warmup in (1, 2, 3)
    assert short.case == SHORT
    assert answers[0].problem == ""


def test_a_case_that_can_not_be_measured_is_said() -> None:
    case = CollectiveCase(operation="hypercube", size_bytes=4096)
    answers = run(order("a", "b", "c", cases=(case,)), "a", "b", "c")
    assert {answer.missing for answer in answers} == {()}
    assert all("hypercube needs 2, 4, 8, 16 … ranks, and there are 3" in answer.problem for answer in answers)


def test_too_large_a_case_is_said() -> None:
    case = CollectiveCase(operation="all_reduce", size_bytes=1 << 56)
    answers = run(order("a", "b", cases=(case,)), "a", "b")
    assert {answer.missing for answer in answers} == {()}
    assert all(f"no memory for two buffers of {1 << 56} B: measure smaller sizes" in each.problem for each in answers)


def test_it_stops_when_told() -> None:
    what = order("a", cases=(ENDLESS,))
    answer = run_collect(what, "a", lambda _: None, should_stop=lambda: True, patience=QUICK)
    assert answer == Collected(node="a", order="order-1", problem="stopped")


def test_a_taken_port_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (answer,) = run(order("a", port=port), "a")
    assert answer.problem.startswith(f"a can't serve its group at 127.0.0.1 port {port}: ")
    assert answer.problem.endswith("give another port")


def test_progress_is_told() -> None:
    with taking_part(order("a", "b", cases=(ENDLESS,), seconds=20.0), "a", "b") as nodes:
        pass
    assert all("waiting for 2 nodes" in node.seen[0] for node in nodes)
    assert all(any(seen == "all_reduce 1 MiB float" for seen in node.seen) for node in nodes)


def test_cases_are_split_where_nccl_needs_a_new_process() -> None:
    ring = CollectiveCase(operation="all_reduce", size_bytes=8, algorithm="Ring")
    tree = CollectiveCase(operation="all_reduce", size_bytes=8, algorithm="Tree")
    assert split_by_algorithm([ring, ring, tree, SHORT], is_pinnable=True) == [(ring, ring), (tree,), (SHORT,)]
    assert split_by_algorithm([ring, tree], is_pinnable=False) == [(ring, tree)]


def test_the_interface_is_the_one_that_has_the_address() -> None:
    assert interface_of("127.0.0.1") == "lo"
    assert interface_of("192.0.2.77") is None
    assert interface_of("no-such-host.invalid") is None
