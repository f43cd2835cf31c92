"""Floor, node, own past, fleet, ceiling, steadiness: is the figure good enough, and compared with what?"""

from dataclasses import replace

import pytest

from fryer.evidence import PastMeasurement
from fryer.judges import ceiling, fleet, floor, history, node, unsteady
from fryer.judges.limits import Limits

LIMITS = Limits()


def past(uuid, value, *, part="NVIDIA H100 80GB HBM3", at="2026-08-01T00:00:00Z", case="bf16 8192x8192x8192"):
    return PastMeasurement(
        uuid=uuid,
        node="node000",
        part=part,
        burn="gemm",
        case=case,
        metric="flops_per_second",
        value=value,
        at=at,
        run_id="run-1",
    )


@pytest.mark.parametrize(
    ("value", "expected"), [(729e12, {}), (699e12, {"below_floor": "WARN"}), (639e12, {"below_floor": "FAIL"})]
)
def test_one_gpu_alone_is_held_against_the_floor_of_its_part(make, codes, value, expected):
    assert codes(floor.judge(make.h100s([value]), LIMITS)) == expected


def test_a_figure_below_its_floor_says_what_nvml_saw_and_how_to_repeat_it(make):
    evidence = make.h100s(
        [600e12],
        gpu_readings={
            "gpu0": make.readings("GPU-0000", sm_clock_hertz=1.2e9, power_watts=410.0, temperature_celsius=62.0)
        },
    )
    (found,) = floor.judge(evidence, LIMITS)
    assert found.reason.evidence["sm_clock_hertz"] == 1.2e9
    assert found.reason.evidence["power_watts"] == 410.0
    assert found.reason.repeat == "fryer run --burns gemm"
    assert "600 TFLOP/s" in found.reason.message
    assert "640 TFLOP/s" in found.reason.message


def test_integer_products_have_no_floating_point_in_their_unit(make):
    evidence = make.node(
        [make.gpu(i, part="NVIDIA X1") for i in range(2)],
        [make.series(f"gpu{i}", 1.4e15 / (1 + i), case="int8 8192x8192x8192") for i in range(2)],
    )
    (found,) = node.judge(evidence, LIMITS)
    assert "reached 700 TOP/s" in found.reason.message
    assert "1.40 POP/s" in found.reason.message


def test_a_part_without_floors_passes_with_a_note_that_says_so(make, codes):
    evidence = make.node([make.gpu(0, part="NVIDIA H100 PCIe")], [make.series("gpu0", 300e12)])
    (found,) = floor.judge(evidence, LIMITS)
    assert codes([found]) == {"no_floor": "PASS"}
    assert found.reason.evidence["cases"] == ["gemm bf16"]


def test_a_host_link_needs_no_floor_when_its_path_is_known(make, codes):
    found = make.series("gpu0", 55e9, burn="pcie", case="h2d", metric=make.BYTES)
    assert codes(floor.judge(make.node([make.gpu(0)], [found]), LIMITS)) == {}
    unknown = make.gpu(0, link_bytes_per_second=None)
    assert codes(floor.judge(make.node([unknown], [found]), LIMITS)) == {"no_floor": "PASS"}


@pytest.mark.parametrize(
    ("value", "expected"), [(0.96, {}), (0.94, {"below_node": "WARN"}), (0.89, {"below_node": "FAIL"})]
)
def test_a_gpu_is_held_against_the_median_of_its_node(make, codes, value, expected):
    evidence = make.h100s([700e12] * 3 + [700e12 * value] + [700e12] * 4)
    assert codes(node.judge(evidence, LIMITS), "gpu3") == expected
    assert {c.device for c in node.judge(evidence, LIMITS)} <= {"gpu3"}


@pytest.mark.parametrize(
    ("value", "expected"), [(0.96, {}), (0.94, {"below_node": "WARN"}), (0.89, {"below_node": "FAIL"})]
)
def test_of_two_gpus_the_slower_is_held_against_the_faster(make, codes, value, expected):
    assert codes(node.judge(make.h100s([700e12, 700e12 * value]), LIMITS)) == expected


def test_half_a_node_that_is_slow_shows_against_the_best(make, codes):
    """The median of such a node lies in the middle, and its spread excuses everyone."""
    found = node.judge(make.h100s([700e12] * 4 + [540e12] * 4), LIMITS)
    assert {c.device: str(c.reason.verdict) for c in found} == {f"gpu{i}": "FAIL" for i in (4, 5, 6, 7)}


