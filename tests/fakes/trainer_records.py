"""Records of a training, to be changed by tests, and a sink that keeps them."""

from dataclasses import replace
from typing import Any

from trainer.metrics.record import CheckpointChanged, Record, RunBegins, RunEnds, StageBegins, StepDone

BEGUN = RunBegins(run="r-1", attempt=2, at=1000.0, plan_hash="abc", from_step=4, num_parameters=1234)
STAGE = StageBegins(
    at=1001.0, step=5, stage="main", sequence_length=32, batch=8, rope_theta=5e4, mixture={"code": 0.5, "text": 0.5}
)
STEP = StepDone(
    at=1002.0,
    step=5,
    stage="main",
    loss=2.5,
    losses={"code": 2.0, "text": 3.0},
    grad_norm=0.41,
    update_norm=0.01,
    lr=2e-4,
    tokens=256,
    total_tokens=1280,
    seconds=0.5,
    tokens_per_second=512.0,
    mfu=0.312,
    times={"data": 0.125, "forward_backward": 0.25, "other": 0.125},
    batch="00000000000000aa",
)
SAVED = CheckpointChanged(
    at=1003.0, step=5, state="complete", tier="durable", path="/run/checkpoints/step_5", seconds=1.5, num_bytes=10
)
ENDED = RunEnds(at=1004.0, step=5, reason="done", code=0)


def step(number: int, **changes: Any) -> StepDone:
    """`STEP` of another number."""
    return replace(STEP, step=number, **changes)


class Kept:
    """A sink in memory, which fails while `error` is set."""

    name = "the fake"

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.error: OSError | None = None
        self.is_closed = False

    def write(self, record: Record) -> None:
        if self.error is not None:
            raise self.error
        self.records.append(record)

    def close(self) -> None:
        self.is_closed = True
        if self.error is not None:
            raise self.error
