import io

from fryer.evidence import DeviceInfo, DeviceVerdict, Measurement, NodeEvidence, NodeVerdict, Reason
from fryer.outputs.table import TableOutput, final_text
from fryer.plan import Phase, Plan
from fryer.records import BYTES, FLOPS, Counted, Mismatch, Point, Problem
from fryer.result import RunInfo, RunResult
from watchdog.collectors.readings import GpuReading
from watchdog.vocabulary.verdicts import Verdict

INFO = RunInfo(
    run_id="3f2a91c4-0000-4000-8000-000000000001",
    started_at="2026-03-02T08:15:00Z",
    plan=Plan(
        nodes=("node001",),
        dtypes=(),
        seed=7,
        memory_ratio=None,
        phases=(Phase(burn="gemm", seconds=40.0), Phase(burn="pcie", seconds=10.0)),
    ),
    command="fryer run --nodes node001 --duration 50s",
)

GOLDEN = """\
run 3f2a91c4  2026-03-02T08:15:00Z  took 52.5s
fryer run --nodes node001 --duration 50s

node001  2 x Some GPU
fryer 0.1.0, driver 570.86.15

burn  case                 device        value  vs median  spread  steady             limit  verdict
gemm  bf16 8192x8192x8192  gpu0    729 TFLOP/s      +9.9%    0.4%  from 4s                -  PASS
gemm  bf16 8192x8192x8192  gpu1    598 TFLOP/s      -9.9%    2.1%  never     >= 640 TFLOP/s  FAIL

pcie  h2d                  gpu0      55.3 GB/s          -    0.1%  from 43s               -  PASS

verified: 118,764 products, 1.27 TB; 0 mismatches

gpu1 FAIL below_floor: bf16 reached 598 TFLOP/s, floor 640 TFLOP/s
  check its cooling
  repeat: fryer run --nodes node001 --burns gemm
node001 WARN busy: other processes used 20% of the host

node001: FAIL (1 of 2 devices)
"""


def measured(device, burn, case, metric, value, spread, steady):
    return Measurement(
        device=device,
        burn=burn,
        case=case,
        metric=metric,
        value=value,
        spread_ratio=spread,
        steady_from_seconds=steady,
        digest=None,
        series=(),
    )


def result_of(*nodes, verdicts):
    return RunResult(info=INFO, seconds=52.5, evidence=nodes, verdicts=verdicts)


def two_devices(node="node001"):
    devices = tuple(DeviceInfo(name=f"gpu{i}", kind="cuda", part="Some GPU", uuid=f"GPU-{i}") for i in range(2))
    evidence = NodeEvidence(
        node=node,
        devices=devices,
        versions={"fryer": "0.1.0", "driver": "570.86.15"},
        measurements=(
            measured("gpu1", "gemm", "bf16 8192x8192x8192", FLOPS, 5.98e14, 0.021, None),
            measured("gpu0", "gemm", "bf16 8192x8192x8192", FLOPS, 7.29e14, 0.004, 3.9),
            measured("gpu0", "pcie", "h2d", BYTES, 5.53e10, 0.001, 43.0),
        ),
        counted=(
            Counted(device="gpu0", burn="gemm", case="bf16", what="products", count=118_764),
            Counted(device="gpu0", burn="memory", case="", what="bytes", count=1_270_000_000_000),
        ),
    )
    slow = Reason(
        code="below_floor",
        verdict=Verdict.FAIL,
        message="bf16 reached 598 TFLOP/s, floor 640 TFLOP/s",
        evidence={
            "burn": "gemm",
            "case": "bf16 8192x8192x8192",
            "metric": FLOPS,
            "value": 5.98e14,
            "warn": 7.0e14,
            "fail": 6.4e14,
        },
        remedy="check its cooling",
        repeat=f"fryer run --nodes {node} --burns gemm",
    )
    note = Reason(code="no_floor", verdict=Verdict.PASS, message="no floor for Some GPU", evidence={})
    busy = Reason(code="busy", verdict=Verdict.WARN, message="other processes used 20% of the host", evidence={})
    verdict = NodeVerdict(
        node=node,
        verdict=Verdict.FAIL,
        reasons=(busy,),
        devices=(
            DeviceVerdict(device="gpu0", verdict=Verdict.PASS, reasons=(note,)),
            DeviceVerdict(device="gpu1", verdict=Verdict.FAIL, reasons=(slow,)),
        ),
    )
    return evidence, verdict


def wrong_result():
    return Mismatch(
        device="gpu2",
        burn="gemm",
        case="bf16",
        seed=7,
        round=3,
        pair=1,
        at_seconds=9.4,
        index=40217,
        num_wrong=1,
        expected="3f9d",
        read="3fdd",
        is_nan=False,
        reproduced=False,
        how="vote",
    )


