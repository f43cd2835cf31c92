"""The working copy of a book during one update. It lives within one call; nothing outside this package sees it."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from watchdog.incidents.book import Book, Case, Change, ChangeKind, IncidentLimits, Past, Streak, Tally
from watchdog.incidents.links import links, nearness, precedence
from watchdog.vocabulary.incidents import Incident, IncidentState


@dataclass(slots=True)
class Desk:
    """Mutable; the pieces in it are frozen, and are replaced whole."""

    limits: IncidentLimits
    tallies: dict[str, Tally]
    cases: dict[str, Case]
    recent: list[Incident]
    streaks: dict[str, Streak]
    muted: dict[str, float]
    memory: dict[str, tuple[Past, ...]]
    num_unclaimed: int
    changes: list[Change] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)
    """Keys of tallies that an event was added to."""

    def fold(self) -> Book:
        """The book as it is now."""
        return Book(
            tallies=self.tallies,
            cases=self.cases,
            recent=tuple(self.recent),
            streaks=self.streaks,
            muted=self.muted,
            memory=self.memory,
            num_unclaimed=self.num_unclaimed,
        )

    def say(self, kind: ChangeKind, incident: Incident) -> None:
        """Note a change."""
        self.changes.append(Change(kind=kind, incident=incident))

    def join(self, key: str) -> None:
        """Find the cause of a new tally, and the tallies that it is a better cause of. Linear in the tallies."""
        tally, window = self.tallies[key], self.limits.window_seconds
        others = [other for other in self.tallies.values() if other is not tally]
        causes = [other for other in others if links(other, tally, window)]
        best = min(causes, key=lambda cause: nearness(cause, tally), default=None)
        tally = self.tallies[key] = replace(tally, cause=best.key if best else None)
        for other in others:
            if not links(tally, other, window):
                continue
            present = self.tallies[other.cause] if other.cause else None
            if present is None or nearness(tally, other) < nearness(present, other):
                self.tallies[other.key] = replace(other, cause=key)

    def rejoin(self, key: str) -> None:
        """Find causes anew where a tally's own order changed."""
        orphans = [other.key for other in self.tallies.values() if other.cause == key]
        for orphan in (key, *orphans):
            self.tallies[orphan] = replace(self.tallies[orphan], cause=None)
        for orphan in (key, *orphans):
            self.join(orphan)

    def root_of(self, key: str) -> str:
        """The tally at the top of a tree of causes."""
        while (cause := self.tallies[key].cause) is not None:
            key = cause
        return key

    def trees(self) -> dict[str, list[Tally]]:
        """Tallies by the root that they hang under, in order of first sighting."""
        trees: dict[str, list[Tally]] = {}
        for tally in sorted(self.tallies.values(), key=lambda tally: (tally.first_at, tally.key)):
            trees.setdefault(self.root_of(tally.key), []).append(tally)
        return trees

    def case_of(self, key: str) -> Case | None:
        """The open case that a tally is in."""
        roots = {case.root: case for case in self.cases.values()}
        step: str | None = key
        while step is not None:
            if step in roots:
                return roots[step]
            step = self.tallies[step].cause
        return None

    def drop(self, keys: Iterable[str]) -> int:
        """Forget tallies; what hung under them looks for a new cause. Returns how many events they held."""
        gone = [self.tallies.pop(key) for key in keys]
        names = {tally.key for tally in gone}
        orphans = [tally.key for tally in self.tallies.values() if tally.cause in names]
        for orphan in orphans:
            self.tallies[orphan] = replace(self.tallies[orphan], cause=None)
        for orphan in sorted(orphans, key=lambda key: precedence(self.tallies[key])):
            self.join(orphan)
        return sum(tally.num_events for tally in gone)

    def close(self, case: Case, because: str, at: float, *, was_repaired: bool) -> Incident:
        """End a case: its tallies go, it is remembered against its root."""
        root = self.tallies[case.root]
        members = [key for key in self.tallies if self.root_of(key) == case.root]
        incident = replace(case.incident, state=IncidentState.CLOSED, closed_at=at, closed_because=because)
        del self.cases[incident.id]
        self.drop(members)
        past = Past(incident=incident.id, closed_at=at, was_repaired=was_repaired)
        self.memory[root.key] = (*self.memory.get(root.key, ()), past)
        self._forget(at)
        self.archive("closed", incident)
        return incident

    def archive(self, kind: ChangeKind, incident: Incident) -> None:
        """Put a closed incident among the recent ones, which are bounded."""
        self.recent.append(incident)
        del self.recent[: -self.limits.most_recent]
        self.say(kind, incident)

    def _forget(self, now: float) -> None:
        oldest = now - self.limits.memory_seconds
        kept = {key: tuple(past for past in pasts if past.closed_at >= oldest) for key, pasts in self.memory.items()}
        self.memory = {key: pasts for key, pasts in kept.items() if pasts}


def desk_of(book: Book, limits: IncidentLimits) -> Desk:
    """A working copy of `book`."""
    return Desk(
        limits=limits,
        tallies=dict(book.tallies),
        cases=dict(book.cases),
        recent=list(book.recent),
        streaks=dict(book.streaks),
        muted=dict(book.muted),
        memory=dict(book.memory),
        num_unclaimed=book.num_unclaimed,
    )
