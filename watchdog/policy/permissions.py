"""`[watchdog.policy]`: which actions are carried out, how often, and when nothing is."""

from dataclasses import dataclass, field, fields

from watchdog.vocabulary.errors import nearest
from watchdog.vocabulary.signals import Action

GUARDED = (Action.EXCLUDE, Action.DRAIN, Action.STOP)
"""Only watched until the settings open them: they take a node or a run away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyCaps:
    """Most incidents a day that may ask for an action; more are recorded, and left to people. Our own choice."""

    veto: int = 100
    save: int = 24
    rollback: int = 6
    exclude: int = 2
    drain: int = 2
    stop: int = 1

    def __post_init__(self) -> None:
        """Bounds."""
        for member in fields(self):
            if getattr(self, member.name) < 0:
                raise ValueError(f"{member.name} is {getattr(self, member.name)}; allowed: 0 and more")

    def of(self, action: Action) -> int:
        """The cap of an action."""
        return int(getattr(self, action.value))


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySettings:
    """`[watchdog.policy]`. Numbers without a source are our own choice."""

    allow: tuple[str, ...] = ()
    """What is carried out of exclude, drain and stop: ``drain``, or for one fault only ``drain:xid_79``. The rest is
    shown and logged as what would have been done."""
    caps: DailyCaps = field(default_factory=DailyCaps)
    breaker_ratio: float = 0.5
    """When so much of the fleet is bad at once, nothing is done: then it is the monitor, the fabric or the power, not
    the nodes (NVSentinel's breaker: half of the GPU nodes)."""
    save_expires_seconds: float = 3600.0
    guarded_expires_seconds: float = 1800.0
    """Of exclude, drain and stop."""
    save_within_steps: int = 1000
    """A request to save is void once the run is so many steps further: it has saved by itself; 0: never."""

    def __post_init__(self) -> None:
        """Bounds, and names that are known."""
        for entry in self.allow:
            action, known = entry.partition(":")[0], [one.value for one in GUARDED]
            if action not in known:
                raise ValueError(f"allow has {entry!r}; allowed: ACTION or ACTION:CODE{nearest(action, known)}")
        if not 0 < self.breaker_ratio <= 1:
            raise ValueError(f"breaker_ratio is {self.breaker_ratio:g}; allowed: above 0, to 1")
        for name in ("save_expires_seconds", "guarded_expires_seconds"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name):g}; allowed: above 0")
        if self.save_within_steps < 0:
            raise ValueError(f"save_within_steps is {self.save_within_steps}; allowed: 0 and more")

    def is_allowed(self, action: Action, code: str) -> bool:
        """Whether `action` is carried out for an incident whose root has `code`."""
        return action not in GUARDED or action.value in self.allow or f"{action.value}:{code}" in self.allow
