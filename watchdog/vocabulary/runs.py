"""What a training run says of itself: one record a call of its client. Times are Unix seconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class RunBegin:
    """A rank says that it trains."""

    run: str
    rank: int
    world_size: int
    at: float
    stage: str = ""
    resume_step: int = 0
    pid: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of one rank."""

    run: str
    rank: int
    step: int
    at: float
    seconds: float | None = None
    tokens: int | None = None
    loss: float | None = None
    """May be NaN or infinite: that is for detectors to judge. JSON carries it as the strings "NaN", "Infinity"."""
    grad_norm: float | None = None
    lr: float | None = None
    times: Mapping[str, float] = field(default_factory=dict)
    """Seconds by section: ``data forward backward communication optimizer checkpoint eval gc``; ``forward_backward``
    where pipelines mix the two."""
    batch_id: str = ""
    open_section: str = ""
    """Section that the rank is in, for finding a hang."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A checkpoint changed its state: ``writing complete verified good suspect bad``."""

    run: str
    rank: int
    step: int
    at: float
    path: str
    state: str
    seconds: float | None = None
    num_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """A run says what it did with a signal."""

    run: str
    rank: int
    signal_id: str
    at: float
    result: str
    """``acting done refused expired``."""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnd:
    """A rank says that it is over."""

    run: str
    rank: int
    at: float
    reason: str = ""


RunRecord = RunBegin | Step | Checkpoint | Ack | RunEnd
