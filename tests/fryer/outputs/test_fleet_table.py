"""The text of a run over many nodes, whole: what people read first and what they paste from it."""

import io
from dataclasses import replace

import pytest
from fleet_results import evidence_of, make_fleet, names, slow_network, unreachable, verdict_of, warm

from fryer.evidence import NodeEvidence, Reason
from fryer.fleet.orders import Collected, Ended, Progress, Qualified
from fryer.outputs.fleet_table import FleetTable, fleet_text, peak_rows
from fryer.outputs.table import final_text
from watchdog.vocabulary.verdicts import Verdict

FOUR = """\
run 3f2a91c4  2026-03-02T08:15:00Z  took 12m34s
fryer run --nodes node[001-004] --duration 1m40s

Do not use node003; 3 of 4 nodes are fit.
4 nodes: 1 FAIL, 3 PASS
8 x NVIDIA H100 80GB HBM3 each

node003  FAIL
  gpu3 FAIL below_floor: gemm bf16 8192x8192x8192 at 598 TFLOP/s, floor 650 TFLOP/s

what to do, most urgent first
  1. node003 gpu3 (below_floor): look at its clocks, power cap and cooling (nvidia-smi -q), and at its neighbours; then replace it
     repeat: fryer run --nodes node003 --burns gemm --duration 40s --seed 7

between nodes  3 measurements in 2 rounds, healthy: 378 GB/s
  4 nodes were measured in pairs; half of the pairs gave 378 GB/s or more.

  operation     size (B)  type   ranks  time (us)  algbw (GB/s)  busbw (GB/s)  #wrong
  all_reduce  1073741824  float     32     5651.3        190.00        376.20       0
  all_gather  1073741824  float     32     2902.0        370.00        366.30       0

node[001-002,004]  PASS

all nodes: FAIL (1 of 4 nodes)
"""  # noqa: E501

FORTY_EIGHT = """\
run 3f2a91c4  2026-03-02T08:15:00Z  took 12m34s
fryer run --nodes node[001-048] --duration 1m40s

Do not use node[003,019]; cannot tell of node035; 1 path between nodes to look at; 45 of 48 nodes are fit.
48 nodes: 2 FAIL, 1 ERROR, 45 PASS
8 x NVIDIA H100 80GB HBM3 each

node003  FAIL
  gpu3 FAIL below_floor: gemm bf16 8192x8192x8192 at 598 TFLOP/s, floor 650 TFLOP/s

node019  FAIL
  node FAIL slow_network: node019 failed with node001 and node002; node001-node002 passed at 378 GB/s; node019 gave at best 212 GB/s, 56 % of 378 GB/s

node035  ERROR
  node ERROR unreachable: no connection to node035 within 15.0s: No route to host

paths between nodes
  node007-node008 FAIL slow_path: node007-node008 was slow at 189 GB/s; node007 passed with node006 at 378 GB/s and node008 with node009 at 377 GB/s

what to do, most urgent first
  1. node003 gpu3 (below_floor): look at its clocks, power cap and cooling (nvidia-smi -q), and at its neighbours; then replace it
     repeat: fryer run --nodes node003 --burns gemm --duration 40s --seed 7
  2. node019 (slow_network): check its NICs, cables and transceivers (ibstat, mlxlink), and the switch ports they are in
     repeat: fryer run --nodes node001,node019
  3. node007-node008 (slow_path): both nodes are fit with others: check the cables, optics and switch ports between them, and the route that their traffic takes; keep the two apart in a job until then
     repeat: fryer run --nodes 'node[007-008]' --simulate fleet.toml
  4. node035 (unreachable): see whether it is up and whether ssh reaches it without a password

between nodes  47 measurements in 3 rounds, healthy: 378 GB/s
  47 nodes were measured in pairs; half of the pairs gave 378 GB/s or more.

  operation     size (B)  type   ranks  time (us)  algbw (GB/s)  busbw (GB/s)  #wrong
  all_reduce  1073741824  float    368     5651.3        190.00        376.20       0
  all_gather  1073741824  float    368     2902.0        370.00        366.30       0

node[001-002,004-018,020-034,036-048]  PASS

all nodes: FAIL (2 of 48 nodes)
"""  # noqa: E501


