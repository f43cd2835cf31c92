"""What a batch costs the loader where a stage has a thousand steps, and where it has ten million.

The same real text through Megatron's datasets; of the long stage steps from its whole length. Nothing but the number of
planned steps differs, so the ratio shows whether any index or table grows with it.
"""

import time
import tracemalloc
import warnings
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.show import show
from trainer.device.open import open_device
from trainer.plan import ModelPlan, OptimizerPlan, ParallelPlan, Plan, Source, Stage, Tokenizer
from trainer.plan.position import place_of

REPEATS = 15
STEPS = 60
"""Of each repeat."""
FEW, MANY = 1_000, 10_000_000


def main() -> None:
    """Milliseconds a batch, their ratio, and the ratio of memory."""
    with warnings.catch_warnings(), TemporaryDirectory() as directory:
        warnings.simplefilter("ignore")
        open_device("cpu")
        milliseconds(FEW, Path(directory))  # the first one tokenises
        peaks = {steps: peak_bytes(steps, Path(directory)) for steps in (FEW, MANY)}
        few, many = measure(Path(directory))
    show(f"loader: ms a batch, {FEW:,} planned steps", few, "32 sequences of 512")
    show(f"loader: ms a batch, {MANY:,} planned steps", many, "")
    ratios = [one / other for one, other in zip(many, few, strict=True)]
    show("loader: many / few planned steps, ms a batch", ratios, "budget <= 1.1")
    show("loader: many / few planned steps, peak memory", [peaks[MANY] / peaks[FEW]], "budget <= 1.1")


def measure(directory: Path) -> tuple[list[float], list[float]]:
    """Milliseconds a batch of few and of many planned steps, in turn."""
    found: dict[int, list[float]] = {FEW: [], MANY: []}
    for repeat in range(REPEATS):
        for steps in (FEW, MANY) if repeat % 2 else (MANY, FEW):
            found[steps].append(milliseconds(steps, directory))
    return found[FEW], found[MANY]


def milliseconds(num_planned: int, directory: Path) -> float:
    """A batch, from a loader that reads ahead and waits for no training."""
    from trainer.data.loader import Loader  # noqa: PLC0415 - after the device is open
    from trainer.data.stage_data import StageData  # noqa: PLC0415

    plan = plan_of(num_planned)
    data = StageData.open(plan, 0, directory, is_builder=True)
    with closing(Loader(data, stage=plan.stages[0], data_rank=0, data_size=1, micro_batch=8)) as loader:
        began = time.perf_counter()
        for step in spread(num_planned):
            for batch in loader.micro_batches(place_of(plan, step)):
                assert batch.tokens.shape == (8, 512)
        return (time.perf_counter() - began) / STEPS * 1e3


def peak_bytes(num_planned: int, directory: Path) -> int:
    """Of Python's and numpy's memory, from opening to the last batch."""
    tracemalloc.start()
    milliseconds(num_planned, directory)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def spread(num_planned: int) -> Sequence[int]:
    """Runs of ten steps from the whole stage."""
    runs = STEPS // 10
    return [1 + run * (num_planned - 10) // (runs - 1) + step for run in range(runs) for step in range(10)]


def plan_of(num_planned: int) -> Plan:
    """One stage of three sources of the standard library."""
    stage = Stage(
        name="one",
        steps=num_planned,
        sequence_length=512,
        batch=32,
        mixture={"main": 0.7, "json": 0.1, "email": 0.2},
        lr=1e-3,
    )
    globs = {"main": "{stdlib}/*.py", "json": "{stdlib}/json/*.py", "email": "{stdlib}/email/*.py"}
    return Plan(
        name="bench",
        seed=1,
        model=ModelPlan(layers=2, hidden=64, heads=4, kv_heads=2, mlp_hidden=128, vocabulary=384),
        optimizer=OptimizerPlan(),
        parallel=ParallelPlan(),
        tokenizer=Tokenizer(),
        sources={name: Source(name=name, text=text) for name, text in globs.items()},
        stages=(stage,),
    )


if __name__ == "__main__":
    main()
