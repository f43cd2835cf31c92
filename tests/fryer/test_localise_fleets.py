"""Fleets with noise and faults of all kinds, from seeds: how often the conclusion is true."""

import os
import random
from collections import Counter

import pytest
from faulty_network import World, names

from fryer.localise import Settings
from watchdog.vocabulary.verdicts import Verdict

SEEDS = 200 if os.environ.get("FRYER_DRILL") == "1" else 8
SETTINGS = Settings()
FLEETS = [
    *((4, kind) for kind in ("slow", "barely slow", "intermittent")),
    *((n, kind) for n in (48, 512, 2048) for kind in ("slow", "barely slow", "intermittent", "slow beside bad paths")),
]
"""Of four nodes two bad paths at one node are as good as a bad node, so that is no case."""


def faulty(num_nodes: int, seed: int, kind: str) -> tuple[World, frozenset[str]]:
    """None to 5 % bad nodes, at least one in each second fleet."""
    chance = random.Random(f"{kind}/{num_nodes}/{seed}")
    nodes = names(num_nodes)
    bad = frozenset(chance.sample(nodes, max(seed % 2, round(chance.uniform(0, 0.05) * num_nodes))))
    world = World(nodes=nodes, noise=0.02, seed=seed)
    if kind == "slow":
        world.slow = {node: chance.uniform(0.4, 0.9) for node in bad}
    elif kind == "barely slow":
        world.slow = dict.fromkeys(bad, 0.9)
    elif kind == "intermittent":
        world.flaky = {node: (chance.uniform(0.3, 0.6), chance.uniform(0.3, 0.7)) for node in bad}
    elif kind == "slow beside bad paths":
        world.slow = {node: chance.uniform(0.4, 0.9) for node in bad}
        world.slow_paths = {frozenset(chance.sample(nodes, 2)): 0.5 for _ in range(2)}
    return world, bad


@pytest.mark.drill
@pytest.mark.timeout(1200)  # 200 fleets of 2,048 nodes take minutes
@pytest.mark.parametrize(("num_nodes", "kind"), FLEETS)
def test_nearly_all_bad_nodes_are_named_and_hardly_ever_a_healthy_one(num_nodes: int, kind: str) -> None:
    counts: Counter[str] = Counter()
    seeds = SEEDS if num_nodes < 2048 or SEEDS > 8 else 2
    for seed in range(seeds):
        world, bad = faulty(num_nodes, seed, kind)
        said, rounds, _ = world.run(SETTINGS)
        fails = {finding.node for finding in said.nodes if finding.verdict is Verdict.FAIL}
        counts.update(bad=len(bad), found=len(bad & fails), false=bool(fails - bad))
        assert len(rounds) <= SETTINGS.most_rounds_of(num_nodes)
    print(f"{num_nodes} nodes, {kind}, {seeds} fleets: {counts['found']} of {counts['bad']} found, "  # noqa: T201
          f"{counts['false']} fleets with a healthy node failed")  # fmt: skip
    least = 0.97 if kind == "intermittent" else 0.99
    assert counts["found"] >= least * counts["bad"] - (1 if counts["bad"] < 30 else 0)
    assert counts["false"] <= 0.01 * seeds


def test_a_fleet_with_one_of_each_fault_names_each_of_them() -> None:
    world = World(
        nodes=names(64),
        slow={"node003": 0.85},
        slow_in_groups={"node011": 0.7},
        slow_paths={frozenset(("node020", "node045")): 0.5},
        flaky={"node030": (0.5, 0.4)},
        wrong=["node040"],
        broken=["node050"],
        dies={"node060": 2},
        noise=0.02,
        seed=5,
    )
    said, rounds, _ = world.run(SETTINGS)
    assert {finding.node: finding.code for finding in said.nodes} == {
        "node003": "slow_network",
        "node011": "slow_network",
        "node030": "intermittent_network",
        "node040": "wrong_sums",
        "node050": "broken_network",
        "node060": "no_answer",
    }
    assert len(rounds) <= SETTINGS.most_rounds_of(64)
    assert {frozenset(link.nodes) for link in said.links} <= set(world.slow_paths)
