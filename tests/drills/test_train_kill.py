"""A training that is killed at random moments, also in mid-save, and ends as if it never had been."""

import os
import random
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from trained import Trained, kill_tree, tiny_plan

from trainer import codes

NUM_KILLS = 50 if os.environ.get("FRYER_DRILL") else 3


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_training_that_is_killed_again_and_again_ends_with_the_same_bits(tmp_path: Path) -> None:
    plan = tiny_plan(tmp_path, steps=12 * NUM_KILLS, every_steps=3, keep_last=3)
    undisturbed = Trained(tmp_path, plan, name="undisturbed")
    assert undisturbed.train() == codes.DONE, undisturbed.errors
    killed = Trained(tmp_path, plan, name="killed")
    chance = random.Random(1)
    moments: Counter[str] = Counter()
    for number in range(NUM_KILLS):
        process = killed.start()
        goal = killed.steps_logged() + 1 + (number % 8)
        # one time in four during the start: reading checkpoints back, building, resuming
        give_up = time.monotonic() + (chance.uniform(0.5, 6.0) if number % 4 == 3 else 120)
        while process.poll() is None and killed.steps_logged() < goal and time.monotonic() < give_up:
            time.sleep(0.01)
        time.sleep(chance.uniform(0.0, 0.15))
        if process.poll() is not None:
            assert process.returncode == codes.DONE, killed.errors
            break
        moments["in mid-save" if list(killed.run.glob("checkpoints/*.writing-*")) else "between saves"] += 1
        kill_tree(process)
    assert killed.train() == codes.DONE, killed.errors
    sys.stdout.write(
        f"\n{sum(moments.values())} kills ({dict(moments)}); {killed.steps_logged()} steps made of {plan.num_steps}\n"
    )
    assert killed.final() == undisturbed.final()
    assert all(traced.weights for traced in killed.final())
    losses = {key: each.loss for key, each in killed.traced().items()}
    assert losses == {key: each.loss for key, each in undisturbed.traced().items()}
