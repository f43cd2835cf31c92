from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import pytest

from fryer.evidence import NodeEvidence
from fryer.fleet.thinned import MOST_READINGS, SPACING_SECONDS, thinned
from fryer.steady import measure
from fryer.verdict import judge
from watchdog.vocabulary.verdicts import Verdict


def test_a_short_run_is_sent_whole(make: SimpleNamespace) -> None:
    evidence = make.node([make.gpu(0)], [make.series("gpu0", 1e12, noise=0.1)])
    assert thinned(evidence) == evidence


def test_of_a_long_series_the_extremes_stay_and_so_does_the_figure(make: SimpleNamespace) -> None:
    long = make.series("gpu0", 1e12, noise=0.1, count=5000)
    (kept,) = thinned(make.node([make.gpu(0)], [long]), most_points=100).measurements
    assert len(kept.series) <= 100
    assert min(p.value for p in kept.series) == min(p.value for p in long.series)
    assert max(p.value for p in kept.series) == max(p.value for p in long.series)
    assert (kept.value, kept.spread_ratio, kept.steady_from_seconds) == (
        long.value,
        long.spread_ratio,
        long.steady_from_seconds,
    )
    assert [p.at_seconds for p in kept.series] == sorted(p.at_seconds for p in kept.series)


def test_of_many_readings_the_first_the_last_and_each_change_stay_and_none_is_far_from_the_next(
    make: SimpleNamespace,
) -> None:
    gpu = make.gpu(0)
    many = make.readings(
        gpu.uuid,
        5000,
        clock_event_reasons=lambda i: 0x40 if 2000 <= i < 2007 else 0x4,
        ecc_corrected_total=lambda i: int(i >= 3333),
        temperature_celsius=lambda i: 91.0 if i == 4444 else 60.0 + i % 3,
    )
    kept = thinned(make.node([gpu], gpu_readings={"gpu0": many})).gpu_readings["gpu0"]
    at = [one.at_seconds for one in kept]
    assert {0.0, 1999.0, 2000.0, 2006.0, 2007.0, 3332.0, 3333.0, 4444.0, 4999.0} <= set(at)
    assert max(later - earlier for earlier, later in pairwise(at)) <= SPACING_SECONDS
    assert len(kept) < 600


def conclusions(evidence: NodeEvidence) -> list[tuple[Verdict, list[str]]]:
    return [(one.verdict, [reason.code for reason in one.reasons]) for one in judge(evidence).devices]


@pytest.mark.parametrize(
    "fields",
    [
        {"clock_event_reasons": lambda i: 0x40 if i % 10 < 3 else 0x4, "thermal_throttle_seconds": lambda i: i * 0.3},
        {"clock_event_reasons": lambda i: 0x80 if i > 4990 else 0x4},
        {"clock_event_reasons": lambda i: 0x4},
        {"nvlink_errors_total": lambda i: max(0, i - 4000) * 50},
        {"memory_temperature_celsius": lambda i: 98.0 if i == 2500 else 70.0},
        {"lost": lambda i: i == 4998},
        {"ecc_uncorrected_total": lambda i: int(i > 100)},
        {"recovery_action": lambda i: 1 if i == 777 else 0},
    ],
)
def test_the_conclusions_from_readings_stay_the_same(make: SimpleNamespace, fields: dict[str, object]) -> None:
    gpu = make.gpu(0)
    evidence = make.node(
        [gpu],
        [make.series("gpu0", 7.5e14, noise=0.002, count=5000)],
        gpu_readings={"gpu0": make.readings(gpu.uuid, 5000, **fields)},
    )
    less = thinned(evidence)
    assert len(less.gpu_readings["gpu0"]) < 5000
    assert conclusions(less) == conclusions(evidence)


@pytest.mark.parametrize(("value", "slow_share"), [(7.5e14, 0.0), (7.5e14, 0.04), (7.5e14, 0.3), (4e14, 0.0)])
def test_the_conclusions_from_points_stay_the_same(make: SimpleNamespace, value: float, slow_share: float) -> None:
    whole = make.series("gpu0", value, noise=0.002, count=5000)
    slow = [replace(p, value=p.value * (0.6 if i % 100 < slow_share * 100 else 1)) for i, p in enumerate(whole.series)]
    (measurement,) = measure(slow)
    evidence = make.node([make.gpu(0)], [measurement], gpu_readings={"gpu0": make.readings("GPU-0000", 5000)})
    less = thinned(evidence, most_points=1803)
    assert len(less.measurements[0].series) < 5000
    assert conclusions(less) == conclusions(evidence)


def test_a_device_whose_state_changes_at_every_look_is_bounded(make: SimpleNamespace) -> None:
    gpu = make.gpu(0)
    many = make.readings(gpu.uuid, MOST_READINGS + 5000, pcie_replays_total=lambda i: i)
    kept = thinned(make.node([gpu], gpu_readings={"gpu0": many})).gpu_readings["gpu0"]
    assert len(kept) == MOST_READINGS
    assert (kept[0], kept[-1]) == (many[0], many[-1])