def test_the_text_of_four_nodes():
    assert fleet_text(make_fleet(4)) == FOUR


def test_the_text_of_48_nodes_names_nodes_paths_and_what_to_do_with_the_most_urgent_first():
    assert fleet_text(make_fleet(48)) == FORTY_EIGHT


def test_a_run_over_more_than_one_node_gets_this_text_everywhere():
    result = make_fleet(4)
    assert final_text(result) == fleet_text(result)


def fleet_of(*pairs):
    evidence, verdicts = zip(*pairs, strict=True)
    return replace(make_fleet(2), evidence=evidence, verdicts=verdicts, network=None, links=(), proof=())


def healthy(node):
    evidence = evidence_of(node, num_gpus=1)
    return evidence, verdict_of(evidence)


def test_a_healthy_fleet_is_a_few_lines():
    text = fleet_text(fleet_of(*(healthy(node) for node in names(3))))
    assert text.splitlines()[3:] == [
        "All 3 nodes are fit.",
        "3 nodes: 3 PASS",
        "1 x NVIDIA H100 80GB HBM3 each",
        "",
        "node[001-003]  PASS",
        "",
        "all nodes: PASS (3 of 3 nodes)",
    ]


def test_a_fleet_whose_paths_alone_are_bad_says_so_in_the_last_line():
    result = fleet_of(*(healthy(node) for node in names(3)))
    result = replace(result, links=make_fleet(48).links)
    text = fleet_text(result)
    assert text.splitlines()[3] == "1 path between nodes to look at; all 3 nodes are fit."
    assert text.splitlines()[-1] == "all nodes: FAIL (for paths between nodes, not for one of 3 nodes)"


def test_nodes_beyond_a_screen_are_told_in_groups_of_one_fate():
    dead = [(NodeEvidence(node=n, devices=(), versions={}), n) for n in names(2000)]
    pairs = [(e, verdict_of(e, of_node=(unreachable(n),))) for e, n in dead]
    text = fleet_text(fleet_of(*pairs))
    assert "node[0025-2000]  ERROR  1,976 more nodes, for example\nnode0025  ERROR\n" in text
    assert text.count("\n") < 100
    assert "  1. node[0001-2000] (unreachable): see whether it is up" in text


def test_a_node_with_many_reasons_shows_the_gravest_three():
    evidence = evidence_of("node001", num_gpus=6)
    verdict = verdict_of(
        evidence,
        of_node=(slow_network("node001", "node002", "node003"),),
        of_devices={f"gpu{i}": (warm("node001"),) for i in range(6)},
    )
    lines = fleet_text(fleet_of((evidence, verdict), healthy("node002"))).splitlines()
    place = lines.index("node001  FAIL")
    assert lines[place + 1].startswith("  node FAIL slow_network: node001 failed with node002 and node003")
    assert [line.split(":")[0] for line in lines[place + 2 : place + 4]] == [
        "  gpu0 WARN unsteady",
        "  gpu1 WARN unsteady",
    ]
    assert lines[place + 4] == "  and 4 more reasons"


def test_equal_remedies_are_one_thing_to_do_for_all_whom_they_concern():
    pairs = []
    for node in names(6):
        evidence = evidence_of(node, num_gpus=1)
        pairs.append((evidence, verdict_of(evidence, of_devices={"gpu0": (warm(node),)})))
    lines = fleet_text(fleet_of(*pairs)).splitlines()
    assert [line for line in lines if "(unsteady)" in line] == [
        "  1. node[001-006] (unsteady): run it for longer, and watch its temperatures"
    ]


def test_control_characters_of_a_worker_do_not_reach_the_terminal():
    reason = Reason(code="died", verdict=Verdict.ERROR, message="\x1b[2J\nbad", evidence={}, remedy="re\x1bad")
    evidence = NodeEvidence(node="node001", devices=(), versions={})
    text = fleet_text(fleet_of((evidence, verdict_of(evidence, of_node=(reason,))), healthy("node002")))
    assert "\x1b" not in text


