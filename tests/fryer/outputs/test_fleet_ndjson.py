"""The stream of a run over many nodes, and its examples in docs/json.md."""

import io
import json
from pathlib import Path

import pytest
from fleet_results import make_fleet

from fryer.collectives.cases import CollectiveCase, CollectiveRow
from fryer.fleet.orders import Ended, Progress, Qualified
from fryer.outputs.fleet_documents import collective_document
from fryer.outputs.fleet_ndjson import FleetJson
from fryer.outputs.ndjson import JsonOutput

PAGE = Path(__file__).parents[3] / "docs" / "json.md"
TYPES = ["state", "ended", "round", "trial", "collective"]


@pytest.fixture(scope="module")
def stream() -> list[dict]:
    """All documents of a run over 48 nodes, of which one was not reached."""
    result, text = make_fleet(48), io.StringIO()
    output = FleetJson(text)
    output.start(result.info)
    output.state("node001", "burning")
    output.message(Progress(node="node001", order="1", what="gemm", seconds=5.0))
    output.message(Qualified(node="node001", order="1", evidence=result.evidence[0]))
    output.message(Ended(node="node035", code="unreachable", message="no connection", exit_code=255))
    output.message(Ended(node="node001", code="done", message=""))
    output.state("node035", "left out", "no connection")
    for this in result.network.rounds:
        output.round(this)
    output.finish(result)
    output.close()
    return [json.loads(line) for line in text.getvalue().splitlines()]


@pytest.fixture(scope="module")
def written(stream) -> dict[str, dict]:
    return {document["type"]: document for document in reversed(stream)}


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def shown(page: str) -> dict[str, dict]:
    examples = (json.loads(line) for line in page.splitlines() if line.startswith('{"type"'))
    return {example["type"]: example for example in examples}


@pytest.mark.parametrize("kind", TYPES)
def test_the_page_shows_each_document_with_the_keys_that_are_written(shown, written, kind: str) -> None:
    assert list(shown[kind]) == list(written[kind])


def test_the_page_shows_a_link_with_the_keys_that_are_written(page, written) -> None:
    example = next(json.loads(line) for line in page.splitlines() if line.startswith('{"nodes"'))
    assert example == written["verdict"]["links"][0]


def test_a_node_is_told_once_when_it_is_qualified_or_else_at_the_end_and_never_when_it_gave_nothing(stream) -> None:
    nodes = [document["node"] for document in stream if document["type"] == "node"]
    assert nodes == [f"node{i:03d}" for i in range(1, 49) if i != 35]
    assert [d["type"] for d in stream[:4]] == ["run", "state", "node", "counted"]


def test_a_worker_that_ended_when_all_was_done_and_signs_of_life_are_no_documents(stream) -> None:
    assert [d["node"] for d in stream if d["type"] == "ended"] == ["node035"]
    assert not [d for d in stream if d["type"] == "progress"]


def test_the_verdict_is_last_and_has_links_and_proof_beside_the_nodes(stream) -> None:
    last = stream[-1]
    assert list(last) == [
        "type",
        "schema",
        "version",
        "run_id",
        "verdict",
        "seconds",
        "nodes",
        "links",
        "proof",
    ]
    assert [node["node"] for node in last["nodes"] if node["verdict"] not in ("PASS", "WARN")] == [
        "node003",
        "node019",
        "node035",
    ]
    assert [(link["nodes"], link["verdict"]) for link in last["links"]] == [(["node007", "node008"], "FAIL")]
    assert last["proof"] == ["47 nodes were measured in pairs; half of the pairs gave 378 GB/s or more."]


def test_a_run_over_one_node_has_no_links_and_no_proof(sample) -> None:
    text = io.StringIO()
    JsonOutput(text).finish(sample.result)
    last = json.loads(text.getvalue().splitlines()[-1])
    assert (last["links"], last["proof"]) == ([], [])


@pytest.mark.parametrize(
    ("operation", "count", "redop", "root"),
    [
        ("all_reduce", 256, "sum", -1),
        ("all_gather", 32, "none", -1),
        ("reduce_scatter", 32, "sum", -1),
        ("broadcast", 256, "none", 0),
        ("sendrecv", 256, "none", -1),
        ("gather", 32, "none", 0),
    ],
)
def test_count_redop_and_root_are_those_of_nccl_tests(operation: str, count: int, redop: str, root: int) -> None:
    row = CollectiveRow(
        case=CollectiveCase(operation=operation, size_bytes=1024),
        repeat=0,
        num_ranks=8,
        seconds=1e-3,
        algbw_bytes_per_second=1e9,
        busbw_bytes_per_second=1.75e9,
        num_wrong=0,
        slowest_seconds=2e-3,
    )
    made = collective_document(row)
    assert (made["count"], made["redop"], made["root"]) == (count, redop, root)
    assert (made["time"], made["slowest_time"], made["alg_bw"], made["bus_bw"]) == (1000.0, 2000.0, 1.0, 1.75)
