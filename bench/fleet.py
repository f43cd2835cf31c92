"""Whole simulated fleets: what planning, evidence, judging and localisation cost, and how often they are right.

``python -m bench.fleet`` measures one fleet of 2,048 nodes. ``python -m bench.fleet --seeds 200`` runs random fleets of
4, 48, 512 and 2,048 nodes with up to 5 % bad nodes, each slower by a tenth or more in its network, one of its NICs or
one of its GPUs, and counts: bad nodes that were named, runs in which a healthy one failed, rounds against the budget.
"""

import argparse
import gc
import random
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import log2
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from bench.show import show
from fryer import archive
from fryer.fleet.conductor import conduct, nothing_past
from fryer.fleet.network_plan import NetworkPlan
from fryer.fleet.orders import Message, Qualified, Qualify
from fryer.fleet.simulated import SimulatedHosts
from fryer.localise import Round
from fryer.outputs.fleet_html import render_fleet
from fryer.plan import Plan, make_plan
from fryer.result import RunInfo, RunResult
from fryer.stopper import Stopper
from fryer.verdict import judge
from watchdog.simulator.fault import Fault
from watchdog.simulator.scenario import Fleet, Scenario
from watchdog.store import Store
from watchdog.vocabulary.verdicts import Verdict

SIZES = (4, 48, 512, 2048)
MOST_BAD = 0.05


@dataclass(slots=True)
class Outcome:
    """One run."""

    bad: frozenset[str]
    named: frozenset[str]
    """Nodes that did not pass, whatever the reason."""
    failed: frozenset[str]
    num_rounds: int
    """Over all GPUs together: who is to blame."""
    num_rail_rounds: int
    """On a few suspects and their partners afterwards: which GPU or NIC of theirs it is."""
    seconds: dict[str, float]
    """CPU time by part."""
    page_megabytes: float


def random_fleet(num_nodes: int, seed: int) -> tuple[Scenario, frozenset[str]]:
    """A fleet and its bad nodes: none to 5 % of them, and in small fleets one in half of the seeds."""
    chance = random.Random(f"{num_nodes}/{seed}")
    fleet = Fleet(nodes=f"node[{1:0{len(str(num_nodes))}d}-{num_nodes}]")
    names = fleet.node_names
    bad = chance.sample(names, max(round(chance.uniform(0, MOST_BAD) * num_nodes), seed % 2 if num_nodes < 40 else 0))
    return Scenario(seed=seed, fleet=fleet, faults=tuple(_fault(node, chance) for node in bad)), frozenset(bad)


def _fault(node: str, chance: random.Random) -> Fault:
    """Three in five of the network, one of one NIC, one of a GPU (which fails from 10 % below its neighbours on)."""
    kind = chance.choice(("node", "node", "node", "nic", "gpu"))
    factor = chance.uniform(0.4, 0.9)
    if kind == "gpu":
        unit: str | None = f"gpu{chance.randrange(8)}"
        return Fault(on=f"{node}/{unit}", kind="slow", nodes=frozenset({node}), unit=unit, factor=min(factor, 0.87))
    unit = f"nic{chance.randrange(8)}" if kind == "nic" else None
    on = f"{node}/{unit}" if unit else node
    return Fault(on=on, kind="link_slow", nodes=frozenset({node}), unit=unit, factor=factor)


def run(scenario: Scenario, bad: frozenset[str]) -> Outcome:
    """The true conductor over a fleet; then its page and its place in a store."""
    begin = time.process_time()
    info = RunInfo(run_id=str(uuid4()), started_at="2026-01-01T00:00:00+00:00", plan=_plan(scenario), command="")
    result = conduct(info, SimulatedHosts(scenario), _Quiet(), Stopper(), past=nothing_past, network=NetworkPlan())
    conducted = time.process_time()
    page = render_fleet(result)
    rendered = time.process_time()
    with TemporaryDirectory() as directory:
        archive.save(Store.open(Path(directory)), result)
        saved = time.process_time()
    assert result.network is not None
    return Outcome(
        bad=bad,
        named=frozenset(v.node for v in result.verdicts if v.verdict is not Verdict.PASS),
        failed=frozenset(v.node for v in result.verdicts if v.verdict is Verdict.FAIL),
        num_rounds=sum(each.rail is None for each in result.network.rounds),
        num_rail_rounds=sum(each.rail is not None for each in result.network.rounds),
        seconds={
            "conduct it": conducted - begin,
            "render the page": rendered - conducted,
            "keep it in the store": saved - rendered,
        },
        page_megabytes=len(page) / 1e6,
    )


