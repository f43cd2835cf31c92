import ast
import json
import random
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fryer.judges
from fryer.evidence import PastMeasurement
from fryer.judges import JUDGES
from fryer.records import Counted, Mismatch, Problem
from fryer.verdict import judge
from watchdog.collectors.readings import HostReading
from watchdog.vocabulary.verdicts import Verdict

CASES = (
    ("gemm", "bf16 8192x8192x8192", 729e12),
    ("gemm", "fp8 8192x8192x8192", 1404e12),
    ("gemm", "tf32 8192x8192x8192", 373e12),
)


def healthy(make, seed, *, count=8, noise=0.02, factors=None, points=20):
    """A node whose devices differ by `noise`, each point by as much again; above the floors, so that only the node rule
    speaks."""
    generator = random.Random(seed)
    measurements = []
    for i in range(count):
        for burn, case, level in CASES:
            value = 1.1 * level * (1 + noise * generator.gauss(0, 1)) * (factors or {}).get(i, 1.0)
            measurements.append(
                make.series(f"gpu{i}", value, burn=burn, case=case, noise=noise / 2, seed=seed, count=points)
            )
    return make.node([make.gpu(i) for i in range(count)], measurements)


def verdicts(result):
    return {device.device: device.verdict for device in result.devices}


def test_a_healthy_node_passes_without_a_word_against_it(make):
    result = judge(make.h100s([729e12] * 8))
    assert result.verdict is Verdict.PASS
    assert result.reasons == ()
    assert all(device.reasons == () for device in result.devices)


def test_no_healthy_node_of_a_thousand_fails(make):
    failed = [
        seed
        for seed in range(1000)
        if judge(healthy(make, seed, points=6)).verdict in (Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE)
    ]
    assert failed == []


def test_a_gpu_at_85_percent_is_the_only_one_that_fails(make):
    right = sum(
        {
            name
            for name, verdict in verdicts(judge(healthy(make, seed, factors={seed % 8: 0.85}))).items()
            if verdict is Verdict.FAIL
        }
        == {f"gpu{seed % 8}"}
        for seed in range(100)
    )
    assert right >= 99


@given(st.permutations(range(6)), st.integers(0, 50))
@settings(max_examples=25, deadline=None)
def test_the_order_of_devices_does_not_matter(make, order, seed):
    evidence = healthy(make, seed, count=6, factors={2: 0.8, 4: 0.93}, points=6)
    shuffled = replace(
        evidence,
        devices=tuple(evidence.devices[i] for i in order),
        measurements=tuple(sorted(evidence.measurements, key=lambda m: order.index(int(m.device[3:])))),
    )
    assert verdicts(judge(shuffled)) == verdicts(judge(evidence))


@given(st.integers(0, 200), st.integers(1, 7))
@settings(max_examples=40, deadline=None)
def test_a_healthy_device_more_makes_no_healthy_one_fail(make, seed, count):
    more = healthy(make, seed, count=count + 1, points=6)
    fewer = replace(
        more,
        devices=more.devices[:count],
        measurements=tuple(m for m in more.measurements if m.device != f"gpu{count}"),
    )
    before, after = verdicts(judge(fewer)), verdicts(judge(more))
    assert all(after[name] is not Verdict.FAIL for name in before)


def test_a_node_slow_as_a_whole_fails_by_the_floor_of_its_part(make, codes):
    result = judge(make.h100s([0.8 * 729e12] * 8))
    assert set(verdicts(result).values()) == {Verdict.FAIL}
    assert codes(result, "gpu5") == {"below_floor": "FAIL"}


def test_a_slow_node_of_an_unknown_part_fails_by_its_own_past(make, codes):
    devices = [make.gpu(i, part="NVIDIA X1") for i in range(8)]
    past = tuple(
        PastMeasurement(
            uuid=d.uuid,
            node="node001",
            part=d.part,
            burn="gemm",
            case=make.BF16,
            metric=make.FLOPS,
            value=100.0,
            at="2026-08-01",
            run_id="r",
        )
        for d in devices
    )
    slow = make.node(devices, [make.series(d.name, 80.0) for d in devices], own_past=past)
    assert set(verdicts(judge(slow)).values()) == {Verdict.FAIL}
    blind = replace(slow, own_past=())
    assert judge(blind).verdict is Verdict.PASS
    assert codes(judge(blind), "gpu0") == {"no_floor": "PASS"}


SILENT_VERDICTS = st.sampled_from([Verdict.SKIPPED, Verdict.ERROR, Verdict.INCONCLUSIVE])


