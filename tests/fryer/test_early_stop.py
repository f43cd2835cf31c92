"""A failure beyond doubt ends the burns of a node, and nothing that a healthy device does is taken for one."""

import random
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fryer.early_stop import CODE, LEAST_POINTS, WORTH_SECONDS, clear_failures, is_worth
from fryer.early_watch import stopped_by
from fryer.evidence import NodeEvidence
from fryer.records import Mismatch, Problem
from fryer.steady import measure
from fryer.verdict import judge
from watchdog.collectors.readings import XidEvent
from watchdog.vocabulary.verdicts import Verdict

HEALTHY = 730e12
FLOOR = 640e12
"""At which an H100 SXM fails in bf16 (see `fryer.parts`)."""
THERMAL, BRAKE, SLOWDOWN, SOFTWARE_CAP, SOFTWARE_THERMAL = 0x40, 0x80, 0x8, 0x4, 0x20


def messages(evidence: NodeEvidence) -> dict[str, str]:
    found = clear_failures(evidence)
    assert all((problem.verdict, problem.code) == (Verdict.FAIL, CODE) for problem in found)
    return {problem.device: problem.message for problem in found}


def wrong(device: str) -> Mismatch:
    return Mismatch(
        device=device, burn="gemm", case="bf16 8192x8192x8192", seed=1, round=0, pair=0, at_seconds=9.0, index=1,
        num_wrong=1, expected="3f80", read="3f81", is_nan=False, reproduced=False, how="twin",
    )  # fmt: skip


def test_wrong_results_are_clear(make: SimpleNamespace) -> None:
    evidence = make.h100s([HEALTHY] * 4, mismatches=(wrong("gpu2"), wrong("gpu2")))
    assert messages(evidence) == {"gpu2": "gpu2: 2 wrong results in gemm bf16 8192x8192x8192"}


def test_a_lost_device_is_clear_however_it_shows(make: SimpleNamespace) -> None:
    lost = Problem(
        device="gpu0", burn="gemm", case="", verdict=Verdict.FAIL, code="device_lost", message="gpu0 failed under gemm"
    )
    evidence = make.h100s(
        [HEALTHY] * 4,
        problems=(lost,),
        gpu_readings={"gpu1": make.readings("GPU-0001", 30, lost=lambda i: i == 29)},
        xids=(XidEvent(uuid="GPU-0002", code=79, at_seconds=20.0), XidEvent(uuid="GPU-0003", code=13, at_seconds=2.0)),
    )
    assert messages(evidence) == {
        "gpu0": "gpu0 failed under gemm",
        "gpu1": "gpu1: NVML can no longer reach it",
        "gpu2": "gpu2: the driver reported Xid 79",
    }


def test_less_than_half_of_the_others_is_clear_and_just_above_is_not(make: SimpleNamespace) -> None:
    assert messages(make.h100s([HEALTHY, HEALTHY, HEALTHY, 0.49 * FLOOR])) == {
        "gpu3": "gpu3: gemm bf16 8192x8192x8192 at 314 TFLOP/s, less than half of 730 TFLOP/s, the median of 3 others"
    }
    assert messages(make.h100s([HEALTHY, HEALTHY, HEALTHY, 0.51 * HEALTHY])) == {}


def test_a_node_that_is_slow_as_a_whole_is_held_against_its_part(make: SimpleNamespace) -> None:
    assert messages(make.h100s([0.49 * FLOOR, 0.51 * FLOOR])) == {
        "gpu0": "gpu0: gemm bf16 8192x8192x8192 at 314 TFLOP/s, less than half of 640 TFLOP/s, "
        "at which a NVIDIA H100 80GB HBM3 fails"
    }


def test_of_two_devices_without_a_floor_nobody_knows_which_one_is_right(make: SimpleNamespace) -> None:
    unknown = [make.gpu(i, part="Some GPU") for i in range(2)]
    evidence = make.node(unknown, [make.series("gpu0", HEALTHY), make.series("gpu1", 0.1 * HEALTHY)])
    assert messages(evidence) == {}


@pytest.mark.parametrize("count", [LEAST_POINTS - 1, 19])
def test_a_series_that_is_too_short_is_not_settled(count: int, make: SimpleNamespace) -> None:
    figures = [make.series(f"gpu{i}", value, count=count) for i, value in enumerate([HEALTHY] * 3 + [1e12])]
    assert messages(make.node([make.gpu(i) for i in range(4)], figures)) == {}


def test_a_single_interval_that_is_fast_enough_leaves_doubt(make: SimpleNamespace) -> None:
    slow = make.series("gpu3", 0.3 * HEALTHY, noise=0.0)
    points = [
        point if place != 25 else make.series("gpu3", HEALTHY).series[25] for place, point in enumerate(slow.series)
    ]
    figures = [*(make.series(f"gpu{i}", HEALTHY) for i in range(3)), *measure(points)]
    assert messages(make.node([make.gpu(i) for i in range(4)], figures)) == {}


def test_a_gpu_that_others_use_and_a_processor_prove_nothing_by_being_slow(make: SimpleNamespace) -> None:
    used = make.h100s([HEALTHY] * 3 + [1e12], gpu_processes={"gpu3": ("4711 python",)})
    assert messages(used) == {}
    sockets = [make.cpu(name=f"cpu{i}", uuid=f"cpu-{i}") for i in range(4)]
    figures = [make.series(f"cpu{i}", value) for i, value in enumerate([1e12] * 3 + [1e11])]
    assert messages(make.node(sockets, figures)) == {}


