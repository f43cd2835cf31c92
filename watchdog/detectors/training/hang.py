"""A run that makes no step: for how long, in which section the ranks are, and which of them are missing.

It is told long before NCCL gives up after 10 minutes, or never does, as BLOOM's did not in 3 hours.
"""

from collections import Counter
from dataclasses import dataclass
from math import inf, isfinite

from watchdog.detectors.training.kept import Kept
from watchdog.detectors.training.window import RobustWindow
from watchdog.detectors.training.words import RankPoint, TrainingFinding
from watchdog.vocabulary.findings import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Thresholds, in seconds without a step of any rank."""

    steps: float = 5.0
    """So many median steps (NVRx: safety factor 5)."""
    least_seconds: float = 30.0
    """And at least so long: short steps stop for a moment for many reasons (ours)."""
    most_seconds: float = 300.0
    """But no longer, where steps take minutes: half of NCCL's 10 (PyTorch's process group). Two steps at least."""
    slow_seconds: float = 420.0
    """While a rank is in a section of `slow_sections` (NVRx's example for a checkpoint)."""
    slow_sections: tuple[str, ...] = ("checkpoint", "eval")
    """Sections that take as long as they take (the names of the client)."""
    first_seconds: float = 1200.0
    """Until the first step: compilation, and loading from slow storage (ours; DLRover allows 120 minutes)."""
    num_named: int = 16
    """Missing ranks that are named."""


class Hang(Kept):
    """The detector. `observe` takes what ranks say; `look` judges at a moment that the caller names."""

    KEPT = ("steps", "sections", "newest_step", "newest_at", "first_at", "seconds", "start", "since")

    def __init__(self, limits: Limits) -> None:
        """Nothing is known at the start."""
        self.limits = limits
        self.steps: dict[str, int] = {}
        """Last step that each rank finished."""
        self.sections: dict[str, str] = {}
        """Where each rank is."""
        self.newest_step: int | None = None
        self.newest_at: float | None = None
        self.first_at: float | None = None
        self.seconds = RobustWindow(64)
        self.start: int | None = None
        self.since = 0.0

    def observe(self, point: RankPoint) -> list[TrainingFinding]:
        """Take a rank's word; a new step ends a hang."""
        if not isfinite(point.at_seconds):
            return []
        name = str(point.rank)
        self.sections[name] = point.open_section
        if self.first_at is None:
            self.first_at = point.at_seconds
        if not point.is_done:
            self.steps.setdefault(name, point.step - 1)
            return []
        self.steps[name] = point.step
        if self.newest_step is not None and point.step <= self.newest_step:
            # After a rewind the steps count from lower: the newest word is the newest step.
            if self.newest_step - point.step > 1:
                self.newest_step = point.step
            return []
        took = point.seconds
        if took is None and self.newest_at is not None:
            took = point.at_seconds - self.newest_at
        if took is not None and 0 < took < 1e9 and self.start is None:
            self.seconds.add(took)
        self.newest_step, self.newest_at = point.step, point.at_seconds
        if self.start is None:
            return []
        over = self._finding(point.at_seconds, self.start)
        self.start = None
        return [over]

    def look(self, now_seconds: float) -> list[TrainingFinding]:
        """What is to be told at `now_seconds` (Unix): once as it opens."""
        begun = self.newest_at if self.newest_at is not None else self.first_at
        if self.start is not None or begun is None or not self.limit_seconds < now_seconds - begun < inf:
            return []
        self.start, self.since = (self.newest_step or 0) + 1, begun
        return [self._finding(now_seconds, None)]

    def finish(self) -> list[TrainingFinding]:
        """What lasts."""
        return [self._finding(self.since, None)] if self.start is not None else []

    @property
    def limit_seconds(self) -> float:
        """How long no step may end, as things are."""
        limits, usual = self.limits, self.seconds.median
        if not len(self.seconds):
            return limits.first_seconds
        limit = max(limits.least_seconds, min(limits.steps * usual, limits.most_seconds), 2 * usual)
        is_slow = any(section in limits.slow_sections for section in self.sections.values())
        return max(limit, limits.slow_seconds) if is_slow else limit

    def missing(self) -> list[int]:
        """Ranks that the others wait for: those a step behind; else those that are not where most are."""
        furthest = max(self.steps.values(), default=0)
        behind = [int(rank) for rank, step in self.steps.items() if step < furthest]
        if behind:
            return sorted(behind)
        counts = Counter(self.sections.values())
        most = max(counts, key=lambda section: (counts[section], section), default="")
        if counts[most] * 2 <= len(self.sections):
            return []
        return sorted(int(rank) for rank, section in self.sections.items() if section != most)

    def _finding(self, now: float, end: int | None) -> TrainingFinding:
        assert self.start is not None
        missing = self.missing() if end is None else []
        sections = dict(sorted(Counter(self.sections.values()).items()))
        seconds = now - self.since
        named = ", ".join(map(str, missing[: self.limits.num_named]))
        who = f"; waiting for rank{'s' * (len(missing) > 1)} {named}" if missing else ""
        where = max(sections, key=lambda name: (sections[name], name), default="")
        at = f" in {where}" if where else ""
        took = f"no step for {seconds:.0f} s after step {self.start - 1}, a step takes {self.seconds.median:.3g} s"
        return TrainingFinding(
            kind="hang",
            metric="seconds",
            shape="ranks_missing" if missing else "all_waiting",
            start=self.start,
            end=end,
            onset=self.start,
            last=self.start,
            severity=Severity.FAIL,
            message=f"{took}: most ranks are{at or ' between sections'}{who}",
            evidence={
                "seconds": seconds,
                "usual_seconds": self.seconds.median,
                "missing_ranks": missing[: self.limits.num_named],
                "num_missing": len(missing),
                "num_ranks": len(self.steps),
                "sections": sections,
            },
        )
