"""Series about the training runs on this node. A run that ended has none: its name would stay for ever."""

from collections.abc import Iterator, Mapping

from watchdog.exporter.metrics import Point
from watchdog.state import RunState, State

VALUES: Mapping[str, str] = {
    "step_seconds": "run_step_seconds",
    "tokens_per_second": "run_tokens_per_second",
    "loss": "run_loss",
    "grad_norm": "run_grad_norm",
    "lr": "run_learning_rate",
}
"""What a run reports with a step -> family. A NaN is kept: here it is the message."""


def run_points(state: State) -> Iterator[Point]:
    """Everything about runs that go on."""
    for run in state.runs:
        if run.ended_at is None:
            yield from _run(run)


def _run(run: RunState) -> Iterator[Point]:
    who = (run.run,)
    yield Point("fryer_run_info", (run.run, run.stage), 1)
    yield Point("fryer_run_ranks", who, len(run.ranks))
    yield Point("fryer_run_begun_timestamp_seconds", who, run.begun_at)
    if run.world_size:
        yield Point("fryer_run_world_size", who, run.world_size)
    if run.step is not None:
        yield Point("fryer_run_step", who, run.step)
    if run.step_at is not None:
        yield Point("fryer_run_last_step_timestamp_seconds", who, run.step_at)
    for name, family in VALUES.items():
        if name in run.values:
            yield Point(f"fryer_{family}", who, run.values[name])
    for checkpoint in run.checkpoints:
        step = checkpoint.get("step")
        if isinstance(step, int):
            yield Point("fryer_run_checkpoint_step", (run.run, str(checkpoint.get("state", ""))), step)
