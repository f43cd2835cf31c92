"""Results in and out of the store: `RunResult` <-> its rows, and the past that a verdict compares with.

Nothing that a verdict is drawn from is lost, so a kept run can be judged again by a newer Fryer. What is searched has
columns in the store; long lists of equal things are packed by column; the rest is JSON (`fryer.exchange`).
"""

import gc
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from functools import cache
from typing import Any

from fryer.evidence import (
    DeviceInfo,
    DeviceVerdict,
    Measurement,
    NodeEvidence,
    NodeVerdict,
    PastMeasurement,
    Reason,
)
from fryer.exchange import (
    DocumentError,
    decode,
    encode,
    field_names,
    field_types,
    result_from_json,
    result_to_json,
    spool,
    unspool,
)
from fryer.plan import Plan
from fryer.records import Counted, Point, ProductDigest
from fryer.result import RunInfo, RunResult
from fryer.vote import software_of
from watchdog.collectors.readings import GpuReading, HostReading
from watchdog.store import Figure, Recording, Store, StoredDevice, StoredMeasurement, StoredNode, StoredRun
from watchdog.vocabulary.errors import StoreError, UsageError

__all__ = [
    "fleet_past",
    "last_uuids",
    "load",
    "own_past",
    "result_from_json",
    "result_to_json",
    "save",
    "spool",
    "unspool",
]

_PACKED: Mapping[str, type] = {
    "counted": Counted,
    "digests": ProductDigest,
    "host_readings": HostReading,
    "own_past": PastMeasurement,
    "fleet_past": PastMeasurement,
}
"""Fields of `NodeEvidence` that are long lists of equal things: one recording each."""
_BY_DEVICE = "gpu_readings"
"""One recording a device."""
_COLUMNS = ("node", "devices", "versions", "measurements", "interrupted")
"""Fields of `NodeEvidence` that have tables or columns. All others are kept as JSON, those to come included."""
_DEVICE_COLUMNS = (
    "name",
    "kind",
    "part",
    "uuid",
    "serial",
    "pci_bus_id",
    "vbios",
    "driver",
    "memory_bytes",
    "cores",
    "clock_max_hertz",
    "link_bytes_per_second",
    "link",
)
_BUSY = "busy_ratios"
_RUN_COLUMNS = ("info", "seconds", "evidence", "verdicts")
_MEASUREMENT_COLUMNS = ("device", "burn", "case", "metric", "value", "spread_ratio", "steady_from_seconds", "digest")
_MEASUREMENT_KNOWN = frozenset({*_MEASUREMENT_COLUMNS, "series"})


def save(store: Store, result: RunResult) -> None:
    """Keep `result`; raises `StoreError`, after which `spool` is what is left to do."""
    gc.freeze()  # the result lives on, and walking a whole fleet at each collection takes a third of the time
    try:
        store.add(_stored(result), _stored_nodes(result))
    except ValueError as error:  # text that is no Unicode, an instant that is none, verdicts of other devices
        raise StoreError(f"the result of run {result.info.run_id} can't be kept as it is: {error}") from error
    finally:
        gc.unfreeze()


def load(store: Store, run_id: str) -> RunResult:
    """The run whose id is, or alone starts with, `run_id`. Raises `UsageError` (no such run), `StoreError`."""
    run = store.load(run_id)
    try:
        plan = decode(Plan, run.plan)
        return RunResult(
            info=RunInfo(run_id=run.run_id, started_at=run.started_at, plan=plan, command=run.command),
            seconds=run.seconds,
            evidence=tuple(_evidence(node) for node in run.nodes),
            verdicts=tuple(_verdict(node) for node in run.nodes),
            **_decode_others(RunResult, run.more),
        )
    except DocumentError as error:
        raise StoreError(
            f"run {run.run_id} in {store.path} was kept by another Fryer ({run.fryer_version}) in a way "
            f"that this one can't read: {error}; update Fryer"
        ) from error


def own_past(
    store: Store, uuids: Collection[str], *, is_simulated: bool = False, before: str | None = None
) -> tuple[PastMeasurement, ...]:
    """The newest figures of these devices, of runs in which the device ended PASS or WARN. Raises `StoreError`.

    Simulated devices count only when `is_simulated`, and then no others. `before` (ISO 8601) leaves out runs that
    started then or later, for judging a kept run again.
    """
    return _past(store.newest_of_devices(uuids, is_simulated=is_simulated, before=before))