class _Quiet:
    """Shows nothing."""

    def start(self, info: RunInfo) -> None:
        """Ignored, as all that follow."""

    def state(self, node: str, state: str, why: str = "") -> None:
        pass

    def message(self, message: Message) -> None:
        pass

    def round(self, this: Round) -> None:
        pass

    def sweep(self, scope: str, groups: tuple[tuple[str, ...], ...], what: str) -> None:
        """Nothing to remember."""

    def finish(self, result: RunResult) -> None:
        pass

    def close(self) -> None:
        pass


def _plan(scenario: Scenario) -> Plan:
    return make_plan(
        nodes=scenario.fleet.node_names,
        seconds=60,
        dtypes=(),
        burns=(),
        seed=1,
        memory_ratio=None,
        scenario="fleet.toml",
    )


def _until(hosts: SimulatedHosts, seconds: float) -> list[Message]:
    end = hosts.now() + seconds
    found: list[Message] = []
    while hosts.now() < end:
        found += hosts.receive(end - hosts.now())
    return found


def report(num_nodes: int, outcomes: Sequence[Outcome]) -> None:
    """Print what came of the fleets of one size."""
    num_bad = sum(len(each.bad) for each in outcomes)
    num_named = sum(len(each.bad & each.named) for each in outcomes)
    num_false = sum(bool(each.failed - each.bad) for each in outcomes)
    budget = 4 + 2 * log2(num_nodes)
    print(f"{num_nodes:,} nodes, {len(outcomes)} fleets, {num_bad:,} bad nodes")
    show("  bad nodes that were named / all", [num_named / num_bad if num_bad else 1.0], "budget >= 0.99")
    show("  runs without a healthy node failed / all", [1 - num_false / len(outcomes)], "budget >= 0.99")
    show("  rounds", [each.num_rounds for each in outcomes], f"budget <= {budget:.1f}")
    show("  rounds on single rails of suspects", [each.num_rail_rounds for each in outcomes], "")
    for part in outcomes[0].seconds:
        show(f"  CPU s to {part}", [each.seconds[part] for each in outcomes], "")
    show("  CPU s in all", [sum(each.seconds.values()) for each in outcomes], "budget <= 10 at 2,048 nodes")
    show("  MB of page", [each.page_megabytes for each in outcomes], "")
    show("  MiB at most so far", [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024], "budget <= 500")
    for each in outcomes:
        if missed := sorted(each.bad - each.named):
            print(f"  missed: {', '.join(missed)}")


def cost() -> None:
    """Seconds and memory of the evidence of 2,048 nodes and of judging it."""
    scenario, _ = random_fleet(SIZES[-1], 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    hosts = SimulatedHosts(scenario)
    hosts.start(scenario.fleet.node_names)
    _until(hosts, 30)
    begin = time.process_time()
    hosts.send(Qualify(id="qualify", plan=_plan(scenario)))
    evidence = [message.evidence for message in _until(hosts, 70) if isinstance(message, Qualified)]
    made = time.process_time()
    verdicts = [judge(each) for each in evidence]
    judged = time.process_time()
    kept = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"{len(verdicts):,} nodes of {scenario.fleet.gpus_per_node} GPUs")
    show("  CPU s to simulate their evidence", [made - begin], "")
    show("  CPU s to judge it", [judged - made], "")
    show("  CPU ms to judge one node", [(judged - made) / len(verdicts) * 1e3], "budget <= 1.5")
    show("  MiB of evidence and verdicts", [kept], "budget <= 500, with the report")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the cost, and with ``--seeds`` what came of so many fleets of each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=0, help="random fleets of each size")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of nodes")
    chosen = parser.parse_args(arguments)
    cost()
    for num_nodes in chosen.sizes if chosen.seeds else ():
        outcomes = []
        for seed in range(1, chosen.seeds + 1):
            outcomes.append(run(*random_fleet(num_nodes, seed)))
            gc.collect()
        report(num_nodes, outcomes)


if __name__ == "__main__":
    main()
