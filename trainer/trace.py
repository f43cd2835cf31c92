"""The bits of a run, step by step, for comparing two runs exactly. Written by each rank to a file of its own."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trainer.metrics.record import StepDone
from trainer.model.built import Built


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """One step, or the end. Floats in hexadecimal: their very bits."""

    rank: int
    step: int
    loss: str = ""
    grad_norm: str = ""
    batch: str = ""
    """Digest of the step's samples over all ranks."""
    rng: str = ""
    weights: str = ""
    optimizer: str = ""


class Tracer:
    """Appends lines."""

    def __init__(self, path: Path, rank: int) -> None:
        """Opens a file of this rank beside `path`."""
        self._rank = rank
        self._file = rank_path(path, rank).open("a", encoding="utf-8", buffering=1)
        self._step = Traced(rank=rank, step=0)

    def step(self, done: StepDone, rng: Mapping[str, Any]) -> None:
        """What a step gave, and the generators after it."""
        from trainer.model.state import rng_digest  # noqa: PLC0415 - Megatron: after the device is open

        self._write(
            Traced(
                rank=self._rank,
                step=done.step,
                loss="" if done.loss is None else done.loss.hex(),
                grad_norm="" if done.grad_norm is None else done.grad_norm.hex(),
                batch=done.batch,
                rng=rng_digest(rng),
            )
        )

    def end(self, step: int, built: Built, rng: Mapping[str, Any]) -> None:
        """The whole state after the last step; on that step's line when it is read."""
        from trainer.model.state import digests  # noqa: PLC0415

        found = digests(built, rng)
        self._write(Traced(rank=self._rank, step=step, rng=found.rng, weights=found.weights, optimizer=found.optimizer))
        self._file.close()

    def _write(self, traced: Traced) -> None:
        self._file.write(json.dumps(asdict(traced)) + "\n")


def rank_path(path: Path, rank: int) -> Path:
    """Of one rank."""
    return path.with_name(f"{path.name}.{rank}")


def read_trace(path: Path, num_ranks: int) -> dict[tuple[int, int], Traced]:
    """By (rank, step); of a step that was made twice the later one, with what the end says of the last."""
    found: dict[tuple[int, int], Traced] = {}
    for rank in range(num_ranks):
        for line in rank_path(path, rank).read_text(encoding="utf-8").splitlines():
            new = json.loads(line)
            old = found.get((rank, new["step"]))
            if old is not None and new["weights"]:
                new = asdict(old) | {key: value for key, value in new.items() if value}
            found[rank, new["step"]] = Traced(**new)
    return found
