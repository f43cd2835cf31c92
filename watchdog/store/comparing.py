"""A run beside what its nodes and devices gave before. Read-only; works within a transaction that is given.

Written for fleets: a run has 300,000 figures, of which one a node is kept. Simulated runs are compared with simulated
ones only, and real ones with real ones.
"""

from typing import Any

from sqlalchemy import Connection, Row, Select, func, select

from watchdog.store.queries import is_usable
from watchdog.store.rows import Fall, Outcome
from watchdog.store.tables import DEVICE, MEASUREMENT, NODE, RUN
from watchdog.vocabulary.verdicts import Verdict

_Key = tuple[str, str, str, str]
"""UUID, burn, case, metric."""


def outcomes(connection: Connection, run_id: str) -> list[Outcome]:
    """Each node of this run, in its order, beside the newest run before it that the node was in."""
    chosen: Select[Any] = select(RUN.c.id, RUN.c.started_epoch_seconds, RUN.c.plan)
    runs = connection.execute(chosen).all()
    this = next(run for run in runs if run.id == run_id)
    is_simulated = _is_simulated(this)
    earlier = [
        run
        for run in runs
        if run.started_epoch_seconds < this.started_epoch_seconds and _is_simulated(run) == is_simulated
    ]
    previous = _previous(connection, run_id, sorted(earlier, key=lambda run: run.started_epoch_seconds))
    worst = _worst(connection, run_id, this.started_epoch_seconds, is_simulated=is_simulated)
    nodes: Select[Any] = select(NODE.c.node, NODE.c.verdict).where(NODE.c.run_id == run_id).order_by(NODE.c.id)
    return [_outcome(node, previous.get(node.node), worst.get(node.node)) for node in connection.execute(nodes)]


def _is_simulated(run: Row[Any]) -> bool:
    return run.plan.get("scenario") is not None


def _previous(connection: Connection, run_id: str, earlier: list[Row[Any]]) -> dict[str, Row[Any]]:
    """By node: its row in the last of the runs `earlier` (oldest first) that it was in."""
    place = {run.id: place for place, run in enumerate(earlier)}
    own = select(NODE.c.node).where(NODE.c.run_id == run_id)
    nodes: Select[Any] = select(NODE.c.node, NODE.c.verdict, NODE.c.run_id).where(NODE.c.node.in_(own))
    found: dict[str, Row[Any]] = {}
    for row in connection.execute(nodes):
        if row.run_id in place and (row.node not in found or place[found[row.node].run_id] < place[row.run_id]):
            found[row.node] = row
    return found


def _outcome(node: Row[Any], previous: Row[Any] | None, worst: Fall | None) -> Outcome:
    return Outcome(
        node=node.node,
        verdict=Verdict(node.verdict),
        previous_verdict=Verdict(previous.verdict) if previous else None,
        previous_run_id=previous.run_id if previous else None,
        worst=worst,
    )


def _worst(connection: Connection, run_id: str, started_epoch_seconds: float, *, is_simulated: bool) -> dict[str, Fall]:
    """By node: that of its steady figures which fell most since the last run in which its device was usable."""
    before = _before(connection, run_id, started_epoch_seconds, is_simulated=is_simulated)
    worst: dict[str, Fall] = {}
    for row in connection.execute(_steady().where(RUN.c.id == run_id)):
        previous = before.get((row.uuid, row.burn, row.case, row.metric))
        if previous is None or previous[0] <= 0:
            continue
        known = worst.get(row.node)
        if known is None or row.value / previous[0] - 1 < known.change_ratio:
            worst[row.node] = Fall(
                device=row.device,
                burn=row.burn,
                case=row.case,
                metric=row.metric,
                value=row.value,
                previous_value=previous[0],
                previous_run_id=previous[1],
            )
    return worst


def _before(
    connection: Connection, run_id: str, started_epoch_seconds: float, *, is_simulated: bool
) -> dict[_Key, tuple[float, str]]:
    """The newest earlier figures of the run's devices: value and run."""
    devices = select(DEVICE.c.uuid).join(NODE, NODE.c.id == DEVICE.c.node_result_id).where(NODE.c.run_id == run_id)
    rank = func.row_number().over(
        partition_by=(DEVICE.c.uuid, MEASUREMENT.c.burn, MEASUREMENT.c.case, MEASUREMENT.c.metric),
        order_by=(RUN.c.started_epoch_seconds.desc(), MEASUREMENT.c.id.desc()),
    )
    ranked = (
        _steady()
        .add_columns(rank.label("rank"))
        .where(
            DEVICE.c.uuid.in_(devices),
            is_usable(is_simulated=is_simulated),
            RUN.c.started_epoch_seconds < started_epoch_seconds,
        )
        .subquery()
    )
    rows = connection.execute(select(ranked).where(ranked.c.rank == 1))
    return {(row.uuid, row.burn, row.case, row.metric): (row.value, row.run_id) for row in rows}


def _steady() -> Select[Any]:
    """Steady figures, without what a comparison has no use for."""
    return (
        select(
            RUN.c.id.label("run_id"),
            NODE.c.node,
            DEVICE.c.name.label("device"),
            DEVICE.c.uuid,
            MEASUREMENT.c.burn,
            MEASUREMENT.c.case,
            MEASUREMENT.c.metric,
            MEASUREMENT.c.value,
        )
        .select_from(MEASUREMENT)
        .join(DEVICE, DEVICE.c.id == MEASUREMENT.c.device_result_id)
        .join(NODE, NODE.c.id == DEVICE.c.node_result_id)
        .join(RUN, RUN.c.id == NODE.c.run_id)
        .where(MEASUREMENT.c.steady_from_seconds.is_not(None), MEASUREMENT.c.value.is_not(None))
    )
