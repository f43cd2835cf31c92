"""Records of our own trainer (metrics.jsonl): steps, and the planned events that it declares. Pure.

What concerns a step is written after it: a checkpoint's and an evaluation's seconds are read off the step's own times.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from fryer.replay.points import number
from fryer.replay.words import Item, Reading, SourceLosses
from watchdog.detectors.training.words import Mark, MarkKind, Point

TYPES = frozenset(
    {"run_begins", "stage_begins", "step_done", "checkpoint_changed", "evaluated", "command_ended", "run_ends"}
)
_COLUMNS = {
    "step": "step",
    "tokens": "total_tokens",
    "at_seconds": "at",
    "loss": "loss",
    "grad_norm": "grad_norm",
    "update_norm": "update_norm",
    "tokens_per_second": "tokens_per_second",
    "seconds": "seconds",
}
_SLOW = {"checkpoint": MarkKind.CHECKPOINT, "evaluation": MarkKind.EVAL, "eval": MarkKind.EVAL}
_SLOW_RATIO = 0.02
"""Share of a step from which a checkpoint or an evaluation counts as in it (ours): what less does, no detector sees."""


class TrainerRecords:
    """One file's records, in their order."""

    def __init__(self, reading: Reading) -> None:
        """No run is known at the start."""
        self.reading = reading
        self.run = ""
        self.newest: int | None = None
        self.layout: Mapping[str, Any] | None = None

    def __call__(self, record: Mapping[str, Any]) -> Iterator[Item]:
        """The items of a record. Raises ValueError, TypeError or KeyError for one that is none of ours."""
        kind = record["type"]
        if kind == "run_begins":
            yield from self._begins(record)
        elif kind == "stage_begins":
            yield self.run, Mark(kind=MarkKind.STAGE, start=int(record["step"]))
        elif kind == "step_done":
            yield from self._step(record)

    def _begins(self, record: Mapping[str, Any]) -> Iterator[Item]:
        run, first = str(record["run"]), int(record["from_step"]) + 1
        layout = record.get("layout")
        if run != self.run:
            self.run, self.newest, self.layout = run, None, None
        if self.newest is not None:
            yield run, Mark(kind=MarkKind.RESTART, start=first)
            if first <= self.newest:
                yield run, Mark(kind=MarkKind.OVERLAP, start=first, end=self.newest)
            if layout != self.layout:
                yield run, Mark(kind=MarkKind.LAYOUT, start=first)
        self.layout = layout

    def _step(self, record: Mapping[str, Any]) -> Iterator[Item]:
        step = int(record["step"])
        self.newest = step if self.newest is None else max(step, self.newest)
        values = {name: number(record.get(key)) for name, key in _COLUMNS.items() if name not in ("step", "tokens")}
        times = {name: seconds for name, each in dict(record.get("times") or {}).items() if (seconds := number(each))}
        for name, mark in _SLOW.items():
            if times.get(name, 0.0) > _SLOW_RATIO * (values["seconds"] or 0.0):
                yield self.run, Mark(kind=mark, start=step)
        losses = {name: loss for name, each in dict(record.get("losses") or {}).items() if (loss := number(each))}
        if losses:
            yield self.run, SourceLosses(step=step, losses=losses)
        self.reading.columns |= _COLUMNS
        yield (
            self.run,
            Point(
                step=step,
                tokens=int(record["total_tokens"]) if record.get("total_tokens") else None,
                times=times,
                batch=str(record.get("batch") or ""),
                is_skipped=bool(record.get("skipped") or record.get("vetoed")),
                **values,
            ),
        )
