"""Localisation over fleets whose faults are known: how often it is right, what it asks for, and what it costs.

``python -m bench.localise --seeds 200``: fleets of 4, 48, 512 and 2,048 nodes, none to 5 % of them bad (10 to 60 %
slow; one in half of the fleets of four), each measurement with 2 % noise. Every third fleet has two slow paths as well.
"""

import argparse
import random
import resource
import sys
import time
import tracemalloc
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "fakes"))

from faulty_network import World, names

from fryer.localise import Settings, localise, next_round
from watchdog.vocabulary.verdicts import Verdict

SIZES = (4, 48, 512, 2048)
SETTINGS = Settings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One fleet."""

    num_bad: int
    num_found: int
    is_false: bool
    """A healthy node failed."""
    num_rounds: int
    seconds: float
    """In `next_round` and `localise`, all rounds together."""


def main() -> None:
    """Print one line a size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    seeds = parser.parse_args().seeds
    heads = ("nodes", "bad", "recall", "runs without false FAIL", "rounds", "bound", "seconds")
    print("{:>6} {:>6} {:>8} {:>24} {:>7} {:>6} {:>16}".format(*heads))
    for num_nodes in SIZES:
        runs = [one(num_nodes, seed) for seed in range(seeds)]
        bad, found = sum(run.num_bad for run in runs), sum(run.num_found for run in runs)
        clean = sum(not run.is_false for run in runs) / len(runs)
        seconds = sorted(run.seconds for run in runs)
        print(
            f"{num_nodes:>6} {bad:>6} {found / bad if bad else 1:>8.4f} {100 * clean:>22.1f} % "
            f"{max(run.num_rounds for run in runs):>7} {SETTINGS.most_rounds_of(num_nodes):>6} "
            f"{seconds[len(seconds) // 2]:>7.3f} <= {seconds[-1]:.3f}"
        )
    tracemalloc.start()
    one(SIZES[-1], 0)
    print(f"{'allocated at most, 2,048 nodes, trials included':<58} {tracemalloc.get_traced_memory()[1] / 1e6:9.1f} MB")
    print(f"{'peak memory of this process':<58} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:9.0f} MiB")


def one(num_nodes: int, seed: int) -> Run:
    """One fleet, all its rounds, and whether the conclusion is true."""
    chance = random.Random(f"{num_nodes}/{seed}")
    nodes = names(num_nodes)
    least = seed % 2 if num_nodes < 20 else 0
    bad = frozenset(chance.sample(nodes, max(least, round(chance.uniform(0, 0.05) * num_nodes))))
    paths = [frozenset(chance.sample(nodes, 2)) for _ in range(2 if seed % 3 == 0 and num_nodes > 20 else 0)]
    world = World(
        nodes=nodes,
        slow={node: chance.uniform(0.4, 0.9) for node in bad},
        slow_paths=dict.fromkeys(paths, 0.5),
        noise=0.02,
        seed=seed,
    )
    trials, num_rounds, seconds = [], 0, 0.0
    while True:
        start = time.perf_counter()
        asked = next_round(nodes, trials, SETTINGS)
        seconds += time.perf_counter() - start
        if asked is None:
            break
        num_rounds += 1
        trials += world.answer(asked)
    start = time.perf_counter()
    said = localise(nodes, trials, SETTINGS)
    seconds += time.perf_counter() - start
    failed = {finding.node for finding in said.nodes if finding.verdict is Verdict.FAIL}
    return Run(
        num_bad=len(bad),
        num_found=len(bad & failed),
        is_false=bool(failed - bad),
        num_rounds=num_rounds,
        seconds=seconds,
    )


if __name__ == "__main__":
    main()
