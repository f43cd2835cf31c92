"""Questions about the past. Read-only; works within a transaction that is given, and begins none.

A simulated device never answers for a real one, nor a real one for a simulated.
"""

import json
from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, String, func, select

from watchdog.store.keeping import epoch_seconds, number
from watchdog.store.rows import Figure, RunSummary
from watchdog.store.tables import DEVICE, MEASUREMENT, NODE, RUN
from watchdog.vocabulary.errors import UsageError, nearest
from watchdog.vocabulary.verdicts import Verdict

_USABLE = (Verdict.PASS.value, Verdict.WARN.value)
"""Only what qualified is a yardstick: a card that failed must not become its own excuse."""
_SIMULATED = "simulated"
_MANY = 12
"""Beyond so many names a list of them is no help in a sentence."""


def _figures() -> Select[Any]:
    return (
        select(
            RUN.c.id.label("run_id"),
            RUN.c.started_at,
            RUN.c.started_epoch_seconds,
            NODE.c.node,
            DEVICE.c.name.label("device"),
            DEVICE.c.kind,
            DEVICE.c.part,
            DEVICE.c.uuid,
            DEVICE.c.serial,
            MEASUREMENT.c.burn,
            MEASUREMENT.c.case,
            MEASUREMENT.c.metric,
            MEASUREMENT.c.value,
            MEASUREMENT.c.spread_ratio,
            MEASUREMENT.c.digest,
            DEVICE.c.verdict,
            MEASUREMENT.c.steady_from_seconds.is_not(None).label("is_steady"),
            NODE.c.versions,
        )
        .select_from(MEASUREMENT)
        .join(DEVICE, DEVICE.c.id == MEASUREMENT.c.device_result_id)
        .join(NODE, NODE.c.id == DEVICE.c.node_result_id)
        .join(RUN, RUN.c.id == NODE.c.run_id)
    )


def _read(connection: Connection, figures: Select[Any]) -> list[Figure]:
    """The figures, each with its run's seed: plans of large fleets are long, so each is read once and not a figure."""
    rows = connection.execute(figures).all()
    plans = select(RUN.c.id, RUN.c.plan).where(among(RUN.c.id, {row.run_id for row in rows}))
    seeds = {run.id: run.plan.get("seed") for run in connection.execute(plans)}
    return [_figure(row, seeds[row.run_id]) for row in rows]


def _figure(row: Row[Any], seed: int | None) -> Figure:
    return Figure(
        **row._asdict()
        | {
            "value": number(row.value),
            "spread_ratio": number(row.spread_ratio),
            "verdict": Verdict(row.verdict),
            "is_steady": bool(row.is_steady),
            "seed": seed,
        }
    )


def among(column: ColumnElement[Any], names: Iterable[str]) -> ColumnElement[bool]:
    """`column` is one of `names`, however many: bound as one JSON array, since SQLite limits the number of values."""
    values = func.json_each(json.dumps(list(names))).table_valued("value", name="wanted")
    return column.in_(select(values.c.value.cast(String)))


def is_usable(*, is_simulated: bool) -> ColumnElement[bool]:
    """A device's result is a yardstick: it qualified, and is of the wanted kind."""
    kind = DEVICE.c.kind == _SIMULATED if is_simulated else DEVICE.c.kind != _SIMULATED
    return kind & DEVICE.c.verdict.in_(_USABLE)


def _newest(
    connection: Connection, wanted: ColumnElement[bool], *, is_simulated: bool, before: str | None
) -> list[Figure]:
    """The newest usable figure of each device, burn, case and metric among `wanted`, and the newest steady one.

    One that is not steady is no yardstick of speed, and does not hide the one that is.
    """
    rank = func.row_number().over(
        partition_by=(
            DEVICE.c.uuid,
            MEASUREMENT.c.burn,
            MEASUREMENT.c.case,
            MEASUREMENT.c.metric,
            MEASUREMENT.c.steady_from_seconds.is_not(None),
        ),
        order_by=(RUN.c.started_epoch_seconds.desc(), MEASUREMENT.c.id.desc()),
    )
    ranked = (
        _figures()
        .add_columns(rank.label("rank"), MEASUREMENT.c.id.label("position"))
        .where(wanted, is_usable(is_simulated=is_simulated), MEASUREMENT.c.value.is_not(None))
    )
    if before is not None:
        ranked = ranked.where(RUN.c.started_epoch_seconds < epoch_seconds(before))
    inner = ranked.subquery()
    columns = [column for column in inner.c if column.name not in ("rank", "position")]
    return _read(connection, select(*columns).where(inner.c.rank == 1).order_by(inner.c.position))


