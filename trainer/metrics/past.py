"""What a run's metrics say of steps that were made before. Pure, but for `read_past`."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.metrics.jsonl import read_records

TAIL_BYTES = 64 << 20
"""Of metrics.jsonl, read at a start: more than 100,000 steps, in about a second, however long the run is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What one step came to: enough to tell whether it comes to the same again."""

    loss: float | None = None
    """None where its samples were skipped."""
    batch: str = ""
    """Digest of the samples, equal for any number of ranks."""
    is_updated: bool = True
    """False where it was skipped or vetoed."""
    way: str = ""
    """`way_of` the attempt that made it; empty: not known."""

    def is_same(self, other: "Made") -> bool:
        """Equal to the bit, whichever way it was made; NaN is equal to NaN."""
        # texts of floats are exact, and the same for each NaN
        return (str(self.loss), self.batch, self.is_updated) == (str(other.loss), other.batch, other.is_updated)


def past_of(records: Iterable[Mapping[str, Any]]) -> dict[int, Made]:
    """By step, of the last time that it was made.

    What came after a step that was later made otherwise belongs to a past that is no more, and is left out: after a
    rollback, the steps behind the range that is now skipped had other weights before them. So do the steps that an
    attempt by an edited plan makes anew.
    """
    found: dict[int, Made] = {}
    way = plan_hash = ""
    for record in records:
        if record["type"] == "run_begins":
            if record["plan_hash"] != plan_hash:
                found = _up_to(found, record["from_step"])
            way, plan_hash = way_of(record["layout"], record["versions"]), record["plan_hash"]
        elif record["type"] == "step_done":
            step, made = _read(record, way)
            before = found.get(step)
            if before is not None and not before.is_same(made):
                found = _up_to(found, step)
            found[step] = made
    return found


def way_of(layout: Mapping[str, Any], versions: Mapping[str, str]) -> str:
    """How an attempt computes: equal for two where each step must come to the same bits."""
    return json.dumps([layout, versions], sort_keys=True)


def read_past(path: Path) -> dict[int, Made]:
    """Of the end of a metrics.jsonl; empty where there is none. Raises OSError where it can't be read."""
    return past_of(read_records(path, most_bytes=TAIL_BYTES))


def _up_to(found: Mapping[int, Made], step: int) -> dict[int, Made]:
    return {each: made for each, made in found.items() if each <= step}


def _read(record: Mapping[str, Any], way: str) -> tuple[int, Made]:
    loss = record.get("loss")
    made = Made(
        loss=None if loss is None else float(loss),
        batch=str(record.get("batch", "")),
        is_updated=not record.get("skipped") and not record.get("vetoed"),
        way=way,
    )
    return int(record["step"]), made