def test_several_codes_of_the_same_devices_are_one_thing_to_do():
    evidence = evidence_of("node001", num_gpus=2)
    reasons = (replace(warm("node001"), code="below_node", remedy="look at its neighbours"), warm("node001"))
    pair = evidence, verdict_of(evidence, of_devices={"gpu0": reasons})
    lines = fleet_text(fleet_of(pair, healthy("node002"))).splitlines()
    assert "  1. node001 gpu0 (below_node, unsteady): look at its neighbours" in lines
    assert not any(line.startswith("  2. ") for line in lines)


def test_what_was_skipped_is_no_reason_against_a_node_that_has_others():
    skipped = Reason(code="unsupported", verdict=Verdict.SKIPPED, message="no fp64", evidence={})
    evidence = evidence_of("node001", num_gpus=1)
    pair = evidence, verdict_of(evidence, of_node=(skipped,), of_devices={"gpu0": (warm("node001"),)})
    assert "no fp64" not in fleet_text(fleet_of(pair, healthy("node002")))
    alone = NodeEvidence(node="node001", devices=(), versions={})
    assert "  node SKIPPED unsupported: no fp64" in fleet_text(
        fleet_of((alone, verdict_of(alone, of_node=(skipped,))), healthy("node002"))
    )


def test_a_set_with_many_holes_is_only_counted():
    pairs = []
    for index, node in enumerate(names(200)):
        evidence = evidence_of(node, num_gpus=1)
        found = {"gpu0": (warm(node),)} if index % 2 else {}
        pairs.append((evidence, verdict_of(evidence, of_devices=found)))
    assert "all other 100 nodes  PASS" in fleet_text(fleet_of(*pairs)).splitlines()


def test_of_a_collective_the_largest_size_is_shown_its_median_repeat_and_all_wrong_elements():
    rows = make_fleet(4).network.rows
    repeats = [replace(rows[1], repeat=i, busbw_bytes_per_second=v, num_wrong=i) for i, v in enumerate((3e9, 1e9, 2e9))]
    assert [(row.repeat, row.num_wrong) for row in peak_rows([rows[0], *repeats])] == [(2, 3)]


class TestWhileItRuns:
    @pytest.fixture
    def told(self):
        return io.StringIO(), io.StringIO()

    def test_states_are_said_when_all_came_so_far_and_those_left_out_at_once(self, told):
        out, err = told
        output, result = FleetTable(*told), make_fleet(4)
        output.start(result.info)
        output.state("node001", "connected")
        output.state("node002", "connected")
        output.state("node004", "left out", "no connection to node004")
        output.state("node003", "connected")
        output.round(result.network.rounds[0])
        output.close()
        assert err.getvalue().splitlines() == [
            "run 3f2a91c4 began on node[001-004]: gemm 40.0s, hbm 10.0s, pcie 10.0s, soak 40.0s",
            "node004: left out: no connection to node004",
            "3 nodes: connected",
            "round 1: 2 groups, first matching",
        ]
        assert out.getvalue() == ""

    @pytest.mark.parametrize(
        ("message", "line"),
        [
            (Ended(node="n1", code="died", message="killed by signal 9"), "n1: died: killed by signal 9"),
            (Ended(node="n1", code="done", message="done"), ""),
            (Progress(node="n1", order="1", what="gemm", seconds=5.0), ""),
            (
                Progress(node="n1", order="1", what="gemm", seconds=5.0, problems=("gpu0: wrong",)),
                "n1 gemm: gpu0: wrong",
            ),
            (Collected(node="n1", order="1", problem="node002 did not come"), "n1: node002 did not come"),
            (Collected(node="n1", order="1"), ""),
            (Qualified(node="n1", order="1", evidence=make_fleet(64).evidence[50]), "n1: 1 wrong result"),
        ],
    )
    def test_of_a_message_only_trouble_is_said(self, told, message, line):
        FleetTable(*told).message(message)
        assert told[1].getvalue() == (line + "\n" if line else "")

    def test_the_same_trouble_of_a_burn_is_said_once(self, told):
        output = FleetTable(*told)
        for seconds in (5.0, 10.0):
            output.message(Progress(node="n1", order="1", what="gemm", seconds=seconds, problems=("gpu0: wrong",)))
        assert told[1].getvalue() == "n1 gemm: gpu0: wrong\n"

    def test_at_the_end_the_text_goes_to_stdout(self, told):
        result = make_fleet(4)
        FleetTable(*told).finish(result)
        assert told[0].getvalue() == fleet_text(result)
