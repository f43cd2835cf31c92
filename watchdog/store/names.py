"""Ids of subjects, metrics and runs: each name is written once, and known from then on.

What is known is known of one transaction after the other: drop the `Names` when one of them fails, since ids that it
gave out may never have been written.
"""

import struct
from dataclasses import dataclass, field

from sqlalchemy import Connection, Table, insert, select

from watchdog.store.blocks import MOST_METRICS
from watchdog.store.watch_tables import METRIC, SUBJECT, TRAINING
from watchdog.vocabulary.subjects import Subject


@dataclass(slots=True)
class Names:
    """What has an id already."""

    subjects: dict[Subject, int] = field(default_factory=dict)
    metrics: dict[str, int] = field(default_factory=dict)
    trainings: dict[str, int] = field(default_factory=dict)
    packed: dict[tuple[str, ...], bytes] = field(default_factory=dict)
    """Ids of the metrics of a row, packed: a subject's rows mostly have the same ones."""

    def subject(self, connection: Connection, subject: Subject) -> int:
        """Id of `subject`; writes it where it has none."""
        known = self.subjects.get(subject)
        if known is None:
            columns = {"node": subject.node, "kind": subject.kind, "name": subject.name}
            known = self.subjects[subject] = _id(connection, SUBJECT, columns)
        return known

    def training(self, connection: Connection, run: str) -> int:
        """Id of the training run `run`; writes it where it has none."""
        known = self.trainings.get(run)
        if known is None:
            known = self.trainings[run] = _id(connection, TRAINING, {"name": run})
        return known

    def metric_ids(self, connection: Connection, names: tuple[str, ...]) -> bytes:
        """Ids of the metrics `names`, 16 bits each; raises `ValueError` for one too many."""
        known = self.packed.get(names)
        if known is None:
            ids = [self._metric(connection, name) for name in names]
            known = self.packed[names] = struct.pack(f"<{len(ids)}H", *ids)
        return known

    def _metric(self, connection: Connection, name: str) -> int:
        known = self.metrics.get(name)
        if known is None:
            known = self.metrics[name] = _id(connection, METRIC, {"name": name})
            if known > MOST_METRICS:
                raise ValueError(f"{name!r} would be metric number {known}; the store takes {MOST_METRICS}")
        return known


def _id(connection: Connection, table: Table, columns: dict[str, str]) -> int:
    wanted = [table.c[name] == value for name, value in columns.items()]
    found = connection.execute(select(table.c.id).where(*wanted)).scalar()
    if found is None:
        key = connection.execute(insert(table).values(**columns)).inserted_primary_key
        assert key is not None  # an insert of one row has one
        found = key[0]
    return int(found)