def clocked(make: SimpleNamespace, hertz: float, reasons: object, others: object = SOFTWARE_CAP) -> NodeEvidence:
    """Four GPUs at 1.7 GHz but the last."""
    looks = {
        f"gpu{i}": make.readings(f"GPU-{i:04d}", 30, sm_clock_hertz=1.7e9, clock_event_reasons=others) for i in range(3)
    }
    looks["gpu3"] = make.readings("GPU-0003", 30, sm_clock_hertz=hertz, clock_event_reasons=reasons)
    return make.h100s([HEALTHY] * 4, gpu_readings=looks)


@pytest.mark.parametrize("bits", [THERMAL | SLOWDOWN | SOFTWARE_CAP, BRAKE, SLOWDOWN])
def test_a_hardware_slowdown_far_below_the_others_is_clear(bits: int, make: SimpleNamespace) -> None:
    assert messages(clocked(make, 0.8e9, bits)) == {
        "gpu3": "gpu3: slowed down by hardware for 20 s, at 800 MHz; the others are at 1.70 GHz"
    }


@pytest.mark.parametrize(
    ("hertz", "reasons", "others"),
    [
        (0.8e9, SOFTWARE_CAP | SOFTWARE_THERMAL, SOFTWARE_CAP),
        (1.1e9, THERMAL, SOFTWARE_CAP),
        (0.8e9, lambda i: THERMAL if i != 20 else 0, SOFTWARE_CAP),
        (0.8e9, lambda i: None if i == 20 else THERMAL, SOFTWARE_CAP),
        (0.8e9, BRAKE, BRAKE),
    ],
    ids=["by software", "not by half", "not at each look", "a look that failed", "the others too"],
)
def test_other_slowdowns_burn_on(hertz: float, reasons: object, others: object, make: SimpleNamespace) -> None:
    assert messages(clocked(make, hertz, reasons, others)) == {}


def test_nothing_known_is_nothing_clear(make: SimpleNamespace) -> None:
    assert clear_failures(make.node([make.gpu(0)], gpu_readings={"gpu0": ()})) == ()


def test_an_end_is_worth_it_only_with_more_than_a_minute_left() -> None:
    assert not is_worth(WORTH_SECONDS)
    assert is_worth(WORTH_SECONDS + 1)


def test_what_is_found_fails_the_device_in_the_verdict_too(make: SimpleNamespace) -> None:
    evidence = make.h100s([HEALTHY, HEALTHY, HEALTHY, 0.4 * HEALTHY])
    found = clear_failures(evidence)
    verdict = judge(
        make.h100s([HEALTHY, HEALTHY, HEALTHY, 0.4 * HEALTHY], problems=found, interrupted=stopped_by(found))
    )
    assert {device.device: device.verdict for device in verdict.devices} == {
        "gpu0": Verdict.INCONCLUSIVE,
        "gpu1": Verdict.INCONCLUSIVE,
        "gpu2": Verdict.INCONCLUSIVE,
        "gpu3": Verdict.FAIL,
    }
    assert {"below_node", "below_floor", CODE} <= {reason.code for reason in verdict.devices[3].reasons}


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    levels=st.lists(st.floats(0.78, 1.0), min_size=1, max_size=8),
    noise=st.floats(0.0, 0.08),
    num_dips=st.integers(0, 6),
    bits=st.sampled_from([SOFTWARE_CAP, SOFTWARE_CAP | SOFTWARE_THERMAL]),
)
def test_no_noise_of_a_healthy_device_is_a_clear_failure(
    make: SimpleNamespace, seed: int, levels: list[float], noise: float, num_dips: int, bits: int
) -> None:
    """Levels as far apart as was ever published (22 %), noisy intervals, stalls, and single looks that show a brake."""
    chance = random.Random(seed)
    figures = []
    for place, level in enumerate(levels):
        figure = make.series(f"gpu{place}", level * HEALTHY, count=60, noise=noise, seed=seed)
        dips = set(chance.sample(range(60), num_dips))
        points = [
            point if at not in dips else make.series(f"gpu{place}", 0.05 * HEALTHY, count=60).series[at]
            for at, point in enumerate(figure.series)
        ]
        figures += measure(points)
    looks = {
        f"gpu{place}": make.readings(
            f"GPU-{place:04d}",
            60,
            sm_clock_hertz=lambda _: chance.uniform(0.9e9, 1.98e9),
            clock_event_reasons=lambda _: bits | (BRAKE if chance.random() < 0.3 else 0),
        )
        for place in range(len(levels))
    }
    evidence = make.node([make.gpu(i) for i in range(len(levels))], figures, gpu_readings=looks)
    assert clear_failures(evidence) == ()


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    factor=st.one_of(st.floats(0.02, 0.42), st.floats(0.62, 1.0)),
    num_devices=st.integers(3, 8),
)
def test_which_one_is_found_does_not_depend_on_luck(
    make: SimpleNamespace, seed: int, factor: float, num_devices: int
) -> None:
    slow = seed % num_devices
    figures = [
        make.series(f"gpu{i}", HEALTHY * (factor if i == slow else 1.0), count=60, noise=0.02, seed=seed)
        for i in range(num_devices)
    ]
    found = messages(make.node([make.gpu(i) for i in range(num_devices)], figures))
    assert set(found) == ({f"gpu{slow}"} if factor < 0.5 else set())
