"""What a run is as JSON: one dictionary a document, always strict JSON (a number that is none becomes null).

Pure: `fryer.outputs.ndjson` writes them and docs/json.md explains them. Field names and units are those of the
dataclasses they come from. Keys may be added in a version; none is renamed or removed without a new `VERSION`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from math import isfinite

from fryer.evidence import DeviceInfo, DeviceVerdict, Measurement, NodeEvidence, NodeVerdict, Reason
from fryer.records import Counted, Mismatch, Point, Problem, Record
from fryer.result import RunInfo, RunResult
from watchdog.collectors.readings import GpuReading

SCHEMA = "fryer/run"
VERSION = 1

Document = dict[str, object]


def jsonable(value: object) -> object:
    """`value` as JSON holds it: dataclasses as objects, NaN and infinities as null, all that is unknown as text."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if value is None or isinstance(value, bool | int):
        return value
    if is_dataclass(value):
        return {field.name: jsonable(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): jsonable(inner) for key, inner in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str):
        return [jsonable(inner) for inner in (value if isinstance(value, Sequence) else sorted(value, key=str))]
    return str(value)


def document(kind: str, content: object, **more: object) -> Document:
    """A document of type `kind`: `more` first, then the fields of `content` (a dataclass or a dictionary)."""
    made: Document = {"type": kind, "schema": SCHEMA, "version": VERSION}
    made.update({key: jsonable(value) for key, value in more.items()})
    body = jsonable(content)
    if isinstance(body, dict):
        made.update(body)
    return made


def run_document(info: RunInfo) -> Document:
    """Who the run is and what it will do."""
    return document("run", info)


def node_document(node: str, devices: Sequence[DeviceInfo]) -> Document:
    """A node and its devices."""
    return document("node", {}, node=node, devices=devices)


def phase_document(node: str, burn: str, seconds: float) -> Document:
    """A burn begins on a node."""
    return document("phase", {}, node=node, burn=burn, seconds=seconds)


def record_document(node: str, record: Record) -> Document | None:
    """What a device said; None for the digest of a single product, of which there are too many to stream."""
    kinds = {Point: "point", Mismatch: "mismatch", Problem: "problem", Counted: "counted"}
    kind = kinds.get(type(record))
    return document(kind, record, node=node) if kind else None


def reading_document(node: str, device: str, reading: GpuReading) -> Document:
    """One look at one GPU."""
    return document("reading", reading, node=node, device=device)


def measurement_documents(evidence: NodeEvidence) -> Iterator[Document]:
    """The figures of a node; their points were streamed before."""
    for measurement in evidence.measurements:
        yield document("measurement", _figures(measurement), node=evidence.node)


def _figures(measurement: Measurement) -> Document:
    kept = [field.name for field in fields(measurement) if field.name != "series"]
    return {**{name: getattr(measurement, name) for name in kept}, "num_points": len(measurement.series)}


def verdict_document(result: RunResult) -> Document:
    """What was concluded: always the last document."""
    nodes = [
        _node_verdict(evidence, verdict) for evidence, verdict in zip(result.evidence, result.verdicts, strict=True)
    ]
    return document(
        "verdict",
        {},
        run_id=result.info.run_id,
        verdict=result.verdict,
        seconds=result.seconds,
        nodes=nodes,
        links=result.links,
        proof=result.proof,
    )


def _node_verdict(evidence: NodeEvidence, verdict: NodeVerdict) -> Document:
    known = {device.name: device for device in evidence.devices}
    return {
        "node": verdict.node,
        "verdict": verdict.verdict,
        "reasons": [_reason(reason) for reason in verdict.reasons],
        "devices": [_device_verdict(device, known.get(device.device)) for device in verdict.devices],
        "versions": evidence.versions,
        "interrupted": evidence.interrupted,
    }


def _device_verdict(verdict: DeviceVerdict, device: DeviceInfo | None) -> Document:
    return {
        "device": verdict.device,
        "uuid": device.uuid if device else None,
        "part": device.part if device else None,
        "verdict": verdict.verdict,
        "reasons": [_reason(reason) for reason in verdict.reasons],
    }


def _reason(reason: Reason) -> Document:
    return {name: getattr(reason, name) for name in ("code", "verdict", "message", "evidence", "remedy", "repeat")}
