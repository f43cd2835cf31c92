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
from dataclasses import dataclass, field
from math import log2

from bench.show import show
from fryer.collectives.cases import CollectiveCase
from fryer.evidence import NodeVerdict
from fryer.fleet.orders import Collect, Collected, Message, Qualified, Qualify
from fryer.fleet.simulated import SimulatedHosts
from fryer.localise import Localisation, Round, Settings, Trial, localise, next_round
from fryer.plan import make_plan
from fryer.verdict import judge
from watchdog.simulator.fault import Fault
from watchdog.simulator.scenario import Fleet, Scenario
from watchdog.vocabulary.verdicts import Verdict

SIZES = (4, 48, 512, 2048)
MOST_BAD = 0.05
RING_BYTES_PER_SECOND = 380e9
"""Of a healthy pair: eight NDR 400 NICs a node."""
_CASE = CollectiveCase(operation="all_reduce", size_bytes=1 << 30, algorithm="Ring")


@dataclass(slots=True)
class Outcome:
    """One run."""

    bad: frozenset[str]
    named: frozenset[str]
    """Nodes that did not pass, whatever the reason."""
    failed: frozenset[str]
    num_rounds: int
    seconds: dict[str, float] = field(default_factory=dict)
    """Real time by part."""


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
    """Qualify every node, then find out about the network of those that passed."""
    marks = [time.perf_counter()]
    names = scenario.fleet.node_names
    hosts = SimulatedHosts(scenario)
    hosts.start(names)
    _until(hosts, 30)
    verdicts = _qualify(hosts, names)
    marks.append(time.perf_counter())
    failed = {v.node for v in verdicts if v.verdict is Verdict.FAIL}
    warned = {v.node for v in verdicts if v.verdict is Verdict.WARN}
    pool = [node for node in names if node not in failed]
    found, num_rounds = _network(hosts, pool)
    marks.append(time.perf_counter())
    network = {f.node for f in found.nodes if f.verdict is Verdict.FAIL}
    return Outcome(
        bad=bad,
        named=frozenset(failed | warned | {f.node for f in found.nodes}),
        failed=frozenset(failed | network),
        num_rounds=num_rounds,
        seconds={"qualify": marks[1] - marks[0], "network": marks[2] - marks[1]},
    )


def _until(hosts: SimulatedHosts, seconds: float) -> list[Message]:
    end = hosts.now() + seconds
    found: list[Message] = []
    while hosts.now() < end:
        found += hosts.receive(end - hosts.now())
    return found


def _qualify(hosts: SimulatedHosts, names: Sequence[str]) -> list[NodeVerdict]:
    plan = make_plan(nodes=names, seconds=60, dtypes=(), burns=(), seed=1, memory_ratio=None, scenario="fleet.toml")
    hosts.send(Qualify(id="qualify", plan=plan))
    return [judge(message.evidence) for message in _until(hosts, 70) if isinstance(message, Qualified)]


def _network(hosts: SimulatedHosts, pool: Sequence[str]) -> tuple[Localisation, int]:
    settings = Settings(expected_bytes_per_second=RING_BYTES_PER_SECOND)
    trials: list[Trial] = []
    num_rounds = 0
    while wanted := next_round(pool, trials, settings):
        num_rounds += 1
        trials += _measure(hosts, wanted)
    return localise(pool, trials, settings), num_rounds


def _measure(hosts: SimulatedHosts, wanted: Round) -> list[Trial]:
    order = Collect(
        id=f"round {wanted.number}",
        groups=wanted.groups,
        cases=(_CASE,),
        repeats=wanted.repeats,
        ranks_per_node=0,
        rail=None,
        addresses={},
        port=29500,
        join_seconds=10,
        seconds=60,
    )
    hosts.send(order)
    said = {message.node: message for message in _until(hosts, 61) if isinstance(message, Collected)}
    return [
        Trial(
            round=wanted.number,
            nodes=nodes,
            values=tuple(row.busbw_bytes_per_second for row in said[nodes[0]].rows),
            problem=said[nodes[0]].problem,
            missing=said[nodes[0]].missing,
            num_wrong=sum(row.num_wrong for row in said[nodes[0]].rows),
        )
        for nodes in wanted.groups
    ]


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
    for part in outcomes[0].seconds:
        show(f"  real seconds: {part}", [each.seconds[part] for each in outcomes], "")
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
    names = scenario.fleet.node_names
    plan = make_plan(nodes=names, seconds=60, dtypes=(), burns=(), seed=1, memory_ratio=None, scenario="fleet.toml")
    begin = time.perf_counter()
    hosts.send(Qualify(id="qualify", plan=plan))
    evidence = [message.evidence for message in _until(hosts, 70) if isinstance(message, Qualified)]
    made = time.perf_counter()
    verdicts = [judge(each) for each in evidence]
    judged = time.perf_counter()
    kept = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"{len(verdicts):,} nodes of {scenario.fleet.gpus_per_node} GPUs")
    show("  s to simulate their evidence", [made - begin], "")
    show("  s to judge it", [judged - made], "")
    show("  ms to judge one node", [(judged - made) / len(verdicts) * 1e3], "budget <= 1.5")
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
