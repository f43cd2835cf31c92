"""What the training detectors are told, and what they conclude. Plain words: nothing here judges.

A series is one run's row of steps, in the order in which they were trained. Everything is counted in the series' own
unit of progress, called `step` throughout: the optimizer step, or tokens where a log has no steps. Steps may have gaps
(logs are thinned), come twice (a restart trains some again) and go back; nothing here forbids that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeAlias

from watchdog.vocabulary.findings import Severity

Kind: TypeAlias = Literal[
    "nonfinite", "spike", "divergence", "noise", "offset", "drop", "shift", "drift", "straggler", "hang"
]

KINDS: tuple[Kind, ...] = (
    "nonfinite",
    "spike",
    "divergence",
    "noise",
    "offset",
    "drop",
    "shift",
    "drift",
    "straggler",
    "hang",
)
"""Every kind of finding: a word for scripts, stable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One step of one series. What was not logged is None, never 0; what was logged may be NaN or infinite."""

    step: int
    """Progress: the step, or tokens where the series has no steps."""
    tokens: int | None = None
    """Trained so far, this step included."""
    at_seconds: float | None = None
    """End of the step, Unix seconds."""
    loss: float | None = None
    grad_norm: float | None = None
    """Global norm before clipping."""
    update_norm: float | None = None
    """Norm of what the optimizer added to the weights."""
    loss_scale: float | None = None
    """Of a gradient scaler (fp16)."""
    tokens_per_second: float | None = None
    seconds: float | None = None
    """Wall time of the step."""
    times: Mapping[str, float] = field(default_factory=dict)
    """Seconds by phase: ``data forward backward communication optimizer checkpoint eval gc``."""
    batch: str = ""
    """What was trained on: for telling data from hardware."""
    is_skipped: bool = False
    """The trainer did not apply this step's update."""


class MarkKind(StrEnum):
    """Planned events. What each does to the detectors is in docs/training-detectors.md."""

    STAGE = "stage"
    """Another mixture, sequence length or optimizer: the level of loss and of throughput may move at once."""
    DECAY = "decay"
    """The learning rate's decay starts: the loss falls faster, and its noise shrinks."""
    RESTART = "restart"
    """First step of a new process: slow, and its throughput says nothing."""
    OVERLAP = "overlap"
    """From `start` to `end` is trained again after a restart or rollback: same losses as before are no event."""
    LAYOUT = "layout"
    """Another world size, batch size or parallel layout: throughput finds a new level; the loss goes on."""
    CHECKPOINT = "checkpoint"
    """A checkpoint was written in these steps: their throughput is not judged."""
    EVAL = "eval"
    """An evaluation ran in these steps: their throughput is not judged."""
    PAUSE = "pause"
    """Slow for any other planned reason: throughput is not judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A planned event that the trainer declared, at the latest together with the first step that it concerns."""

    kind: MarkKind
    start: int
    """First step that it concerns, in the series' unit of progress."""
    end: int | None = None
    """Last step that it concerns; None: `start` alone."""

    @property
    def last(self) -> int:
        """The last step that it concerns."""
        return self.start if self.end is None else self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingFinding:
    """One event of a series: told when it opens, when it gets graver or changes its shape, and when it ends.

    All tellings of one event have the same `key`; the newest replaces the older.
    """

    kind: Kind
    metric: str
    """Field of `Point` that showed it: ``loss grad_norm update_norm loss_scale tokens_per_second seconds``."""
    shape: str
    """The class within the kind, printed as ``class``: of a spike ``one_step plateau not_recovering`` ..."""
    start: int
    """First step that is out of order."""
    end: int | None
    """Last step that is out of order; None while it lasts, also where the series ends in it."""
    onset: int
    """First sign of it: at most `start`. A rollback goes to before this step."""
    last: int
    """Newest step that was seen of it: `end`, or where the series stands."""
    severity: Severity
    message: str
    """One sentence with the figures."""
    evidence: Mapping[str, object] = field(default_factory=dict)
    """The figures behind it, JSON-ready: finite numbers, strings, lists."""
    subject: str = ""
    """What of the run it is about, where that is not all of it: ``rank 3``."""

    @property
    def key(self) -> tuple[str, str, int]:
        """Findings with equal keys are one event; its `metric` is whichever shows it best by now. A spike that goes on
        rising turns out to be a divergence, and stays the same event."""
        return ("spike" if self.kind == "divergence" else self.kind, self.subject, self.start)

    @property
    def is_open(self) -> bool:
        """It lasts."""
        return self.end is None


@dataclass(frozen=True, slots=True, kw_only=True)
class RankPoint:
    """One step of one rank, for finding who is slow and who is missing."""

    rank: int
    step: int
    at_seconds: float
    """When it said so, Unix seconds."""
    seconds: float | None = None
    """Wall time of the step: in a synchronous run alike on all ranks, whoever is slow."""
    work_seconds: float | None = None
    """From leaving the step before to arriving at this step's gradient exchange, on the rank's own clock: arrival skew
    without the skew of clocks. Where it is absent, `seconds` less the communication is taken."""
    times: Mapping[str, float] = field(default_factory=dict)
    """Seconds by phase, as in `Point`."""
    open_section: str = ""
    """Phase that it is in since `at_seconds`, where the step is not over."""
    is_done: bool = True
    """The step is over; False: a sign of life within it."""
