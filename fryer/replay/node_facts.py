"""What a node's daemon kept near an event: its incidents and readings, out of its store."""

from collections.abc import Sequence
from pathlib import Path

from fryer.replay.told import NodeFacts
from watchdog.attribution import Change, changes_near, incidents_near
from watchdog.attribution.nodes import AFTER_SECONDS, BEFORE_SECONDS, USUAL_SECONDS, WATCHED
from watchdog.store import Store, WatchLog
from watchdog.vocabulary.samples import Row

_MOST_INCIDENTS = 10_000
_MOST_ROWS = 20_000
"""Of one subject near one event: an hour and a half at 1 Hz is 5,000."""


def facts_from(state: Path) -> NodeFacts:
    """Asks the store in the folder `state`. Raises `UsageError` where there is none, `StoreError` where it fails."""
    log = WatchLog(Store.open_to_read(state))
    incidents = log.incidents(0.0, _MOST_INCIDENTS)
    subjects = log.subjects()

    def facts(at: float) -> tuple[Sequence[Change], frozenset[str]]:
        rows: list[Row] = []
        since, until = at - BEFORE_SECONDS - USUAL_SECONDS, at + AFTER_SECONDS
        for subject in subjects:
            found = log.rows(subject, since, _MOST_ROWS)
            rows += [row for row in found if row.at <= until and row.values.keys() & WATCHED.keys()]
        changes, seen = changes_near(rows, at)
        return [*incidents_near(incidents, at), *changes], seen

    return facts
