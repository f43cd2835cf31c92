"""Judged files as JSON documents, strict and with ``type``, ``schema`` and ``version`` as a run's are. Pure.

For each file one ``facts``: what was read. Last of all one ``verdict``: what was concluded of all of them.
"""

from collections.abc import Iterator, Sequence

from fryer.imports.verdict import FileVerdict
from fryer.outputs.documents import Document, jsonable
from watchdog.vocabulary.verdicts import Verdict, gravest

SCHEMA = "fryer/judge"
VERSION = 1


def verdict_of(files: Sequence[FileVerdict]) -> Verdict:
    """The gravest of the files."""
    return gravest(file.verdict for file in files)


def documents(files: Sequence[FileVerdict]) -> Iterator[Document]:
    """All documents, in order."""
    for file in files:
        yield _document("facts", file=file.file, format=file.format, **_facts(file))
    yield _document("verdict", verdict=verdict_of(files), files=[_file(file) for file in files])


def _document(kind: str, **content: object) -> Document:
    body = {name: jsonable(value) for name, value in content.items()}
    return {"type": kind, "schema": SCHEMA, "version": VERSION, **body}


def _facts(file: FileVerdict) -> Document:
    facts = file.facts
    return {
        "devices": facts.devices,
        "facts": facts.facts,
        "checks": facts.checks,
        "runs": facts.runs,
        "is_complete": file.format is not None and facts.is_complete and file.verdict is not Verdict.ERROR,
    }


def _file(file: FileVerdict) -> Document:
    known = {device.name: device for device in file.known}
    devices = [
        {
            "device": device.device,
            "part": known[device.device].part or None,
            "uuid": known[device.device].uuid or None,
            "serial": known[device.device].serial or None,
            "pci_bus_id": known[device.device].pci_bus_id or None,
            "verdict": device.verdict,
            "reasons": device.reasons,
        }
        for device in file.devices
    ]
    return {
        "file": file.file,
        "format": file.format,
        "verdict": file.verdict,
        "reasons": file.reasons,
        "devices": devices,
    }
