"""The bits of a run, step by step, for comparing two runs exactly. Written by each rank to a file of its own."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """One step, or the end. Floats in hexadecimal: their very bits."""

    rank: int
    step: int
    loss: str = ""
    grad_norm: str = ""
    batch: str = ""
    """Digest of the step's samples over all ranks."""
    weights: str = ""
    optimizer: str = ""
    rng: str = ""


class Trace:
    """Appends lines."""

    def __init__(self, path: Path, rank: int) -> None:
        """Opens a file of this rank beside `path`."""
        self._file = rank_path(path, rank).open("a", encoding="utf-8")

    def add(self, traced: Traced) -> None:
        """One line, at once on its way to disk."""
        self._file.write(json.dumps(asdict(traced)) + "\n")
        self._file.flush()

    def close(self) -> None:
        """No more."""
        self._file.close()


def rank_path(path: Path, rank: int) -> Path:
    """Of one rank."""
    return path.with_name(f"{path.name}.{rank}")


def read_trace(path: Path, num_ranks: int) -> dict[tuple[int, int], Traced]:
    """By (rank, step); of a step that was made twice the later one."""
    found: dict[tuple[int, int], Traced] = {}
    for rank in range(num_ranks):
        for line in rank_path(path, rank).read_text(encoding="utf-8").splitlines():
            traced = Traced(**json.loads(line))
            found[traced.rank, traced.step] = traced
    return found
