"""A run as NDJSON on stdout, for scripts: one JSON document a line, each line flushed.

The contract (docs/json.md has an example of each document):

- Each line is strict JSON with ``type``, ``schema`` (``fryer/run``) and ``version`` (1). NaN and infinity never appear:
  what is no number is null.
- In order: one ``run``; per node one ``node``; then ``phase``, ``point``, ``mismatch``, ``problem``, ``counted`` and
  ``reading`` as they happen; at the end one ``measurement`` for each figure, and last of all one ``verdict``.
  A stream without a ``verdict`` as its last line is of a run that broke.
- Digests of single products are not streamed; a ``measurement`` of gemm has the digest of all its products.
- Keys may be added within a version; a reader ignores keys and types that it does not know.

It must not handle a reader that went away: BrokenPipeError goes to the caller, who ends the run.
"""

import json
from typing import TextIO

from fryer.evidence import DeviceInfo
from fryer.outputs import documents
from fryer.outputs.documents import Document
from fryer.records import Record
from fryer.result import RunInfo, RunResult
from watchdog.collectors.readings import GpuReading


class JsonOutput:
    """Writes each document to `stream` as it happens; raises BrokenPipeError when nobody reads any more."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def start(self, info: RunInfo) -> None:
        """Write the ``run`` document."""
        self._write(documents.run_document(info))

    def node(self, node: str, devices: tuple[DeviceInfo, ...]) -> None:
        """Write a ``node`` document."""
        self._write(documents.node_document(node, devices))

    def phase(self, node: str, burn: str, seconds: float) -> None:
        """Write a ``phase`` document."""
        self._write(documents.phase_document(node, burn, seconds))

    def record(self, node: str, record: Record) -> None:
        """Write a ``point``, ``mismatch``, ``problem`` or ``counted`` document."""
        document = documents.record_document(node, record)
        if document is not None:
            self._write(document)

    def reading(self, node: str, device: str, reading: GpuReading) -> None:
        """Write a ``reading`` document."""
        self._write(documents.reading_document(node, device, reading))

    def finish(self, result: RunResult) -> None:
        """Write the ``measurement`` documents, and the ``verdict`` last."""
        for evidence in result.evidence:
            for document in documents.measurement_documents(evidence):
                self._write(document)
        self._write(documents.verdict_document(result))

    def close(self) -> None:
        """Nothing is held: each line was flushed."""

    def _write(self, document: Document) -> None:
        self._stream.write(json.dumps(document, allow_nan=False) + "\n")
        self._stream.flush()
