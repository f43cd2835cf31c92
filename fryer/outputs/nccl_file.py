"""The sweep over all nodes as files in the JSON of nccl-tests, one an operation."""

import json
import os
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from fryer.collectives.cases import CollectiveRow
from fryer.collectives.document import nccl_document
from fryer.collectives.swept import BETWEEN, Swept, middle_rows
from fryer.collectives.table import RankDevice
from fryer.evidence import NodeEvidence
from fryer.result import RunResult
from watchdog.vocabulary.errors import UsageError


def check_place(path: Path) -> None:
    """Raise `UsageError` where no file can be written: better before the run than after it."""
    if path.exists() and not path.is_file():
        kind = "a directory" if path.is_dir() else "no plain file"
        raise UsageError(f"--nccl-json {path}: it is {kind}; name a file, for example sweep.json")
    if not path.parent.is_dir():
        raise UsageError(f"--nccl-json {path}: there is no directory {path.parent}; make it first")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UsageError(f"--nccl-json {path}: it can't be written; name a file elsewhere")


def write_nccl(result: RunResult, path: Path) -> list[Path]:
    """Write the sweep of `result` to `path`; of several operations each to its own, ``sweep.all_gather.json``.
    Of repeats it is the median one.

    Returns the files that were written: none where nothing was swept. Of a run over one node it is the sweep inside it.
    Raises `UsageError`.
    """
    swept = main_sweep(result)
    rows: dict[str, list[CollectiveRow]] = {}
    for row in middle_rows(swept.rows) if swept else ():
        rows.setdefault(row.case.operation, []).append(row)
    written = []
    for operation, own in rows.items():
        place = path if len(rows) == 1 else path.with_name(f"{path.stem}.{operation}{path.suffix or '.json'}")
        begin, end = _clocks(result)
        devices = rank_devices(result, swept.nodes if swept else ())
        document = nccl_document(own, devices=devices, start_time=begin, end_time=end)
        try:
            place.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"can't write {place}: {error.strerror or error}; the run is in the history") from error
        written.append(place)
    return written


def main_sweep(result: RunResult) -> Swept | None:
    """The sweep over all nodes; of a run over one node the one inside it; None where nothing was swept."""
    sweeps = [each for each in result.network.sweeps if each.rows] if result.network else []
    between = [each for each in sweeps if each.scope == BETWEEN]
    return between[0] if between else sweeps[0] if len(sweeps) == 1 else None


def rank_devices(result: RunResult, nodes: Sequence[str]) -> list[RankDevice]:
    """What each rank ran on: a node's GPUs in their order, or its processors together."""
    known = {evidence.node: evidence for evidence in result.evidence}
    found: list[RankDevice] = []
    for node in nodes:
        for index, (pci, name) in enumerate(_devices(known[node]) if node in known else ()):
            found.append(RankDevice(rank=len(found), pid=0, host=node, index=index, pci=pci, name=name))
    return found


def _devices(evidence: NodeEvidence) -> Iterator[tuple[str, str]]:
    gpus = [device for device in evidence.devices if device.kind != "cpu"]
    for device in gpus or evidence.devices[:1]:
        yield (device.pci_bus_id or "").rpartition(".")[0], device.part


def _clocks(result: RunResult) -> tuple[str, str]:
    """Begin and end of the run: ``2026-03-02 08:15:00``, as nccl-tests writes them."""
    begin = datetime.fromisoformat(result.info.started_at)
    return f"{begin:%F %T}", f"{begin + timedelta(seconds=result.seconds):%F %T}"
