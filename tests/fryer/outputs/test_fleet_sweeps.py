"""What is shown of sweeps: in the text, on the page, in the JSON of a run and in that of nccl-tests."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from fleet_results import names
from swept_results import GIB, MIB, SLOW, between, inside, swept_fleet

from fryer.archive import load, save
from fryer.exchange import result_from_json, result_to_json
from fryer.imports.verdict import judge_text
from fryer.outputs.fleet_html import render_fleet
from fryer.outputs.fleet_ndjson import FleetJson
from fryer.outputs.fleet_sweeps import sweep_charts, sweep_lines
from fryer.outputs.fleet_table import fleet_text
from fryer.outputs.nccl_file import check_place, write_nccl
from fryer.result import RunResult
from watchdog.store import Store
from watchdog.vocabulary.errors import UsageError

NODES = names(2)


def one_node(result: RunResult) -> RunResult:
    return replace(result, evidence=result.evidence[:1], verdicts=result.verdicts[:1], links=(), proof=())


@pytest.fixture
def healthy() -> RunResult:
    return swept_fleet(inside("node001", 479), inside("node002", 471), between(NODES))


def test_the_text_says_what_was_concluded_and_has_the_table_of_nccl_tests(healthy: RunResult) -> None:
    assert sweep_lines(healthy) == [
        "inside each of 2 nodes  all_reduce at 8 GiB: median 475 GB/s, lowest node002 471 GB/s",
        "sweep over 2 nodes  PASS at_expected: all_reduce over 16 ranks reached 470 GB/s at 1 GiB",
        "  not measured: node009 is not among them: its own network is not fit",
    ]
    text = fleet_text(healthy)
    assert "# Collective test starting: all_reduce_perf\n" in text
    assert "#  Rank  0 Group  0 Pid      0 on    node001 device  0 [0000:1b:00] NVIDIA H100 80GB HBM3\n" in text
    assert len([line for line in text.splitlines() if line.lstrip().startswith(f"{GIB} ")]) == 1


@pytest.mark.parametrize(("num_wrong", "verdict", "code"), [(0, "PASS", "results_right"), (3, "FAIL", "wrong_results")])
def test_the_table_is_read_as_an_output_of_nccl_tests(num_wrong: int, verdict: str, code: str) -> None:
    text = fleet_text(swept_fleet(between(NODES, num_wrong=num_wrong)))
    judged = judge_text("nccl", f"#{text.partition(chr(10) * 2 + '#')[2]}", None)
    assert judged.verdict == verdict
    assert code in {reason.code for reason in judged.reasons}


def test_a_group_that_is_slow_is_in_the_headline_and_in_what_to_do_and_in_the_last_line() -> None:
    result = swept_fleet(between(NODES, SLOW))
    fit = replace(
        result,
        evidence=result.evidence[:2],
        verdicts=result.verdicts[:2],
        info=replace(result.info, plan=replace(result.info.plan, nodes=NODES)),
    )
    text = fleet_text(fit)
    assert "Collectives over 2 nodes together: FAIL; all 2 nodes are fit.\n" in text
    assert "  1. node[001-002] (below_expected): look at what the nodes share" in text
    assert text.endswith("all nodes: FAIL (for collectives over all of them, not for one of 2 nodes)\n")


def test_the_page_draws_bus_bandwidth_over_size_and_tells_each_size(healthy: RunResult) -> None:
    page = render_fleet(healthy)
    assert "Bus bandwidth over 2 nodes" in page
    assert "Over 2 nodes: all_reduce over 16 ranks reached 470 GB/s at 1 GiB." in page
    assert "Inside each of 2 nodes: all_reduce at 8 GiB: median 475 GB/s, lowest node002 471 GB/s." in page
    assert '<td class="number">33554432</td>' in page


def test_a_curve_has_a_line_a_place_a_level_that_is_typical_and_crosses_where_sums_are_wrong() -> None:
    [chart] = sweep_charts(swept_fleet(between(NODES, num_wrong=2)))
    traces = chart.figure["data"]
    assert isinstance(traces, list)
    assert [trace["name"] for trace in traces] == ["all_reduce", "all_reduce, in place", "wrong elements", "typical"]
    assert traces[0]["x"] == [MIB, 32 * MIB, GIB]
    assert traces[0]["y"] == pytest.approx([0.4 * MIB / 1e6, 0.4 * 32 * MIB / 1e6, 0.4 * GIB / 1e6])
    assert traces[2]["x"] == [GIB, GIB]
    assert traces[3]["y"] == [479.0, 479.0]


def test_one_size_is_no_curve() -> None:
    assert sweep_charts(one_node(swept_fleet(inside("node001", 479)))) == []


def test_of_a_run_over_one_node_the_sweep_inside_it_is_shown() -> None:
    result = one_node(swept_fleet(inside("node001", 479)))
    assert sweep_lines(result) == [
        "inside node001  PASS at_expected: all_reduce over 16 ranks reached 470 GB/s at 1 GiB"
    ]
    assert "# Collective test starting: all_reduce_perf" in fleet_text(result)


def test_the_stream_has_each_row_and_after_them_what_was_concluded(healthy: RunResult) -> None:
    text = io.StringIO()
    FleetJson(text).finish(healthy)
    found = [json.loads(line) for line in text.getvalue().splitlines()]
    rows = [d for d in found if d["type"] == "collective" and d["scope"] != "round"]
    assert [(d["scope"], d["node"]) for d in rows] == [
        *[("inside", "node001")] * 3,
        *[("inside", "node002")] * 3,
        *[("between", None)] * 6,
    ]
    swept = [d for d in found if d["type"] == "sweep"]
    assert [(d["scope"], d["nodes"], d["verdict"], d["num_rows"]) for d in swept] == [
        ("inside", ["node001"], "PASS", 3),
        ("inside", ["node002"], "PASS", 3),
        ("between", ["node001", "node002"], "PASS", 6),
    ]
    assert found[-1]["type"] == "verdict"


def test_the_json_of_nccl_tests_is_written_and_read_back_by_the_judge(healthy: RunResult, tmp_path: Path) -> None:
    [written] = write_nccl(healthy, tmp_path / "sweep.json")
    document = json.loads(written.read_text())
    assert (document["version"], document["args"], document["start_time"]) == (
        3,
        ["all_reduce_perf"],
        "2026-03-02 08:15:00",
    )
    assert document["end_time"] == "2026-03-02 08:27:34"
    assert [result["size"] for result in document["results"]] == [MIB, 32 * MIB, GIB]
    assert len(document["config"]["devices"]) == 16
    assert document["config"]["devices"][8]["hostname"] == "node002"
    judged = judge_text("nccl_json", written.read_text(), None)
    assert judged.verdict == "PASS"
    assert "results_right" in {reason.code for reason in judged.reasons}


def test_several_operations_have_a_file_each(tmp_path: Path) -> None:
    written = write_nccl(swept_fleet(between(NODES, num=2)), tmp_path / "sweep.json")
    assert [path.name for path in written] == ["sweep.all_reduce.json", "sweep.all_gather.json"]
    assert sorted(tmp_path.iterdir()) == sorted(written)


def test_where_nothing_was_swept_no_file_is_written(tmp_path: Path) -> None:
    assert write_nccl(swept_fleet(), tmp_path / "sweep.json") == []
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_hold_the_file_is_refused_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no directory .*; make it first"):
        check_place(tmp_path / "absent" / "sweep.json")
    with pytest.raises(UsageError, match="it is a directory; name a file"):
        check_place(tmp_path)


def test_sweeps_are_kept_with_the_run(healthy: RunResult, tmp_path: Path) -> None:
    assert result_from_json(json.loads(json.dumps(result_to_json(healthy)))).network == healthy.network
    store = Store.open(tmp_path)
    save(store, healthy)
    kept = load(store, healthy.info.run_id)
    assert kept.network is not None
    assert healthy.network is not None
    assert [each.rows for each in kept.network.sweeps] == [each.rows for each in healthy.network.sweeps]
    assert kept.group_sweeps[0].judgements == healthy.group_sweeps[0].judgements
