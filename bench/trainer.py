"""The trainer against a bare Megatron-core loop of the same model, and the stall of asynchronous checkpoints.

Both loops run in one process over one model, in segments that take turns: the bare one makes the passes and the
optimizer's own step and nothing else; ours goes through the loop with guard, client and states in memory.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.show import show
from trainer.options import Options
from trainer.plan import Plan, load_plan
from trainer.world import World

PLAN = Path(__file__).parents[1] / "plans" / "smoke.toml"
SEGMENT_STEPS = 4
SEGMENTS = 9
SAVES = 6


def main(arguments: Sequence[str] | None = None) -> None:
    """Print ratios and peak memory."""
    del arguments
    from trainer.device.open import open_device  # noqa: PLC0415 - torch

    plan = load_plan(PLAN)
    device = open_device("cpu")
    from bench.trainer_loops import measure  # noqa: PLC0415 - Megatron-core, after the device is open

    with TemporaryDirectory(prefix="fryer-bench-") as folder:
        found = measure(_of(plan, Path(folder)), _options(Path(folder)), device, SEGMENT_STEPS, SEGMENTS, SAVES)
    show("trainer / bare Megatron-core loop, tokens/s", found.ratios, "budget >= 0.97")
    show("checkpoint stall, async / sync", [median(found.async_stalls) / median(found.sync_stalls)], "budget <= 0.15")
    show("  async stall, s", found.async_stalls, "")
    show("  sync stall, s", found.sync_stalls, "")
    show("  peak memory, MiB", [device.peak_memory_bytes() / 2**20], "")


def _of(plan: Plan, folder: Path) -> Plan:
    steps = 10_000
    stage = replace(plan.stages[0], steps=steps)
    checkpoints = replace(
        plan.checkpoints, every_steps=0, local_every_steps=0, local_directory=folder / "local", memory_every_steps=10
    )
    return replace(plan, stages=(stage,), checkpoints=checkpoints, evaluation=replace(plan.evaluation, every_steps=0))


def _options(folder: Path) -> Options:
    return Options(plan=PLAN, run=folder / "run", data=folder / "data", is_quiet=True, socket=folder / "no-daemon")


def world() -> World:
    """One rank."""
    return World(rank=0, size=1, local_rank=0, host="127.0.0.1", port=29_377)


if __name__ == "__main__":
    began = time.monotonic()
    main(sys.argv[1:])
    print(f"took {time.monotonic() - began:.0f} s")
