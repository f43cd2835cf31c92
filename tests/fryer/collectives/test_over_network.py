"""A group whose members have a network of their own each: cables are pulled and slowed while they measure."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from lone_nodes import LoneNode, lone
from network_hosts import NetworkHosts, require

from fryer.collectives.cases import CollectiveCase
from fryer.collectives.roll import Patience
from fryer.collectives.witnesses import agree_on_missing
from fryer.fleet.orders import Collect, Collected

pytestmark = pytest.mark.timeout(900)  # one user of such hosts at a time: others are waited for
PATIENCE = Patience(sign_seconds=0.5, silence_seconds=6.0, start_seconds=60.0, reserve_seconds=2.0)
ENDLESS = CollectiveCase(operation="all_reduce", size_bytes=4 << 20, warmup=1, iterations=1_000_000)
SHORT = CollectiveCase(operation="all_reduce", size_bytes=4 << 20, warmup=1, iterations=3)
SECONDS = 100.0


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NetworkHosts]:
    require()
    with NetworkHosts(tmp_path_factory.mktemp("hosts"), 3) as up:
        yield up


def order(hosts: NetworkHosts, case: CollectiveCase) -> Collect:
    return Collect(
        id="order-1",
        groups=(hosts.names,),
        cases=(case,),
        repeats=1,
        ranks_per_node=0,
        rail=None,
        addresses={name: hosts.address(name) for name in hosts.names},
        port=29_600,
        join_seconds=60.0,
        seconds=SECONDS,
    )


def answers_of(nodes: dict[str, LoneNode]) -> dict[str, Collected]:
    answers: dict[str, Collected] = {}

    def take(name: str, node: LoneNode) -> None:
        answers[name] = node.answer()

    threads = [threading.Thread(target=take, args=each) for each in nodes.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@pytest.mark.parametrize("victim", ["fh1", "fh3"])
def test_a_member_whose_cable_is_pulled_in_mid_run_is_named(hosts: NetworkHosts, victim: str) -> None:
    with ExitStack() as stack:
        what = order(hosts, ENDLESS)
        nodes = {name: stack.enter_context(lone(what, PATIENCE, name, hosts.inside(name))) for name in hosts.names}
        for node in nodes.values():
            node.wait_for("all_reduce")
        hosts.cut(victim)
        try:
            answers = answers_of(nodes)
        finally:
            hosts.mend(victim)
    assert agree_on_missing({name: answer.missing for name, answer in answers.items()}) == (victim,)
    for name, answer in answers.items():
        assert answer.problem
        assert f"were over during {ENDLESS.operation}" not in answer.problem
        assert (victim in answer.missing) is (name != victim)


def test_a_slow_cable_is_slow_and_nobody_is_missing(hosts: NetworkHosts) -> None:
    hosts.slow("fh2", 400_000_000)
    try:
        with ExitStack() as stack:
            what = order(hosts, SHORT)
            nodes = {name: stack.enter_context(lone(what, PATIENCE, name, hosts.inside(name))) for name in hosts.names}
            answers = answers_of(nodes)
    finally:
        hosts.fast("fh2")
    assert {answer.problem for answer in answers.values()} == {""}
    (row,) = answers["fh1"].rows
    assert (row.num_ranks, row.num_wrong) == (3, 0)
    # 400 Mb/s are 50 MB/s each way; buckets of 256 KB let a little more through at first.
    assert row.busbw_bytes_per_second < 60e6
