"""What a device showed of itself while it qualified: clock, power and temperatures under each burn.

Read-only; works within a transaction that is given, and begins none. Medians are of the readings between the moment at
which the burn was steady and its last point, so that warming up is no part of them.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from statistics import median
from typing import Any

from sqlalchemy import Connection, Row, func, select

from watchdog.store.packing import unpack_columns, unpack_points
from watchdog.store.queries import among, is_usable
from watchdog.store.tables import DEVICE, MEASUREMENT, NODE, RECORDING, RUN, SERIES

METRICS = ("sm_clock_hertz", "power_watts", "temperature_celsius", "memory_temperature_celsius")
READINGS = "gpu_readings"
"""`Recording.source` of what the driver showed of a GPU."""
LOADED_RATIO = 0.9
"""Utilisation of a loaded GPU, as `watchdog.detectors.baseline_drift` has it; where it is not known, the burn is load.
"""
MOST_RUNS = 4
"""So many of a device's newest qualifications are looked at: a short one does not hide the burns of a full one."""
MOST_PACKED_BYTES = 1 << 20
"""Longer recordings are left out: an hour of one GPU is some 200 kB, and a daemon that starts reads four of each."""


def medians_under_load(
    connection: Connection, uuids: Collection[str], *, is_simulated: bool
) -> dict[str, dict[str, float]]:
    """Of each device that qualified, ``"BURN CASE METRIC"`` -> the newest median, of `METRICS`.

    Raises `PackingError` for a recording that is damaged.
    """
    found: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for result in _results(connection, uuids, is_simulated=is_simulated):
        for name, value in _medians(connection, result):
            found[result.uuid].setdefault(name, value)
    return dict(found)


def _results(connection: Connection, uuids: Collection[str], *, is_simulated: bool) -> Sequence[Any]:
    """(id, uuid, packed recording) of the newest usable results of each device that have one, newest first."""
    order = RUN.c.started_epoch_seconds.desc()
    rank = func.row_number().over(partition_by=DEVICE.c.uuid, order_by=(order, DEVICE.c.id.desc()))
    ranked = (
        select(DEVICE.c.id, DEVICE.c.uuid, RECORDING.c.id.label("recording_id"), rank.label("rank"))
        .join(NODE, NODE.c.id == DEVICE.c.node_result_id)
        .join(RUN, RUN.c.id == NODE.c.run_id)
        .join(RECORDING, (RECORDING.c.node_result_id == NODE.c.id) & (RECORDING.c.device == DEVICE.c.name))
        .where(among(DEVICE.c.uuid, uuids), is_usable(is_simulated=is_simulated), RECORDING.c.source == READINGS)
        .where(func.length(RECORDING.c.columns) <= MOST_PACKED_BYTES)
        .subquery()
    )
    wanted = select(ranked.c.id, ranked.c.uuid, RECORDING.c.columns.label("packed"))
    wanted = wanted.join(RECORDING, RECORDING.c.id == ranked.c.recording_id).where(ranked.c.rank <= MOST_RUNS)
    return connection.execute(wanted.order_by(ranked.c.uuid, ranked.c.rank)).all()


def _medians(connection: Connection, result: Row[Any]) -> Iterator[tuple[str, float]]:
    columns = unpack_columns(result.packed)
    times: Sequence[Any] = columns.get("at_seconds", ())
    load = columns.get("utilization_ratio", [None] * len(times))
    for burn, case, begin, end in _spans(connection, result.id):
        within = range(bisect_left(times, begin), bisect_right(times, end))
        loaded = [index for index in within if _is_loaded(load[index])]
        for metric in METRICS:
            values = columns.get(metric)
            known = [value for index in loaded if values and isinstance(value := values[index], int | float)]
            if known:
                yield f"{burn} {case} {metric}", float(median(known))


def _is_loaded(ratio: object) -> bool:
    return not isinstance(ratio, int | float) or ratio >= LOADED_RATIO


def _spans(connection: Connection, device_result_id: int) -> Iterator[tuple[str, str, float, float]]:
    """(burn, case, begin, end), seconds on the run's clock, of each series that the device ran."""
    wanted = (
        select(MEASUREMENT.c.burn, MEASUREMENT.c.case, MEASUREMENT.c.steady_from_seconds, SERIES.c.points)
        .join(SERIES, SERIES.c.measurement_id == MEASUREMENT.c.id)
        .where(MEASUREMENT.c.device_result_id == device_result_id)
        .order_by(MEASUREMENT.c.id)
    )
    for row in connection.execute(wanted):
        points = unpack_points(row.points)
        if points:
            yield row.burn, row.case, max(points[0][0], row.steady_from_seconds or 0.0), points[-1][0]