def fleet_past(
    store: Store,
    parts: Collection[str],
    excluding: Collection[str],
    *,
    is_simulated: bool = False,
    before: str | None = None,
) -> tuple[PastMeasurement, ...]:
    """The same of every device of these parts, but for the UUIDs in `excluding`."""
    return _past(store.newest_of_parts(parts, excluding=excluding, is_simulated=is_simulated, before=before))


def last_uuids(store: Store, node: str, *, is_simulated: bool = False) -> frozenset[str]:
    """UUIDs of the GPUs of this node's last run; none where nothing is kept of it. Raises `StoreError`."""
    try:
        figures = [one for one in store.history(node=node) if one.kind != "cpu"]
    except UsageError:
        return frozenset()
    figures = [one for one in figures if (one.kind == "simulated") == is_simulated]
    return frozenset(one.uuid for one in figures if one.run_id == figures[-1].run_id)


def _past(figures: Sequence[Figure]) -> tuple[PastMeasurement, ...]:
    return tuple(
        PastMeasurement(
            uuid=figure.uuid,
            node=figure.node,
            part=figure.part,
            burn=figure.burn,
            case=figure.case,
            metric=figure.metric,
            value=figure.value,
            at=figure.started_at,
            run_id=figure.run_id,
            digest=figure.digest,
            seed=figure.seed,
            software=software_of(figure.versions),
            is_steady=figure.is_steady,
        )
        for figure in figures
    )


def _stored(result: RunResult) -> StoredRun:
    info = result.info
    versions = [node.versions.get("fryer") for node in result.evidence]
    return StoredRun(
        run_id=info.run_id,
        started_at=info.started_at,
        seconds=result.seconds,
        verdict=result.verdict,
        # An argument may be any bytes; as text in the database they are shown as a shell would take them.
        command=info.command.encode(errors="backslashreplace").decode(),
        plan=encode(info.plan),
        fryer_version=next((version for version in versions if version), "unknown"),
        more=_others(result, frozenset(_RUN_COLUMNS)),
    )


def _stored_nodes(result: RunResult) -> Iterator[StoredNode]:
    """One after the other: a fleet's nodes as rows take several times the memory of the result."""
    for evidence, verdict in zip(result.evidence, result.verdicts, strict=True):
        yield _stored_node(evidence, verdict)


def _stored_node(evidence: NodeEvidence, verdict: NodeVerdict) -> StoredNode:
    told, judged = [each.name for each in evidence.devices], [each.device for each in verdict.devices]
    if told != judged or evidence.node != verdict.node:
        raise ValueError(f"it has evidence on {evidence.node} {told}, but verdicts on {verdict.node} {judged}")
    return StoredNode(
        node=evidence.node,
        verdict=verdict.verdict,
        interrupted=evidence.interrupted,
        versions=evidence.versions,
        reasons=tuple(encode(reason) for reason in verdict.reasons),
        findings=_others(evidence, frozenset({*_COLUMNS, *_PACKED, _BY_DEVICE})),
        devices=tuple(
            _stored_device(info, judgement) for info, judgement in zip(evidence.devices, verdict.devices, strict=True)
        ),
        measurements=tuple(_stored_measurement(measurement) for measurement in evidence.measurements),
        recordings=tuple(_recordings(evidence)),
    )


def _stored_device(info: DeviceInfo, judgement: DeviceVerdict) -> StoredDevice:
    return StoredDevice(
        **_columns(info, _DEVICE_COLUMNS),
        more=_others(info, frozenset(_DEVICE_COLUMNS)),
        verdict=judgement.verdict,
        reasons=tuple(encode(reason) for reason in judgement.reasons),
    )


def _stored_measurement(measurement: Measurement) -> StoredMeasurement:
    return StoredMeasurement(
        **_columns(measurement, _MEASUREMENT_COLUMNS),
        more={**_others(measurement, _MEASUREMENT_KNOWN), **_busy(measurement)},
        points=tuple([(point.at_seconds, point.value) for point in measurement.series]),
    )


def _busy(measurement: Measurement) -> dict[str, list[float]]:
    """What part of each interval the work itself took; nothing where it took all of it, as nearly everywhere."""
    ratios = [point.busy_ratio for point in measurement.series]
    return {_BUSY: ratios} if any(ratio != 1.0 for ratio in ratios) else {}


def _columns(thing: object, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(thing, name) for name in names}


def _others(thing: Any, known: frozenset[str]) -> dict[str, Any]:
    """The fields of a dataclass that have no column, as JSON: new ones are kept before a migration gives them one."""
    kind: Any = type(thing)
    return {name: encode(getattr(thing, name)) for name in _other_names(kind, known)}


