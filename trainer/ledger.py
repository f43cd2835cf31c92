"""Samples that are not trained on, and why. Pure; part of every checkpoint.

A skipped sample is counted as consumed and a skipped step as done: position, learning rate and data order stay
functions of the step's number alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from trainer.plan.position import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """Samples ``first <= index < end`` of one stage."""

    stage: str
    """Name: stages may be appended to a plan, never renamed."""
    first: int
    end: int
    incident: str
    """Id of the incident, or a person's words."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """All skips, in the order in which they were made."""

    skips: tuple[Skip, ...] = ()

    def add(self, skip: Skip) -> "Ledger":
        """With one more. Raises ValueError for an empty or negative range."""
        if not 0 <= skip.first < skip.end:
            raise ValueError(f"samples {skip.first} to {skip.end} of {skip.stage} are no range")
        return Ledger((*self.skips, skip))

    def covers(self, stage: str, place: Place) -> Skip | None:
        """The skip that touches the samples of a step: then the whole step is skipped."""
        end = place.first_sample + place.num_samples
        for skip in self.skips:
            if skip.stage == stage and skip.first < end and place.first_sample < skip.end:
                return skip
        return None

    def to_json(self) -> list[dict[str, object]]:
        """For a checkpoint's manifest."""
        return [asdict(skip) for skip in self.skips]


def ledger_from_json(rows: Iterable[Mapping[str, object]]) -> Ledger:
    """What `Ledger.to_json` made. Raises KeyError, ValueError or TypeError for anything else."""
    return Ledger(tuple(_skip(row) for row in rows))


def _skip(row: Mapping[str, object]) -> Skip:
    first, end = row["first"], row["end"]
    if not (isinstance(first, int) and isinstance(end, int)):
        raise TypeError(f"a skip needs whole numbers, not {first!r} and {end!r}")
    return Skip(stage=str(row["stage"]), first=first, end=end, incident=str(row["incident"]))


def merged(ledgers: Sequence[Ledger]) -> Ledger:
    """Of several ledgers of one run: every skip once, in order of appearance."""
    return Ledger(tuple(dict.fromkeys(skip for ledger in ledgers for skip in ledger.skips)))
