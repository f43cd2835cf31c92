"""`fryer run` over four real hosts: network namespaces with an sshd each, gloo between them, faults made for real."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from network_hosts import HEAD, NetworkHosts, require
from watched import IS_LONG, say

LINK_BITS_PER_SECOND = 1_000_000_000
"""Of every host: so slow that the link decides, and not this machine's processors, which all hosts share."""
QUARTER_BITS_PER_SECOND = LINK_BITS_PER_SECOND // 4
EXCUSES = {"busy_host", "not_steady"}
"""Four hosts share this machine's processors: what one measures, the others disturb."""

of_the_long_drill = pytest.mark.skipif(not IS_LONG, reason="one of the minutes-long drills: make drill runs it")
pytestmark = [pytest.mark.drill, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NetworkHosts]:
    require()
    with NetworkHosts(tmp_path_factory.mktemp("hosts"), 4) as made:
        for name in made.names:
            made.slow(name, LINK_BITS_PER_SECOND)
        yield made


@dataclass
class Run:
    """`fryer run` in the head's network, and what it printed."""

    hosts: NetworkHosts
    documents: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        words = ["--nodes", "fh[1-4]", "--launcher", "ssh", "--ssh-options", self.hosts.ssh_options]
        words += ["--burns", "gemm", "--dtypes", "fp32", "--duration", "3s", "--no-keep", "--json"]
        self.begun = time.monotonic()
        self.process = subprocess.Popen(
            [*self.hosts.inside(HEAD), sys.executable, "-m", "fryer", "run", *words], stdout=subprocess.PIPE, text=True
        )

    def until(self, kind: str) -> None:
        """Read documents up to the first of `kind`."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.documents.append(json.loads(line))
            if self.documents[-1]["type"] == kind:
                return
        pytest.fail(f"the run ended without a document {kind!r}")

    def end(self) -> dict[str, Any]:
        """The verdict."""
        self.until("verdict")
        self.seconds = time.monotonic() - self.begun
        self.process.communicate(timeout=60)
        return self.documents[-1]

    @property
    def trials(self) -> list[tuple[str, list[float], str]]:
        """What each group gave, for the message of a failure."""
        found = [one for one in self.documents if one["type"] == "trial"]
        return [("-".join(one["nodes"]), one["values"], one["problem"]) for one in found]


def blamed(verdict: dict[str, Any]) -> dict[str, set[str]]:
    """By node that is not fit: the codes of its reasons that no busy machine explains."""
    found = {
        node["node"]: {
            reason["code"]
            for reason in [*node["reasons"], *(r for device in node["devices"] for r in device["reasons"])]
            if reason["verdict"] in ("FAIL", "ERROR", "INCONCLUSIVE") and reason["code"] not in EXCUSES
        }
        for node in verdict["nodes"]
    }
    return {node: codes for node, codes in found.items() if codes}


def test_four_healthy_hosts_pass(hosts: NetworkHosts) -> None:
    run = Run(hosts)
    verdict = run.end()
    assert blamed(verdict) == {}, run.trials
    assert [link for link in verdict["links"] if link["verdict"] != "WARN"] == []  # a shared machine makes paths wobble
    assert len([one for one in run.documents if one["type"] == "trial"]) >= 4
    [swept] = [one for one in run.documents if one["type"] == "sweep"]
    assert (swept["scope"], swept["nodes"], swept["missing"]) == ("between", ["fh1", "fh2", "fh3", "fh4"], [])
    rows = [one for one in run.documents if one["type"] == "collective" and one["scope"] == "between"]
    assert len(rows) == swept["num_rows"] > 1
    assert {row["nwrong"] for row in rows} == {0}
    say(f"four healthy hosts: {verdict['verdict']} in {run.seconds:.0f} s")


@of_the_long_drill
def test_a_host_whose_link_gives_a_quarter_is_named(hosts: NetworkHosts) -> None:
    hosts.slow("fh3", QUARTER_BITS_PER_SECOND)
    try:
        run = Run(hosts)
        verdict = run.end()
    finally:
        hosts.slow("fh3", LINK_BITS_PER_SECOND)
    assert blamed(verdict) == {"fh3": {"slow_network"}}, run.trials
    assert run.process.returncode == 1
    [proof] = [r["message"] for n in verdict["nodes"] if n["node"] == "fh3" for r in n["reasons"]][:1]
    say(f"one host with a quarter of its link: {proof}; {run.seconds:.0f} s")


@of_the_long_drill
def test_a_host_whose_link_is_cut_in_mid_run_is_named_within_the_deadline(hosts: NetworkHosts) -> None:
    try:
        run = Run(hosts)
        run.until("round")
        hosts.cut("fh2")
        verdict = run.end()
    finally:
        hosts.mend("fh2")
        hosts.wait_for("fh2")
    assert set(blamed(verdict)) == {"fh2"}
    assert run.process.returncode in (1, 3)
    say(f"one host cut off in mid-run: {blamed(verdict)}; {run.seconds:.0f} s")


def test_a_host_that_loses_power_is_named(hosts: NetworkHosts) -> None:
    try:
        run = Run(hosts)
        run.until("round")
        hosts.kill("fh4")
        verdict = run.end()
    finally:
        hosts.boot("fh4")
        hosts.wait_for("fh4")
        hosts.slow("fh4", LINK_BITS_PER_SECOND)
    assert set(blamed(verdict)) == {"fh4"}
    assert run.process.returncode in (1, 3)
    say(f"one host without power: {blamed(verdict)}; {run.seconds:.0f} s")


@of_the_long_drill
def test_two_faulty_hosts_at_once_are_both_named(hosts: NetworkHosts) -> None:
    hosts.slow("fh1", QUARTER_BITS_PER_SECOND)
    hosts.kill("fh4")
    try:
        run = Run(hosts)
        verdict = run.end()
    finally:
        hosts.slow("fh1", LINK_BITS_PER_SECOND)
        hosts.boot("fh4")
        hosts.wait_for("fh4")
        hosts.slow("fh4", LINK_BITS_PER_SECOND)
    found = blamed(verdict)
    assert found["fh4"] == {"unreachable"}
    assert "slow_network" in found["fh1"]
    assert set(found) == {"fh1", "fh4"}
    say(f"two faulty hosts: {found}; {run.seconds:.0f} s")


def test_nothing_is_left_on_the_hosts(hosts: NetworkHosts) -> None:
    assert [process for name in hosts.names for process in hosts.workers(name)] == []