@given(
    st.integers(0, 4),
    st.lists(st.tuples(st.integers(-1, 4), SILENT_VERDICTS), max_size=8),
    st.booleans(),
    st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_nothing_passes_without_a_measurement(make, count, said, is_interrupted, has_readings):
    evidence = make.node(
        [make.gpu(i) for i in range(count)],
        problems=tuple(
            Problem(device=f"gpu{i}" if i >= 0 else "", burn="hbm", case="", verdict=verdict, code="x", message="x")
            for i, verdict in said
        ),
        interrupted="Ctrl-C" if is_interrupted else None,
        gpu_readings={f"gpu{i}": make.readings(f"GPU-{i:04d}", 5, remap_pending=True) for i in range(count)}
        if has_readings
        else {},
    )
    result = judge(evidence)
    assert result.verdict not in (Verdict.PASS, Verdict.WARN)
    assert all(device.verdict not in (Verdict.PASS, Verdict.WARN) for device in result.devices)


def test_a_device_whose_burns_were_all_skipped_is_skipped(make):
    skipped = Problem(device="gpu1", burn="gemm", case="", verdict=Verdict.SKIPPED, code="unsupported", message="no")
    evidence = make.node([make.gpu(0), make.gpu(1)], [make.series("gpu0", 729e12)], problems=(skipped,))
    assert verdicts(judge(evidence)) == {"gpu0": Verdict.PASS, "gpu1": Verdict.SKIPPED}


def test_one_skipped_format_does_not_spoil_a_pass(make):
    skipped = Problem(device="gpu0", burn="gemm", case="fp8", verdict=Verdict.SKIPPED, code="unsupported", message="no")
    evidence = make.node([make.gpu(0)], [make.series("gpu0", 729e12)], problems=(skipped,))
    assert verdicts(judge(evidence)) == {"gpu0": Verdict.PASS}


def test_an_interrupted_run_is_inconclusive_and_keeps_what_failed(make):
    result = judge(make.h100s([729e12, 500e12], interrupted="Ctrl-C"))
    assert verdicts(result) == {"gpu0": Verdict.INCONCLUSIVE, "gpu1": Verdict.FAIL}
    assert judge(make.h100s([729e12, 729e12], interrupted="Ctrl-C")).verdict is Verdict.INCONCLUSIVE
    assert judge(make.node([make.gpu(0)], interrupted="Ctrl-C")).verdict is Verdict.INCONCLUSIVE


def test_the_gravest_reason_comes_first(make):
    wrong = Mismatch(
        device="gpu0",
        burn="gemm",
        case=make.BF16,
        seed=1,
        round=0,
        pair=0,
        at_seconds=1.0,
        index=0,
        num_wrong=1,
        expected="0",
        read="1",
        is_nan=False,
        reproduced=True,
        how="twin",
    )
    evidence = make.node(
        [make.gpu(0)], [make.series("gpu0", 690e12), make.series("gpu0", 1e12, case="int8 8192")], mismatches=(wrong,)
    )
    (device,) = judge(evidence).devices
    assert [(r.code, str(r.verdict)) for r in device.reasons] == [
        ("wrong_result", "FAIL"),
        ("below_floor", "WARN"),
        ("no_floor", "PASS"),
    ]


def test_a_loss_that_reader_and_burn_both_saw_is_told_once(make):
    burn_saw = Problem(device="gpu0", burn="gemm", case="", verdict=Verdict.FAIL, code="device_lost", message="CUDA")
    evidence = make.node(
        [make.gpu(0)], problems=(burn_saw,), gpu_readings={"gpu0": make.readings("GPU-0000", lost=lambda i: i > 3)}
    )
    (device,) = judge(evidence).devices
    assert [r.code for r in device.reasons].count("device_lost") == 1


def busy_cpu(make, others, value):
    device = make.cpu()
    past = PastMeasurement(
        uuid=device.uuid,
        node="node001",
        part=device.part,
        burn="gemm",
        case=make.BF16,
        metric=make.FLOPS,
        value=1e11,
        at="2026-08-01",
        run_id="r",
    )
    hosts = tuple(
        HostReading(
            at_seconds=float(i),
            pressure_some_ratio=0.1,
            others_ratio=others,
            steal_ratio=0.0,
            clock_hertz=None,
            memory_available_bytes=None,
        )
        for i in range(30)
    )
    return make.node([device], [make.series("cpu0", value)], own_past=(past,), host_readings=hosts)


@pytest.mark.parametrize(
    ("others", "value", "expected"),
    [
        (0.0, 1.0e11, Verdict.PASS),
        (0.0, 0.6e11, Verdict.FAIL),
        (0.4, 0.6e11, Verdict.INCONCLUSIVE),
        (0.4, 1.0e11, Verdict.WARN),
    ],
)
def test_a_busy_machine_is_told_apart_from_a_slow_one(make, others, value, expected):
    assert judge(busy_cpu(make, others, value)).verdict is expected


def test_what_a_busy_machine_excused_is_still_told(make):
    (device,) = judge(busy_cpu(make, 0.4, 0.6e11)).devices
    excused = device.reasons[0]
    assert (excused.code, excused.evidence["instead_of"]) == ("busy_host", "below_own_past")


def test_reasons_of_a_node_concern_no_device(make):
    unreachable = Problem(device="", burn="", case="", verdict=Verdict.ERROR, code="unreachable", message="no answer")
    result = judge(make.node([], problems=(unreachable,)))
    assert (result.verdict, result.devices) == (Verdict.ERROR, ())
    assert [r.code for r in result.reasons] == ["unreachable", "nothing_measured"]


def test_the_whole_verdict_is_ready_for_json(make):
    counted = Counted(device="gpu0", burn="gemm", case=make.BF16, what="products", count=9)
    evidence = healthy(make, 1, factors={0: 0.7})
    result = judge(
        replace(
            evidence,
            counted=(counted,),
            gpu_readings={
                "gpu0": make.readings(
                    "GPU-0000",
                    clock_event_reasons=0x68,
                    memory_temperature_celsius=99.0,
                    recovery_action=4,
                    ecc_uncorrected_total=lambda i: i,
                    remap_failed=True,
                    lost=True,
                )
            },
        )
    )
    assert json.loads(json.dumps(asdict(result), allow_nan=False))["verdict"] == "FAIL"


def test_judging_twice_gives_the_same(make):
    evidence = healthy(make, 3, factors={1: 0.9})
    assert judge(evidence) == judge(evidence)


def test_every_file_with_a_judge_is_in_the_registry():
    folder = Path(fryer.judges.__file__).parent
    files = {
        path.stem
        for path in folder.glob("*.py")
        if any(isinstance(node, ast.FunctionDef) and node.name == "judge" for node in ast.parse(path.read_text()).body)
    }
    assert files == set(JUDGES)
