from dataclasses import replace
from itertools import pairwise

import pytest

from fryer.ceiling import FLOPS_PER_CYCLE, ceiling, is_possible, possible
from watchdog.collectors.readings import HostReading


def host(clock):
    return HostReading(
        at_seconds=1.0,
        pressure_some_ratio=None,
        others_ratio=None,
        steal_ratio=None,
        clock_hertz=clock,
        memory_available_bytes=None,
    )


def test_the_peak_of_a_gpu_is_scaled_to_its_highest_clock(make):
    top = ceiling(make.series("gpu0", 1e12), make.node([make.gpu(0)]))
    assert top.value == pytest.approx(989.5e12 * 1980 / 1830)


def test_the_clock_seen_under_load_lowers_the_ceiling(make):
    evidence = make.node(
        [make.gpu(0)], gpu_readings={"gpu0": make.readings("GPU-0000", 31, sm_clock_hertz=lambda i: 1.4e9 + 1e6 * i)}
    )
    assert ceiling(make.series("gpu0", 1e12), evidence).value == pytest.approx(989.5e12 * 1430 / 1830)


def test_readings_from_before_the_burn_or_too_few_do_not_count(make):
    before = {"gpu0": make.readings("GPU-0000", 30, sm_clock_hertz=345e6)}
    late = make.series("gpu0", 1e12, start=100.0)
    assert ceiling(late, make.node([make.gpu(0)], gpu_readings=before)).value > 1e15
    few = make.series("gpu0", 1e12, count=3)
    assert ceiling(few, make.node([make.gpu(0)], gpu_readings=before)).value > 1e15


@pytest.mark.parametrize(
    ("burn", "case", "expected"),
    [
        ("hbm", "copy", 3.352e12),
        ("hbm", "triad", 3.352e12),
        ("p2p", "to gpu1", 450e9),
        ("p2p", "both gpu1", 900e9),
        ("pcie", "h2d", 63e9),
        ("pcie", "both", 126e9),
    ],
)
def test_bytes_have_the_ceiling_of_their_wires(make, burn, case, expected):
    found = make.series("gpu0", 1e9, burn=burn, case=case, metric=make.BYTES)
    assert ceiling(found, make.node([make.gpu(0)])).value == expected


def test_what_is_not_known_has_no_ceiling(make):
    evidence = make.node(
        [
            make.gpu(0, part="NVIDIA X1"),
            make.gpu(1, link_bytes_per_second=None),
            make.cpu(),
            make.gpu(2, clock_max_hertz=None),
            make.gpu(3, part="NVIDIA B200"),
        ]
    )
    assert ceiling(make.series("gpu0", 1e18), evidence) is None
    assert ceiling(make.series("gpu1", 1e18, burn="pcie", case="h2d", metric=make.BYTES), evidence) is None
    assert ceiling(make.series("cpu0", 1e18), evidence) is None
    assert ceiling(make.series("gpu2", 1e18), evidence) is None
    assert ceiling(make.series("gpu3", 1e18), evidence) is None
    assert ceiling(make.series("gpu9", 1e18), evidence) is None


def test_a_processor_is_bound_by_cores_instructions_and_clock(make):
    device = make.cpu(cores=32, isa="avx512_bf16", clock_max_hertz=3.0e9)
    found = make.series("cpu0", 1e12, case="bf16 2048x2048x2048")
    assert ceiling(found, make.node([device])).value == 32 * 128 * 3.0e9
    assert ceiling(replace(found, case="fp32 2048x2048x2048"), make.node([device])).value == 32 * 64 * 3.0e9


def test_a_processor_seen_faster_than_its_maximum_has_the_higher_ceiling(make):
    evidence = make.node([make.cpu(cores=1, isa="avx2", clock_max_hertz=3.0e9)], host_readings=(host(3.3e9),))
    assert ceiling(make.series("cpu0", 1.0, case="fp32 1x1x1"), evidence).value == 32 * 3.3e9


def test_the_nominal_clock_of_a_virtual_machine_bounds_nothing(make):
    """cpuinfo in a guest shows the base clock, which turbo exceeds."""
    evidence = make.node([make.cpu(cores=1, isa="avx2")], host_readings=(host(2.0e9),))
    assert ceiling(make.series("cpu0", 1.0, case="fp32 1x1x1"), evidence).value == 32 * 6.2e9


def test_wider_instructions_never_lower_a_ceiling():
    order = [FLOPS_PER_CYCLE[isa] for isa in ("avx2", "avx512", "avx512_bf16", "avx512_fp16", "amx_bf16")]
    assert all(wide[dtype] >= narrow[dtype] for narrow, wide in pairwise(order) for dtype in narrow)


def test_only_possible_measurements_are_left_for_comparison(make):
    good, absurd = make.series("gpu0", 729e12), make.series("gpu1", 1200e12)
    evidence = make.node([make.gpu(0), make.gpu(1)], [good, absurd])
    assert possible(evidence) == (good,)
    assert not is_possible(absurd, evidence)
