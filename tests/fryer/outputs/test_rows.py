import pytest

from fryer.evidence import DeviceInfo, DeviceVerdict, Measurement, NodeEvidence, NodeVerdict, Reason
from fryer.outputs.rows import limit_of, reasons_of, rows_of
from fryer.records import BYTES, FLOPS
from fryer.verdict import judge
from watchdog.vocabulary.verdicts import Verdict

BF16 = Measurement(
    device="gpu0",
    burn="gemm",
    case="bf16 8192x8192x8192",
    metric=FLOPS,
    value=6.2e14,
    spread_ratio=0.001,
    steady_from_seconds=3.0,
    digest=None,
    series=(),
)


def reason(verdict=Verdict.FAIL, **evidence):
    return Reason(code="x", verdict=verdict, message="", evidence=evidence)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (reason(warn=7e14, fail=6.4e14), ">= 640 TFLOP/s"),
        (reason(Verdict.WARN, warn=7e14, fail=6.4e14), ">= 700 TFLOP/s"),
        (reason(reference=7e14, warn_ratio=0.95, fail_ratio=0.9), ">= 630 TFLOP/s"),
        (reason(Verdict.WARN, expected=7e14, warn_ratio=0.95, fail_ratio=0.9), ">= 665 TFLOP/s"),
        (reason(Verdict.ERROR, ceiling=9.89e14), "<= 989 TFLOP/s"),
        (reason(limit=6.5e14), ">= 650 TFLOP/s"),
        (reason(how="vote"), ""),
    ],
)
def test_a_limit_is_read_from_the_evidence_of_each_kind_of_reason(found, words):
    assert limit_of(found, BF16) == words


def node_of(*reasons, of_node=()):
    evidence = NodeEvidence(
        node="n", devices=(DeviceInfo(name="gpu0", kind="cuda", part="X", uuid="u"),), versions={}, measurements=(BF16,)
    )
    verdict = NodeVerdict(
        node="n",
        verdict=Verdict.FAIL,
        reasons=of_node,
        devices=(DeviceVerdict(device="gpu0", verdict=Verdict.FAIL, reasons=reasons),),
    )
    return evidence, verdict


@pytest.mark.parametrize(
    ("evidence", "verdict"),
    [
        ({"burn": "gemm", "case": BF16.case}, Verdict.FAIL),
        ({"burn": "soak", "case": BF16.case}, Verdict.PASS),
        ({"burn": "gemm", "case": "fp8"}, Verdict.PASS),
        ({"burn": "gemm", "case": BF16.case, "metric": BYTES}, Verdict.PASS),
        ({}, Verdict.PASS),
    ],
)
def test_a_figure_fails_by_reasons_about_it_and_by_no_other(evidence, verdict):
    assert [row.verdict for row in rows_of(*node_of(reason(**evidence)))] == [verdict]


def test_a_figure_of_a_device_without_a_verdict_has_none():
    evidence, verdict = node_of()
    nobody = NodeVerdict(node="n", verdict=Verdict.ERROR, devices=(), reasons=())
    assert [row.verdict for row in rows_of(evidence, nobody)] == [None]
    assert [row.verdict for row in rows_of(evidence, verdict)] == [Verdict.PASS]


def test_a_note_that_passes_marks_no_figure():
    note = reason(Verdict.PASS, burn="gemm", case=BF16.case, warn=1e14)
    [row] = rows_of(*node_of(note))
    assert (row.verdict, row.limit) == (Verdict.PASS, "-")


def test_devices_of_one_case_stand_together_in_the_nodes_order(sample):
    rows = rows_of(sample.evidence, sample.result.verdicts[0])
    assert [row.device for row in rows[:8]] == [f"gpu{i}" for i in range(8)]
    assert {(row.burn, row.case) for row in rows[:8]} == {("gemm", "bf16 8192x8192x8192")}


def test_what_the_real_judges_conclude_of_a_figure_is_in_its_row(sample):
    rows = {(row.device, row.burn, row.case): row for row in rows_of(sample.evidence, judge(sample.evidence))}
    slow = rows["gpu5", "gemm", "bf16 8192x8192x8192"]
    assert (slow.verdict, slow.limit) == (Verdict.FAIL, ">= 640 TFLOP/s")
    assert rows["gpu0", "hbm", "copy"].limit == ">= 2.85 TB/s"
    pair = rows["gpu7", "p2p", "to gpu6"]
    assert (pair.verdict, pair.limit) == (Verdict.FAIL, ">= 352 GB/s")
    assert rows["gpu7", "p2p", "to gpu5"].verdict is Verdict.PASS


def test_reasons_stand_by_subject_the_gravest_first(sample):
    found = [(about.device, about.reason.verdict) for about in reasons_of(sample.result)]
    subjects = list(dict.fromkeys(device for device, _ in found))
    assert subjects == ["gpu2", "gpu5", None, "gpu0"]
    of_gpu5 = [verdict for device, verdict in found if device == "gpu5"]
    assert of_gpu5 == sorted(of_gpu5, key=[Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.WARN].index)
    assert len(set(of_gpu5)) == 3