@cache
def _other_names(kind: Any, known: frozenset[str]) -> tuple[str, ...]:
    return tuple(name for name in field_names(kind) if name not in known)


def _decode_others(kind: Any, others: Mapping[str, object]) -> dict[str, Any]:
    types = field_types(kind)
    for name in others:
        if name not in types:
            raise DocumentError(f"{kind.__name__} has a field {name!r} that this Fryer doesn't know")
    return {name: decode(types[name], value, f"{kind.__name__}.{name}") for name, value in others.items()}


def _recordings(evidence: NodeEvidence) -> Iterator[Recording]:
    for device, readings in evidence.gpu_readings.items():
        yield Recording(source=_BY_DEVICE, device=device, columns=_to_columns(GpuReading, readings))
    for source, kind in _PACKED.items():
        if rows := getattr(evidence, source):
            yield Recording(source=source, device="", columns=_to_columns(kind, rows))


def _to_columns(kind: Any, rows: Sequence[object]) -> dict[str, list[object]]:
    """`rows` of the dataclass `kind` by column, without columns in which every row has the default."""
    columns = {name: [getattr(row, name) for row in rows] for name in field_names(kind)}
    defaults = _defaults(kind)
    return {
        name: encode(column)
        for name, column in columns.items()
        if name not in defaults or any(value is not defaults[name] for value in column)
    }


@cache
def _defaults(kind: Any) -> Mapping[str, object]:
    return {field.name: field.default for field in fields(kind) if field.default is not MISSING}


def _from_columns(kind: Any, columns: Mapping[str, Sequence[object]]) -> tuple[Any, ...]:
    known = field_types(kind)
    if unknown := sorted(columns.keys() - known.keys()):
        raise DocumentError(f"{kind.__name__} has a column {unknown[0]!r} that this Fryer doesn't know")
    decoded = [
        decode(tuple[known[name], ...], list(column), f"{kind.__name__}.{name}")  # type: ignore[valid-type]
        for name, column in columns.items()
    ]
    return tuple(kind(**dict(zip(columns, row, strict=True))) for row in zip(*decoded, strict=True))


def _evidence(node: StoredNode) -> NodeEvidence:
    packed: dict[str, Any] = {}
    for recording in node.recordings:
        if recording.source in _PACKED:
            packed[recording.source] = _from_columns(_PACKED[recording.source], recording.columns)
        elif recording.source != _BY_DEVICE:
            raise DocumentError(f"{node.node} has a recording {recording.source!r} that this Fryer doesn't know")
    return NodeEvidence(
        node=node.node,
        interrupted=node.interrupted,
        versions=node.versions,
        devices=tuple(
            DeviceInfo(**_columns(device, _DEVICE_COLUMNS), **_decode_others(DeviceInfo, device.more))
            for device in node.devices
        ),
        measurements=tuple(_measurement(measurement) for measurement in node.measurements),
        gpu_readings={
            recording.device: _from_columns(GpuReading, recording.columns)
            for recording in node.recordings
            if recording.source == _BY_DEVICE
        },
        **_decode_others(NodeEvidence, node.findings),
        **packed,
    )


def _measurement(stored: StoredMeasurement) -> Measurement:
    labels = _columns(stored, ("device", "burn", "case", "metric"))
    return Measurement(
        **_columns(stored, _MEASUREMENT_COLUMNS),
        **_decode_others(Measurement, {name: value for name, value in stored.more.items() if name != _BUSY}),
        series=tuple(
            Point(**labels, at_seconds=at, value=value, busy_ratio=ratio)
            for (at, value), ratio in zip(stored.points, _ratios(stored), strict=True)
        ),
    )


def _ratios(stored: StoredMeasurement) -> Sequence[float]:
    kept = stored.more.get(_BUSY)
    return kept if isinstance(kept, list) else [1.0] * len(stored.points)


def _verdict(node: StoredNode) -> NodeVerdict:
    return NodeVerdict(
        node=node.node,
        verdict=node.verdict,
        reasons=_reasons(node.reasons, node.node),
        devices=tuple(
            DeviceVerdict(device=device.name, verdict=device.verdict, reasons=_reasons(device.reasons, device.name))
            for device in node.devices
        ),
    )


def _reasons(stored: Sequence[object], of: str) -> tuple[Reason, ...]:
    return tuple(decode(Reason, reason, f"{of}.reasons[{index}]") for index, reason in enumerate(stored))