def test_a_wide_spread_is_not_taken_for_slowness(make):
    values = [700e12 * (1 + offset) for offset in (-0.06, -0.05, -0.04, -0.01, 0.0, 0.03, 0.0, 0.03)]
    assert node.judge(make.h100s(values), LIMITS) == []


def test_other_parts_are_not_compared_with(make):
    evidence = make.node(
        [make.gpu(0), make.gpu(1, part="NVIDIA H200"), make.gpu(2, part="NVIDIA H100 PCIe")],
        [make.series("gpu0", 700e12), make.series("gpu1", 900e12), make.series("gpu2", 300e12)],
    )
    assert node.judge(evidence, LIMITS) == []


def test_a_gpu_on_a_narrower_path_is_not_compared_with_the_others(make):
    narrow = make.gpu(3, link_bytes_per_second=15.75e9)
    evidence = make.node(
        [make.gpu(0), make.gpu(1), make.gpu(2), narrow],
        [
            make.series(f"gpu{i}", 14e9 if i == 3 else 55e9, burn="pcie", case="h2d", metric=make.BYTES)
            for i in range(4)
        ],
    )
    assert node.judge(evidence, LIMITS) == []


def test_an_impossible_figure_makes_nobody_look_slow(make, codes):
    evidence = make.h100s([720e12, 3000e12])
    assert node.judge(evidence, LIMITS) == []
    assert codes(ceiling.judge(evidence, LIMITS), "gpu1") == {"impossible": "ERROR"}
    assert codes(ceiling.judge(evidence, LIMITS), "gpu0") == {}


def test_a_figure_at_its_ceiling_is_possible(make):
    assert ceiling.judge(make.h100s([989.5e12 * 1980 / 1830]), LIMITS) == []


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [(0.98, {}), (0.96, {"below_own_past": "WARN"}), (0.92, {"below_own_past": "FAIL"}), (1.3, {})],
)
def test_a_device_is_held_against_its_own_last_qualification(make, codes, ratio, expected):
    evidence = make.h100s([800e12 * ratio], own_past=(past("GPU-0000", 800e12),))
    assert codes(history.judge(evidence, LIMITS)) == expected


def test_only_the_newest_own_figure_counts(make):
    old = past("GPU-0000", 900e12, at="2026-01-01T00:00:00Z")
    evidence = make.h100s([790e12], own_past=(past("GPU-0000", 800e12), old))
    assert history.judge(evidence, LIMITS) == []


@pytest.mark.parametrize(("count", "expected"), [(1, {}), (4, {}), (5, {"below_own_past": "FAIL"})])
def test_a_figure_of_a_few_points_does_not_fail_by_a_few_percent(make, codes, count, expected):
    """One point shows no spread: 705 against 760 is then within what a single second of a burn wanders."""
    found = make.series("gpu0", 705e12, count=count)
    evidence = make.node([make.gpu(0)], [found], own_past=(past("GPU-0000", 760e12),))
    assert codes(history.judge(evidence, LIMITS)) == expected
    others = fleet_of([760e12] * 6)
    assert (fleet.judge(make.node([make.gpu(0)], [found], fleet_past=others), LIMITS) == []) is (count < 5)
    eight = [found, *(make.series(f"gpu{i}", 760e12, count=count) for i in range(1, 8))]
    assert (node.judge(make.node([make.gpu(i) for i in range(8)], eight), LIMITS) == []) is (count < 5)


def test_one_point_of_half_the_rate_is_still_a_failure(make, codes):
    eight = [make.series(f"gpu{i}", 350e12 if i == 3 else 700e12, count=1) for i in range(8)]
    evidence = make.node([make.gpu(i) for i in range(8)], eight, own_past=(past("GPU-0003", 700e12),))
    assert codes(node.judge(evidence, LIMITS), "gpu3") == {"below_node": "FAIL"}
    assert codes(history.judge(evidence, LIMITS), "gpu3") == {"below_own_past": "FAIL"}


def test_a_figure_that_was_not_steady_is_no_yardstick(make):
    unsteady_past = replace(past("GPU-0000", 800e12), is_steady=False)
    assert history.judge(make.h100s([700e12], own_past=(unsteady_past,)), LIMITS) == []
    others = tuple(replace(each, is_steady=False) for each in fleet_of([800e12] * 6))
    assert fleet.judge(make.h100s([700e12], fleet_past=others), LIMITS) == []


