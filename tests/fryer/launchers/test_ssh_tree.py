"""Nodes behind a gateway, real sshd on each: orders in mid-run reach them all, and every end is told."""

from collections.abc import Iterator
from pathlib import Path
from socket import gethostname

import pytest
from ClusterShell.Task import Task
from network_hosts import NetworkHosts, require
from ssh_head import Head, wait_until_gone

from fryer.launchers.tree import routes

pytestmark = pytest.mark.timeout(900)
ROOT = gethostname().partition(".")[0]


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NetworkHosts]:
    require()
    with NetworkHosts(tmp_path_factory.mktemp("hosts"), 4) as up:
        yield up


def settings(directory: Path, gateway: str = "fh1") -> dict[str, str]:
    """fh2 and fh3 are behind the gateway."""
    (directory / "topology.conf").write_text(f"[routes]\n{ROOT}: {gateway}\n{gateway}: fh[2-3]\n")
    return {"CLUSTERSHELL_CFGDIR": str(directory)}


def ssh_to(hosts: NetworkHosts, gateway: str) -> set[str]:
    """Nodes that a gateway has an ssh to."""
    words = [word for p in hosts.processes(gateway) if p.name() == "ssh" for word in p.cmdline()]
    return set(words) & set(hosts.names)


def test_orders_in_mid_run_reach_nodes_behind_a_gateway_and_beside_it(hosts: NetworkHosts, tmp_path: Path) -> None:
    with Head(hosts, *hosts.names, environment=settings(tmp_path)) as head:
        hellos = head.wait("Hello", 4)
        assert {one["node"]: one["addresses"][0] for one in hellos} == {n: hosts.address(n) for n in hosts.names}
        assert ssh_to(hosts, "fh1") == {"fh1", "fh2", "fh3"}
        for order in ("c1", "c2"):
            head.say({"collect": order, "addresses": {name: hosts.address(name) for name in ("fh2", "fh4")}})
            ends = head.wait("Collected", 2)
            assert {one["node"]: (one["order"], one["problem"]) for one in ends} == {
                "fh2": (order, ""),
                "fh4": (order, ""),
            }
        head.say({"stop": "over"})
        ends = head.wait("Ended", 4)
        assert {(one["node"], one["code"]) for one in ends} == {(name, "done") for name in hosts.names}
        head.say("close")
        head.wait("closed")
        assert head.process.wait() == 0
    for name in hosts.names:
        wait_until_gone(hosts, name)


def test_a_worker_behind_a_gateway_dies_alone(hosts: NetworkHosts, tmp_path: Path) -> None:
    with Head(hosts, "fh2", "fh3", environment=settings(tmp_path)) as head:
        head.wait("Hello", 2)
        (worker,) = hosts.workers("fh3")
        worker.kill()
        (ended,) = head.wait("Ended")
        assert (ended["node"], ended["code"]) == ("fh3", "died"), ended
        head.burn()
        head.say({"stop": "over"})
        (ended,) = head.wait("Ended")
        assert (ended["node"], ended["code"]) == ("fh2", "done")
    for name in hosts.names:
        wait_until_gone(hosts, name)


def test_a_gateway_that_loses_power_takes_its_nodes_and_leaves_no_worker(hosts: NetworkHosts, tmp_path: Path) -> None:
    with Head(hosts, "fh2", "fh3", "fh4", environment=settings(tmp_path)) as head:
        head.wait("Hello", 3)
        hosts.kill("fh1")
        try:
            ends = head.wait("Ended", 2)
            assert {one["node"]: one["code"] for one in ends} == {"fh2": "died", "fh3": "died"} or {
                one["node"]: one["code"] for one in ends
            } == {"fh2": "unreachable", "fh3": "unreachable"}
            assert all(one["message"].startswith(f"{one['node']}: its gateway failed: fh1: ") for one in ends)
            head.burn()  # the one that is not behind it goes on
        finally:
            hosts.boot("fh1")
            hosts.wait_for("fh1")


def test_without_its_gateway_nodes_are_reached_directly(hosts: NetworkHosts, tmp_path: Path) -> None:
    with Head(hosts, "fh2", "fh3", environment=settings(tmp_path, gateway="fh9")) as head:
        hellos = head.wait("Hello", 2)
        assert {one["node"] for one in hellos} == {"fh2", "fh3"}
        head.say({"stop": "over"})
        assert {one["code"] for one in head.wait("Ended", 2)} == {"done"}


def test_a_controller_that_is_killed_leaves_nothing_behind_gateways(hosts: NetworkHosts, tmp_path: Path) -> None:
    with Head(hosts, "fh2", "fh3", environment=settings(tmp_path)) as head:
        head.wait("Hello", 2)
        head.burn()
        head.process.kill()
    for name in hosts.names:
        wait_until_gone(hosts, name)


def test_routes_are_those_of_clustershell_s_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "topology.conf"
    path.write_text("[routes]\nadmin: gw[1-2]\ngw[1-2]: node[1-4]\n")
    monkeypatch.setattr(Task, "TOPOLOGY_CONFIGS", [str(path)])
    nodes = [f"node{index}" for index in range(1, 6)]
    assert routes(nodes, "admin") == {"gw1": ("node1", "node3"), "gw2": ("node2", "node4")}
    assert routes([*nodes, "gw1"], "admin") == {"gw1": ("node1", "node3", "gw1"), "gw2": ("node2", "node4")}
    assert routes(nodes, "gw1") == {}


def test_without_a_configuration_all_is_direct(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Task, "TOPOLOGY_CONFIGS", [str(tmp_path / "none.conf")])
    assert routes(["node1"], "admin") == {}
    assert caplog.messages == []
    path = tmp_path / "topology.conf"
    path.write_text("[routes]\nadmin: gw1\ngw1: node[1-4]\n")
    monkeypatch.setattr(Task, "TOPOLOGY_CONFIGS", [str(path)])
    assert routes(["node1"], "stranger") == {}
    assert "nodes are reached directly" in caplog.messages[0]
