"""A run over many nodes as NDJSON on stdout: one JSON document a line, each flushed (docs/json.md).

In order: one ``run``; then, as they happen, ``state`` and ``ended`` of nodes, ``round`` of the network, and of each
node that came through its burns ``node``, ``mismatch``, ``problem`` and ``counted``; at the end all ``measurement``,
``trial``, ``collective`` and ``sweep``, and last of all one ``verdict``. Series stay on the nodes and in the store:
16,384 GPUs give too many points to stream.

A node that an earlier, resumed run had qualified is told at the end. It must not handle a reader that went away:
BrokenPipeError goes to the caller, who ends the run.
"""

import json
from typing import TextIO

from fryer.evidence import NodeEvidence
from fryer.fleet.orders import Ended, Message, Qualified
from fryer.localise import Round
from fryer.outputs import documents, fleet_documents
from fryer.outputs.documents import Document
from fryer.records import Record
from fryer.result import RunInfo, RunResult


class FleetJson:
    """Writes each document to `stream` as it happens; raises BrokenPipeError when nobody reads any more."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._told: set[str] = set()

    def start(self, info: RunInfo) -> None:
        """Write the ``run`` document."""
        self._write(documents.run_document(info))

    def state(self, node: str, state: str, why: str = "") -> None:
        """Write a ``state`` document."""
        self._write(fleet_documents.state_document(node, state, why))

    def message(self, message: Message) -> None:
        """Write what a node found, or how its worker ended; signs of life are left out."""
        match message:
            case Qualified():
                self._node(message.evidence)
            case Ended() if message.code != "done":
                self._write(fleet_documents.ended_document(message))

    def round(self, this: Round) -> None:
        """Write a ``round`` document."""
        self._write(fleet_documents.round_document(this))

    def sweep(self, scope: str, groups: tuple[tuple[str, ...], ...], what: str) -> None:
        """What it gives is written at the end."""

    def finish(self, result: RunResult) -> None:
        """Write all figures, and the ``verdict`` last."""
        for evidence in result.evidence:
            if evidence.devices:
                self._node(evidence)
        for evidence in result.evidence:
            for document in documents.measurement_documents(evidence):
                self._write(document)
        if result.network is not None:
            for trial in result.network.trials:
                self._write(fleet_documents.trial_document(trial))
            for row in result.network.rows:
                self._write(fleet_documents.collective_document(row))
            for swept in result.network.sweeps:
                for row in swept.rows:
                    self._write(fleet_documents.collective_document(row, swept))
                self._write(fleet_documents.sweep_document(swept))
        self._write(documents.verdict_document(result))

    def close(self) -> None:
        """Nothing is held: each line was flushed."""

    def _node(self, evidence: NodeEvidence) -> None:
        if evidence.node in self._told:
            return
        self._told.add(evidence.node)
        self._write(documents.node_document(evidence.node, evidence.devices))
        records: tuple[Record, ...] = (*evidence.mismatches, *evidence.problems, *evidence.counted)
        for record in records:
            document = documents.record_document(evidence.node, record)
            if document is not None:
                self._write(document)

    def _write(self, document: Document) -> None:
        self._stream.write(json.dumps(document, allow_nan=False) + "\n")
        self._stream.flush()