def test_another_device_or_case_is_not_this_ones_past(make):
    others = (past("GPU-0009", 900e12), past("GPU-0000", 900e12, case="fp8 8192x8192x8192"))
    assert history.judge(make.h100s([700e12], own_past=others), LIMITS) == []


def test_noise_excuses_a_small_step_back_but_not_a_large_one(make, codes):
    noisy = make.series("gpu0", 100.0, count=12, noise=0.10, seed=5)
    device = make.gpu(0, part="NVIDIA X1")
    small = make.node([device], [noisy], own_past=(past("GPU-0000", noisy.value / 0.93),))
    large = make.node([device], [noisy], own_past=(past("GPU-0000", noisy.value / 0.60),))
    assert history.judge(small, LIMITS) == []
    assert codes(history.judge(large, LIMITS)) == {"below_own_past": "FAIL"}


def fleet_of(values, **changes):
    return tuple(past(f"GPU-9{i:03d}", value, **changes) for i, value in enumerate(values))


def test_a_uniformly_slow_node_fails_against_the_fleet(make, codes):
    evidence = make.h100s([600e12] * 8, fleet_past=fleet_of([725e12, 730e12, 728e12, 733e12, 722e12]))
    assert node.judge(evidence, LIMITS) == []
    assert {c.device for c in fleet.judge(evidence, LIMITS)} == {f"gpu{i}" for i in range(8)}
    assert set(codes(fleet.judge(evidence, LIMITS)).items()) == {("below_fleet", "FAIL")}


def test_four_others_are_no_fleet(make):
    assert fleet.judge(make.h100s([600e12], fleet_past=fleet_of([730e12] * 4)), LIMITS) == []


def test_the_newest_figure_of_a_device_is_its_only_vote(make):
    repeated = tuple(past("GPU-9000", 730e12, at=f"2026-08-0{i}T00:00:00Z") for i in range(1, 8))
    assert fleet.judge(make.h100s([600e12], fleet_past=repeated), LIMITS) == []


def test_a_fleet_of_another_part_says_nothing(make):
    other = fleet_of([900e12] * 6, part="NVIDIA H200")
    assert fleet.judge(make.h100s([600e12], fleet_past=other), LIMITS) == []


def test_this_nodes_own_devices_are_not_the_fleet(make):
    own = tuple(past(f"GPU-{i:04d}", 900e12) for i in range(8))
    assert fleet.judge(make.h100s([600e12] * 8, fleet_past=own), LIMITS) == []


def drifting(make, change, count=60):
    base = make.series("gpu0", 700e12, count=count)
    points = tuple(replace(p, value=p.value * (1 + change * i / count)) for i, p in enumerate(base.series))
    return replace(base, series=points, steady_from_seconds=None)


@pytest.mark.parametrize(("change", "verdict"), [(-0.04, "WARN"), (-0.15, "INCONCLUSIVE"), (0.15, "INCONCLUSIVE")])
def test_a_figure_that_never_settles_is_not_passed_over(make, codes, change, verdict):
    evidence = make.node([make.gpu(0)], [drifting(make, change)])
    (found,) = unsteady.judge(evidence, LIMITS)
    assert codes([found]) == {"not_steady": verdict}
    assert ("fell" if change < 0 else "rose") in found.reason.message
    assert ("cooling" in found.reason.remedy) == (change < 0)


def test_two_points_get_a_note_once_per_device(make, codes):
    short = [make.series("gpu0", 1.0, case=case, count=2) for case in ("a", "b")]
    found = unsteady.judge(make.node([make.gpu(0)], short), LIMITS)
    assert len(found) == 1
    assert codes(found) == {"not_steady": "PASS"}
    assert found[0].reason.evidence["num_figures"] == 2


def test_three_points_are_too_few_to_drift(make, codes):
    base = make.series("gpu0", 1.0, count=3)
    falling = replace(base, series=tuple(replace(p, value=1.0 - 0.2 * i) for i, p in enumerate(base.series)))
    assert codes(unsteady.judge(make.node([make.gpu(0)], [falling]), LIMITS)) == {"not_steady": "PASS"}


def test_a_steady_figure_is_not_mentioned(make):
    assert unsteady.judge(make.h100s([700e12]), LIMITS) == []
