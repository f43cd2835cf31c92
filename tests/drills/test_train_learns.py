"""Does the trainer's model learn as one in plain PyTorch does, with the same data and other code?"""

import json
import os
import statistics
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from trained import ROOT, Trained, tiny_plan

from trainer import codes
from trainer.plan import Plan, load_plan
from trainer.plan.json_form import to_json

IS_LONG = bool(os.environ.get("FRYER_DRILL"))
SEEDS = (1, 2, 3)
LAST = 10
"""Steps whose losses are averaged at the end."""


def plain_losses(plan: Plan, folder: Path) -> list[list[float]]:
    file = folder / "plain.json"
    file.write_text(json.dumps(to_json(plan)))
    program = Path(__file__).parents[1] / "fakes" / "plain_training.py"
    command = [sys.executable, "-W", "ignore", str(program), str(file), str(folder / "data"), *map(str, SEEDS)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=3000, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_last_losses_lie_within_the_noise_of_plain_pytorch(tmp_path: Path) -> None:
    if IS_LONG:
        plan = load_plan(ROOT / "plans" / "smoke.toml")
        plan = replace(plan, checkpoints=replace(plan.checkpoints, every_steps=0, local_every_steps=0))
    else:
        plan = tiny_plan(tmp_path, steps=60, every_steps=0)
    ours = Trained(tmp_path, plan)
    assert ours.start().wait(3000) == codes.DONE, ours.errors
    traced = ours.traced()
    losses = [float.fromhex(traced[0, step].loss) for step in range(1, plan.num_steps + 1)]
    plain = plain_losses(plan, tmp_path)
    ends = [statistics.mean(each[-LAST:]) for each in plain]
    noise = max(statistics.stdev(ends), 0.005)
    mine = statistics.mean(losses[-LAST:])
    sys.stdout.write(
        f"\n{plan.name}: loss of the last {LAST} of {plan.num_steps} steps {mine:.4f}; plain PyTorch "
        f"{', '.join(f'{end:.4f}' for end in ends)} over {len(ends)} seeds\n"
    )
    assert losses[-1] < 0.9 * losses[0]
    assert abs(mine - statistics.mean(ends)) < 4 * noise
