"""docs/json.md, from which people write their scripts, shows the documents as they are written."""

import io
import json
from pathlib import Path

import pytest

from fryer.outputs.ndjson import JsonOutput

PAGE = Path(__file__).parents[3] / "docs" / "json.md"
TYPES = ["run", "node", "phase", "point", "mismatch", "problem", "counted", "reading", "measurement", "verdict"]
FREE = ("evidence", "versions")
"""Objects whose keys depend on what was found."""


def shape(value: object) -> object:
    """Names of all keys, down to the leaves; of a list, the shape of its first element."""
    if isinstance(value, dict):
        return {key: "free" if key in FREE else shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "value"


@pytest.fixture(scope="module")
def shown() -> dict[str, object]:
    """The example of each type, in the order of the page; those of a run over many nodes: `test_fleet_ndjson`."""
    page = PAGE.read_text(encoding="utf-8").partition("## A run over many nodes")[0]
    lines = [line for line in page.splitlines() if line.startswith('{"type"')]
    return {example["type"]: example for example in map(json.loads, lines)}


@pytest.fixture(scope="module")
def written(sample) -> dict[str, object]:
    """The first document of each type that a run writes."""
    stream = io.StringIO()
    output, evidence = JsonOutput(stream), sample.evidence
    output.start(sample.result.info)
    output.node(evidence.node, evidence.devices)
    output.phase(evidence.node, "gemm", 40.0)
    for record in (evidence.measurements[0].series[0], *evidence.mismatches, *evidence.problems, *evidence.counted):
        output.record(evidence.node, record)
    output.reading(evidence.node, *sample.readings[0])
    output.finish(sample.result)
    documents = [json.loads(line) for line in stream.getvalue().splitlines()]
    return {document["type"]: document for document in reversed(documents)}


def test_every_type_has_an_example_in_the_order_of_the_stream(shown) -> None:
    assert list(shown) == TYPES


@pytest.mark.parametrize("kind", TYPES)
def test_an_example_has_the_keys_that_are_written_down_to_the_leaves(shown, written, kind: str) -> None:
    assert list(shown[kind]) == list(written[kind])
    if kind != "verdict":
        assert shape(shown[kind]) == shape(written[kind])


def test_the_example_of_a_verdict_has_the_keys_of_nodes_devices_and_reasons(shown, written) -> None:
    example, document = shown["verdict"]["nodes"][0], written["verdict"]["nodes"][0]
    assert list(example) == list(document)
    assert list(example["devices"][0]) == list(document["devices"][0])
    assert [list(reason) for reason in example["reasons"]] == [list(reason) for reason in document["reasons"]]