def newest_of_devices(
    connection: Connection, uuids: Collection[str], *, is_simulated: bool, before: str | None
) -> list[Figure]:
    """For each of these devices, the newest usable figures of each burn, case and metric, started before `before`."""
    return _newest(connection, among(DEVICE.c.uuid, uuids), is_simulated=is_simulated, before=before)


def newest_of_parts(
    connection: Connection,
    parts: Collection[str],
    excluding: Collection[str],
    *,
    is_simulated: bool,
    before: str | None,
) -> list[Figure]:
    """The same for every device of these parts but for the UUIDs in `excluding`."""
    wanted = among(DEVICE.c.part, parts)
    if excluding:
        wanted &= ~among(DEVICE.c.uuid, excluding)
    return _newest(connection, wanted, is_simulated=is_simulated, before=before)


def history(connection: Connection, *, node: str | None, uuid: str | None, burn: str | None) -> list[Figure]:
    """Every figure of a node, of a device, of a burn, or of what is common to those given; oldest run first."""
    figures = _figures().order_by(RUN.c.started_epoch_seconds, MEASUREMENT.c.id)
    for column, wanted in ((NODE.c.node, node), (DEVICE.c.uuid, uuid), (MEASUREMENT.c.burn, burn)):
        if wanted is not None:
            figures = figures.where(column == wanted)
    return _read(connection, figures)


def runs(connection: Connection, limit: int | None) -> list[RunSummary]:
    """The newest `limit` runs (all when None), newest first."""
    newest = connection.execute(select(RUN).order_by(RUN.c.started_epoch_seconds.desc(), RUN.c.id).limit(limit)).all()
    devices = func.count(DEVICE.c.id)
    found = connection.execute(
        select(NODE.c.run_id, NODE.c.node, devices.label("num_devices"))
        .outerjoin(DEVICE, DEVICE.c.node_result_id == NODE.c.id)
        .where(among(NODE.c.run_id, [run.id for run in newest]))
        .group_by(NODE.c.id)
        .order_by(NODE.c.id)
    )
    nodes: dict[str, list[Row[Any]]] = {run.id: [] for run in newest}
    for row in found:
        nodes[row.run_id].append(row)
    return [
        RunSummary(
            run_id=run.id,
            started_at=run.started_at,
            command=run.command,
            seconds=run.seconds,
            verdict=Verdict(run.verdict),
            nodes=tuple(row.node for row in nodes[run.id]),
            num_devices=sum(row.num_devices for row in nodes[run.id]),
        )
        for run in newest
    ]


def find_node(connection: Connection, node: str) -> str:
    """`node`, when there is a result of it; raises `UsageError` with the nearest name otherwise."""
    known = set(connection.execute(select(NODE.c.node).distinct()).scalars())
    if node in known:
        return node
    raise UsageError(f"no result of a node {node!r} is kept{_hint(node, known)}")


def find_uuid(connection: Connection, start: str) -> str:
    """The one device whose UUID starts with `start` (in any case; ``GPU-`` may be left out); raises `UsageError`."""
    return _only("device", start, connection.execute(select(DEVICE.c.uuid).distinct()).scalars())


def find_run(connection: Connection, start: str) -> str:
    """The one run whose id starts with `start`; raises `UsageError`."""
    return _only("run", start, connection.execute(select(RUN.c.id)).scalars())


def _only(what: str, start: str, known: Iterable[str]) -> str:
    wanted, names = start.lower(), sorted(known)
    exact = [name for name in names if name.lower() == wanted]
    found = exact or [
        name for name in names if wanted and name.lower().removeprefix("gpu-").startswith(wanted.removeprefix("gpu-"))
    ]
    if len(found) == 1:
        return found[0]
    if found:
        more = f" and {len(found) - _MANY} more" if len(found) > _MANY else ""
        raise UsageError(f"{start!r} begins more than one {what}: {', '.join(found[:_MANY])}{more}; give more of it")
    raise UsageError(f"no result of a {what} {start!r} is kept{_hint(start, names)}")


def _hint(word: str, known: Collection[str]) -> str:
    if not known:
        return "; nothing is kept yet: `fryer run` makes the first"
    hint = nearest(word, known)
    return "" if hint.startswith("; known") and len(known) > _MANY else hint
