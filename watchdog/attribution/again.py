"""Whether events came again at the same steps of another launch: the strongest single test that there is.

The same step sees the same data and runs the same code. What comes again there is of data or software; what does not
is of the model's state or of hardware. SmolLM3: 15 of 16 drops of one launch were within 3 steps of another's, which
named the data loader at once (playbook 2.2); 89 of 91 spikes of a 1B model came again in a second run (3.3).
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from typing import Literal, TypeAlias

from watchdog.detectors.training.words import TrainingFinding

Answer: TypeAlias = Literal["again", "not_again", "unclear"]

TOLERANCE_POINTS = 3
"""Logged points by which an event may be off (playbook 2.2: "within 3 steps")."""
LEVEL_POINTS = 16
"""The same for a change of level, whose begin no detector knows to the step (ours)."""
CHANCE = 0.02
"""As many coincidences by chance must be rarer than this: one in a rewind of a hundred steps is (ours)."""
MOST = 0.5
"""Share of a launch's events from which all of them have one cause (ours; the cases above have 0.94 and 0.98)."""

_FAMILIES = {"divergence": "spike"}
"""A spike that goes on rising is a divergence: the same event."""
_LEVELS = frozenset({"shift", "drift", "noise", "offset"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One stretch of training without a rewind: a process, or the part of it until it was rewound."""

    run: str
    """Launches of one run are rewinds of each other: one trains steps of the other again, from a checkpoint."""
    name: str
    """As people are told of it."""
    first: int
    """First step of it, in the run's unit of progress."""
    last: int
    num_points: int
    findings: Sequence[TrainingFinding]
    is_by_tokens: bool = False
    """The unit is tokens."""
    metrics: frozenset[str] = frozenset()
    """Fields of `Point` that it logged."""

    @property
    def spacing(self) -> float:
        """Progress from one logged point to the next, on average."""
        return max(1.0, (self.last - self.first) / max(1, self.num_points - 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """What another launch says of one event."""

    other: str
    """Name of the other launch."""
    answer: Answer
    hits: int
    """Of the events of this kind that both could have seen, so many came again."""
    total: int
    chance: float
    """Probability of as many coincidences if the other's events came at random steps."""
    num_others: int = 0
    """Events of this kind that the other had in the steps of both."""
    is_rewind: bool = False
    """The other is the same run, which trained these steps again."""
    at: int | None = None
    """Step at which this very event came again."""
    steps: tuple[int, int] = (0, 0)
    """First and last step of the event."""


class Comparison:
    """What one launch says of the events of another. What is alike for all events of a kind is counted once."""

    def __init__(self, own: Launch, other: Launch) -> None:
        """`own` has the events, `other` is asked."""
        self.own, self.other = own, other
        self._counts: dict[tuple[str, str], _Count] = {}

    def of(self, finding: TrainingFinding) -> Again | None:
        """Whether `finding` came again; None where `other` can't say: other steps, another unit, other metrics."""
        if self.own.is_by_tokens != self.other.is_by_tokens or not _is_seen(finding, self.other):
            return None
        count = self._count(finding)
        at = count.windows.at(finding)
        return Again(
            other=self.other.name,
            answer=_answer(count.hits, count.total, count.chance, is_hit=at is not None),
            hits=count.hits,
            total=count.total,
            chance=count.chance,
            num_others=count.num_others,
            is_rewind=self.own.run == self.other.run,
            at=at,
            steps=(finding.start, finding.last),
        )

    def _count(self, finding: TrainingFinding) -> "_Count":
        key = (family_of(finding), finding.metric)
        if key not in self._counts:
            self._counts[key] = _count(key[0], self.own, self.other)
        return self._counts[key]


@dataclass(frozen=True, slots=True)
class _Count:
    """Of all events of a family that both launches could have seen."""

    hits: int
    total: int
    chance: float
    num_others: int
    windows: "_Windows"


def _count(family: str, own: Launch, other: Launch) -> _Count:
    mine = [each for each in own.findings if family_of(each) == family and _is_seen(each, other)]
    theirs = [each for each in other.findings if family_of(each) == family]
    within = (max(own.first, other.first), min(own.last, other.last))
    slack = _slack(family, own, other)
    most = 0 if family in _LEVELS else 2 * slack
    chances = []
    # Twice: of few events exact hits say more than near ones, of many thinned ones the reverse.
    for windows in (_Windows(theirs, 0, most), _Windows(theirs, slack, most)):
        hits = sum(windows.at(each) is not None for each in mine)
        chances.append(_tail(len(mine), hits, _coverage(mine, windows, within)))
    chance = min(1.0, len(chances) * min(chances))
    return _Count(hits, len(mine), chance, sum(_is_seen(each, own) for each in theirs), windows)


def _answer(hits: int, total: int, chance: float, *, is_hit: bool) -> Answer:
    is_beyond_chance = hits > 0 and chance < CHANCE
    if is_beyond_chance and (is_hit or hits >= MOST * total):
        return "again"
    # One of a few that comes again may be chance, and may be not.
    return "unclear" if is_hit else "not_again"


def family_of(finding: TrainingFinding) -> str:
    """Kinds that are one event in another shape have one family."""
    return _FAMILIES.get(finding.kind, finding.kind)


def _is_seen(finding: TrainingFinding, launch: Launch) -> bool:
    """Whether a launch trained the steps of an event and logged what showed it."""
    return launch.first <= finding.start <= launch.last and finding.metric in launch.metrics


def _slack(family: str, own: Launch, other: Launch) -> int:
    points = LEVEL_POINTS if family in _LEVELS else TOLERANCE_POINTS
    return round(points * max(own.spacing, other.spacing))


class _Windows:
    """The steps of another launch's events, widened on both sides and merged."""

    def __init__(self, findings: Sequence[TrainingFinding], slack: int, most: int) -> None:
        self.most = most
        spans = sorted((each.start - slack, self.last(each) + slack) for each in findings)
        self.spans: list[tuple[int, int]] = []
        for first, last in spans:
            if self.spans and first <= self.spans[-1][1]:
                self.spans[-1] = (self.spans[-1][0], max(last, self.spans[-1][1]))
            else:
                self.spans.append((first, last))
        self.starts = sorted(each.start for each in findings)
        self.ends = [last for _, last in self.spans]

    def last(self, finding: TrainingFinding) -> int:
        """End of what is compared of an event: its begin, for one that lasts meets everything some time."""
        return min(finding.last, finding.start + self.most)

    def at(self, finding: TrainingFinding) -> int | None:
        """Where an event came again; None where it did not."""
        last = self.last(finding)
        index = bisect_left(self.ends, finding.start)
        if index == len(self.spans) or self.spans[index][0] > last:
            return None
        place = bisect_left(self.starts, finding.start)
        near = self.starts[max(0, place - 1) : place + 1]
        return min(near, key=lambda start: abs(start - finding.start))


def _coverage(mine: Sequence[TrainingFinding], windows: _Windows, within: tuple[int, int]) -> float:
    """Probability that an event of this launch's usual length meets a window by chance."""
    first, last = within
    lengths = sorted(windows.last(each) - each.start for each in mine)
    usual = lengths[len(lengths) // 2] if lengths else 0
    covered = sum(
        max(0, min(end, last) - max(begin - usual, first) + 1)
        for begin, end in windows.spans
        if end >= first and begin <= last
    )
    return min(1.0, covered / max(1, last - first + 1))


def _tail(total: int, hits: int, share: float) -> float:
    """Probability of `hits` or more of `total`, each by chance with `share`."""
    if share <= 0.0 or share >= 1.0:
        return 1.0 if hits == 0 or share >= 1.0 else 0.0
    return min(1.0, sum(comb(total, k) * share**k * (1 - share) ** (total - k) for k in range(hits, total + 1)))
