"""What the daemon asks of a training run. At most one at a time."""

from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """Gravest last."""

    NONE = "none"
    VETO = "veto"
    SAVE = "save"
    ROLLBACK = "rollback"
    EXCLUDE = "exclude"
    DRAIN = "drain"
    STOP = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One request to a run, with what makes it void."""

    id: str
    """UUID; acknowledged by it."""
    action: Action
    reason: str
    """One sentence."""
    confidence: float
    """0 to 1."""
    created_at: float
    expires_at: float
    """Unix seconds. A signal past this is not acted on."""
    run: str = ""
    """The run that it is for; empty: whatever runs on this node."""
    not_after_step: int | None = None
    """Precondition: void once the run is past this step."""
    incident: str | None = None
    """Id of the incident that it answers."""
    is_observed_only: bool = False
    """What the policy would have asked, in observe-only mode: shown and logged, never acted on."""
