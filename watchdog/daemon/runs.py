"""What training runs say of themselves, as state for people and as rows for detectors. Pure but for its dictionary."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

from watchdog.service import Ack, Checkpoint, RunBegin, RunEnd, RunRecord, Step
from watchdog.state import RunState
from watchdog.vocabulary.samples import Row
from watchdog.vocabulary.subjects import Subject

MOST_CHECKPOINTS = 20
MOST_RUNS = 32
"""Runs remembered in memory; older ones are in the store."""
MOST_RANKS = 64
"""Ranks of one run on this node that are looked at; more are kept, and not judged one by one."""
_VALUES = ("loss", "grad_norm", "lr")
_SECTIONS = (
    "data",
    "forward",
    "backward",
    "forward_backward",
    "communication",
    "optimizer",
    "checkpoint",
    "eval",
    "gc",
)
"""Sections that detectors know. Others count together: names that anybody may make up must not fill the memory."""


class Runs:
    """The runs of this node."""

    def __init__(self, node: str) -> None:
        """None has said anything yet."""
        self._node = node
        self._runs: dict[str, RunState] = {}

    @property
    def states(self) -> tuple[RunState, ...]:
        """Newest first."""
        return tuple(sorted(self._runs.values(), key=lambda run: run.begun_at, reverse=True))

    def take(self, records: Sequence[RunRecord]) -> list[Row]:
        """Bring the states up to date; returns the rows that detectors are to see."""
        rows: list[Row] = []
        for record in records:
            before = self._runs.get(record.run) or RunState(run=record.run, begun_at=record.at, ranks=(record.rank,))
            self._runs[record.run] = _next(before, record)
            if isinstance(record, Step):
                rows += self._rows(record)
        while len(self._runs) > MOST_RUNS:
            del self._runs[min(self._runs, key=lambda run: self._runs[run].begun_at)]
        return rows

    def _rows(self, step: Step) -> list[Row]:
        values = step_values(step)
        if step.rank not in self._runs[step.run].ranks[:MOST_RANKS]:
            return [Row(subject=Subject(self._node, "run", step.run), at=step.at, values=values)]
        rank = Subject(self._node, "rank", f"{step.run}:{step.rank}")
        return [
            Row(subject=Subject(self._node, "run", step.run), at=step.at, values=values),
            Row(subject=rank, at=step.at, values={**values, **_sections(step)}),
        ]


def step_values(step: Step) -> dict[str, float]:
    """A step's figures by metric name; what it does not give is absent."""
    values: dict[str, float] = {"step": float(step.step)}
    for name in _VALUES:
        value = getattr(step, name)
        if value is not None:
            values[name] = value
    if step.seconds is not None:
        values["step_seconds"] = step.seconds
        if step.tokens is not None and step.seconds > 0:
            values["tokens_per_second"] = step.tokens / step.seconds
    return values


def _sections(step: Step) -> Mapping[str, float]:
    known = {f"{name}_seconds": step.times[name] for name in _SECTIONS if name in step.times}
    other = [seconds for name, seconds in step.times.items() if name not in _SECTIONS]
    return {**known, "other_seconds": sum(other)} if other else known


def _next(run: RunState, record: RunRecord) -> RunState:
    match record:
        case RunBegin():
            ranks = tuple(sorted({*run.ranks, record.rank}))
            return replace(
                run,
                stage=record.stage or run.stage,
                world_size=record.world_size,
                ranks=ranks,
                ended_at=None,
                end_reason="",
                step=record.resume_step or None if run.step_at is None or record.at > run.step_at else run.step,
            )
        case Step():
            if record.rank != min(run.ranks) or (run.step_at is not None and record.at < run.step_at):
                return run  # one rank speaks for the run; a lower step that is newer is a rollback
            return replace(run, step=record.step, step_at=record.at, values=step_values(record))
        case Checkpoint():
            return replace(run, checkpoints=(*run.checkpoints, asdict(record))[-MOST_CHECKPOINTS:])
        case RunEnd():
            return replace(run, ended_at=record.at, end_reason=record.reason)
        case Ack():
            return run