def test_the_final_text_says_every_figure_every_reason_and_ends_with_the_verdict():
    evidence, verdict = two_devices()
    assert final_text(result_of(evidence, verdicts=(verdict,))) == GOLDEN


def test_notes_that_pass_are_not_listed_among_the_reasons():
    evidence, verdict = two_devices()
    assert "no_floor" not in final_text(result_of(evidence, verdicts=(verdict,)))


def test_of_two_nodes_each_is_told_with_its_devices_before_the_last_line():
    first, of_first = two_devices("node001")
    second, of_second = two_devices("node002")
    lines = final_text(result_of(first, second, verdicts=(of_first, of_second))).splitlines()
    assert lines[-1] == "all nodes: FAIL (2 of 2 nodes)"
    place = lines.index("node002  FAIL")
    assert lines[place + 1].startswith("  gpu1 FAIL below_floor: ")


def test_a_run_that_reached_no_node_ends_with_a_line_that_is_no_pass():
    assert final_text(result_of(verdicts=())).splitlines()[-1] == "SKIPPED (no node was reached)"


def test_a_stopped_run_says_so():
    evidence, verdict = two_devices()
    stopped = NodeEvidence(node="node001", devices=evidence.devices, versions={}, interrupted="Ctrl-C")
    assert "stopped early: Ctrl-C" in final_text(result_of(stopped, verdicts=(verdict,))).splitlines()


def test_the_matrix_shows_every_pair_of_devices_and_marks_the_slow_ones(sample):
    lines = final_text(sample.result).splitlines()
    start = lines.index("p2p  GB/s, from the row's device to the column's; * outside its limit")
    assert lines[start + 1].split() == [f"gpu{i}" for i in range(8)]
    matrix = {line.split()[0]: line.split()[1:] for line in lines[start + 2 : start + 10]}
    assert [row.index("-") for row in matrix.values()] == list(range(8))
    marked = {(name, i) for name, row in matrix.items() for i, cell in enumerate(row) if cell.endswith("*")}
    assert marked == {("gpu6", 7), ("gpu7", 6)}


def test_stderr_gets_one_line_a_change_of_state_and_stdout_only_the_table():
    out, err = io.StringIO(), io.StringIO()
    evidence, verdict = two_devices()
    output = TableOutput(out, err)
    output.start(INFO)
    output.node("node001", evidence.devices)
    output.phase("node001", "gemm", 40.0)
    output.record("node001", Point(device="gpu0", burn="gemm", case="bf16", metric=FLOPS, at_seconds=1.0, value=7e14))
    output.reading("node001", "gpu0", GpuReading(uuid="GPU-0", at_seconds=1.0))
    output.record("node001", wrong_result())
    output.record(
        "node001",
        Problem(
            device="gpu1",
            burn="gemm",
            case="fp8",
            verdict=Verdict.ERROR,
            code="crashed",
            message="the worker ended with signal 9",
        ),
    )
    output.finish(result_of(evidence, verdicts=(verdict,)))
    output.close()
    assert err.getvalue().splitlines() == [
        "run 3f2a91c4 began: gemm 40.0s, pcie 10.0s",
        "node001: 2 x Some GPU",
        "node001: gemm began, 40.0s",
        "node001 gpu2 gemm bf16: mismatch at 9.4s, found by vote: 1 wrong, expected 3f9d, read 3fdd, not reproduced",
        "node001 gpu1 gemm fp8: ERROR crashed: the worker ended with signal 9",
    ]
    assert out.getvalue() == GOLDEN


def test_a_message_of_several_lines_stays_one_line_and_can_not_move_the_cursor():
    err = io.StringIO()
    output = TableOutput(io.StringIO(), err)
    output.record(
        "node001",
        Problem(
            device="gpu1",
            burn="gemm",
            case="",
            verdict=Verdict.ERROR,
            code="crashed",
            message="CUDA error\n\x1b[2Jdevice lost",
        ),
    )
    assert err.getvalue() == "node001 gpu1 gemm: ERROR crashed: CUDA error  [2Jdevice lost\n"


def test_a_device_that_is_always_wrong_does_not_flood_the_log():
    err = io.StringIO()
    output = TableOutput(io.StringIO(), err)
    for _ in range(1234):
        output.record("node001", wrong_result())
    assert [line.rpartition(": ")[2] for line in err.getvalue().splitlines()[1:]] == [
        "10 mismatches so far",
        "100 mismatches so far",
        "1,000 mismatches so far",
    ]
