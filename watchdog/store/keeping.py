"""A whole run, in and out of the tables. Works within a transaction that is given, and begins none."""

import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain, count, islice
from typing import Any

from sqlalchemy import Connection, Row, Table, func, insert, select

from watchdog.store.packing import pack_columns, pack_points, unpack_columns, unpack_points
from watchdog.store.rows import Recording, StoredDevice, StoredMeasurement, StoredNode, StoredRun
from watchdog.store.tables import DEVICE, MEASUREMENT, NODE, RECORDING, RUN, SERIES
from watchdog.vocabulary.verdicts import Verdict

_Row = dict[str, Any]
NODES_AT_ONCE = 32
"""Nodes whose rows are in memory together: some MB."""


def epoch_seconds(instant: str) -> float:
    """Seconds since 1970 of an ISO 8601 instant, UTC where it names no zone; raises `ValueError`."""
    moment = datetime.fromisoformat(instant)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def insert_run(connection: Connection, run: StoredRun, more_nodes: Iterable[StoredNode] = ()) -> None:
    """Write `run`, and `more_nodes` after its own. The caller holds the write lock, so ids can be dealt out here.

    Nodes are written some at a time, so that those of a whole fleet need not be in memory as rows. Raises `ValueError`
    for a measurement of a device that the run does not list.
    """
    ids = {table.name: _free_ids(connection, table) for table in (NODE, DEVICE, MEASUREMENT, RECORDING)}
    connection.execute(
        insert(RUN),
        [
            {
                "id": run.run_id,
                "started_at": run.started_at,
                "started_epoch_seconds": epoch_seconds(run.started_at),
                "command": run.command,
                "seconds": run.seconds,
                "verdict": run.verdict,
                "plan": dict(run.plan),
                "fryer_version": run.fryer_version,
                "more": dict(run.more),
            }
        ],
    )
    nodes = chain(run.nodes, more_nodes)
    while some := list(islice(nodes, NODES_AT_ONCE)):
        batches: dict[str, list[_Row]] = {table.name: [] for table in (NODE, DEVICE, MEASUREMENT, SERIES, RECORDING)}
        for node in some:
            _add_node(batches, ids, run.run_id, node)
        for table in (NODE, DEVICE, MEASUREMENT, SERIES, RECORDING):
            if batches[table.name]:
                connection.execute(insert(table), batches[table.name])


def _free_ids(connection: Connection, table: Table) -> "Iterator[int]":
    newest = connection.execute(select(func.max(table.c.id))).scalar_one()
    return count((newest or 0) + 1)


def _add_node(batches: dict[str, list[_Row]], ids: Mapping[str, Iterator[int]], run_id: str, node: StoredNode) -> None:
    node_id = next(ids["node_result"])
    batches["node_result"].append(
        {
            "id": node_id,
            "run_id": run_id,
            "node": node.node,
            "verdict": node.verdict,
            "interrupted": node.interrupted,
            "versions": dict(node.versions),
            "reasons": list(node.reasons),
            "findings": dict(node.findings),
        }
    )
    device_ids = {}
    for device in node.devices:
        device_ids[device.name] = next(ids["device_result"])
        columns = {name: getattr(device, name) for name in StoredDevice.__slots__}
        batches["device_result"].append(
            columns
            | {
                "id": device_ids[device.name],
                "node_result_id": node_id,
                "reasons": list(device.reasons),
                "more": dict(device.more),
            }
        )
    for measurement in node.measurements:
        if measurement.device not in device_ids:
            raise ValueError(f"{node.node}: a measurement of {measurement.device!r}, which is no device of this node")
        measurement_id = next(ids["measurement"])
        batches["measurement"].append(
            {
                "id": measurement_id,
                "device_result_id": device_ids[measurement.device],
                "burn": measurement.burn,
                "case": measurement.case,
                "metric": measurement.metric,
                "value": measurement.value,
                "spread_ratio": measurement.spread_ratio,
                "steady_from_seconds": measurement.steady_from_seconds,
                "digest": measurement.digest,
                "more": dict(measurement.more),
            }
        )
        batches["series"].append({"measurement_id": measurement_id, "points": pack_points(measurement.points)})
    batches["recording"].extend(
        {
            "id": next(ids["recording"]),
            "node_result_id": node_id,
            "source": recording.source,
            "device": recording.device,
            "columns": pack_columns(recording.columns),
        }
        for recording in node.recordings
    )


def read_run(connection: Connection, run_id: str) -> StoredRun:
    """The run with this whole id, everything in the order in which it came; raises `LookupError`."""
    run = connection.execute(select(RUN).where(RUN.c.id == run_id)).first()
    if run is None:
        raise LookupError(run_id)
    nodes = connection.execute(select(NODE).where(NODE.c.run_id == run_id).order_by(NODE.c.id))
    return StoredRun(
        run_id=run.id,
        started_at=run.started_at,
        command=run.command,
        seconds=run.seconds,
        verdict=Verdict(run.verdict),
        plan=run.plan,
        fryer_version=run.fryer_version,
        nodes=tuple(_read_node(connection, node) for node in nodes.all()),
        more=run.more,
    )


def _read_node(connection: Connection, node: Row[Any]) -> StoredNode:
    devices = connection.execute(select(DEVICE).where(DEVICE.c.node_result_id == node.id).order_by(DEVICE.c.id)).all()
    measurements = connection.execute(
        select(MEASUREMENT, SERIES.c.points, DEVICE.c.name.label("device"))
        .join(SERIES, SERIES.c.measurement_id == MEASUREMENT.c.id)
        .join(DEVICE, DEVICE.c.id == MEASUREMENT.c.device_result_id)
        .where(DEVICE.c.node_result_id == node.id)
        .order_by(MEASUREMENT.c.id)
    )
    recordings = connection.execute(
        select(RECORDING).where(RECORDING.c.node_result_id == node.id).order_by(RECORDING.c.id)
    )
    return StoredNode(
        node=node.node,
        verdict=Verdict(node.verdict),
        interrupted=node.interrupted,
        versions=node.versions,
        reasons=tuple(node.reasons),
        findings=node.findings,
        devices=tuple(_read_devices(devices)),
        measurements=tuple(_read_measurement(row) for row in measurements),
        recordings=tuple(
            Recording(source=row.source, device=row.device, columns=unpack_columns(row.columns)) for row in recordings
        ),
    )


def _read_devices(rows: Iterable[Row[Any]]) -> Iterator[StoredDevice]:
    for row in rows:
        columns = {name: getattr(row, name) for name in StoredDevice.__slots__}
        yield StoredDevice(**columns | {"verdict": Verdict(row.verdict), "reasons": tuple(row.reasons)})


def _read_measurement(row: Row[Any]) -> StoredMeasurement:
    return StoredMeasurement(
        device=row.device,
        burn=row.burn,
        case=row.case,
        metric=row.metric,
        value=number(row.value),
        spread_ratio=number(row.spread_ratio),
        steady_from_seconds=row.steady_from_seconds,
        digest=row.digest,
        more=row.more,
        points=unpack_points(row.points),
    )


def number(stored: float | None) -> float:
    """SQLite keeps NaN as NULL (https://sqlite.org/c3ref/bind_blob.html), so NULL in a figure was NaN."""
    return math.nan if stored is None else stored
