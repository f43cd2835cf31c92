import re
from math import log2
from pathlib import Path

import pytest

from fryer.parts import PARTS, find_part, practical_link_rate
from fryer.records import BYTES, FLOPS

SMI = Path(__file__).parents[2] / ".." / "shared" / "data" / "nvidia_smi"

FIGURES = [(part, key, figure) for part in PARTS.values() for key, figure in part.figures.items()]
FLOORS = [(part, key, figure) for part, key, figure in FIGURES if figure.floor]

# Streaming multiprocessors: NVIDIA H100 and A100 architecture white papers.
NUM_SMS = {
    "NVIDIA H100 PCIe": 114,
    "NVIDIA A100-SXM4-80GB": 108,
    "NVIDIA A100-SXM4-40GB": 108,
    "NVIDIA A100 80GB PCIe": 108,
    "NVIDIA A100-PCIE-40GB": 108,
}


def name(case):
    return f"{case[0].name} {' '.join(case[1])}"


@pytest.mark.parametrize("case", FIGURES, ids=name)
def test_every_figure_has_a_source(case):
    _, _, figure = case
    assert len(figure.peak_source) > 20
    assert figure.floor is None or len(figure.floor.source) > 10


@pytest.mark.parametrize("case", FLOORS, ids=name)
def test_floors_lie_in_order_below_the_peak(case):
    """DCGM has thresholds in the wrong unit, AWS one above the physical maximum: neither would get past this."""
    _, _, figure = case
    assert 0.3 * figure.peak < figure.floor.fail < figure.floor.warn < figure.peak


@pytest.mark.parametrize("case", [c for c in FIGURES if c[2].peak_clock_hertz], ids=name)
def test_a_peak_is_a_power_of_two_per_sm_and_cycle(case):
    """Peak, clock and number of SMs come from three documents; a slip in any of them breaks this identity."""
    part, _, figure = case
    per_cycle = figure.peak / figure.peak_clock_hertz / NUM_SMS.get(part.name, 132)
    nearest = 2 ** round(log2(per_cycle))
    assert per_cycle == pytest.approx(nearest, rel=0.005)


@pytest.mark.parametrize("part", PARTS.values(), ids=lambda p: p.name)
def test_formats_relate_as_tensor_cores_make_them(part):
    peak = {case: figure.peak for (burn, case), figure in part.figures.items() if burn == "gemm"}
    assert peak["bf16"] == peak["fp16"]
    assert peak["int8"] == pytest.approx(2 * peak["bf16"], rel=0.002)
    assert peak["tf32"] == pytest.approx(peak["bf16"] / 2, rel=0.002)
    assert peak.get("fp8", peak["int8"]) == peak["int8"]


def test_the_memory_peak_is_bus_width_times_the_clock_that_nvidia_smi_shows():
    path = SMI / "gpud_nvidia-smi-query.535.161.08.out.0.valid.txt"
    if not path.exists():
        pytest.skip(f"{path} is not here: captured data lies beside the repository")
    megahertz = int(re.search(r"Max Clocks.*?Memory\s*: (\d+) MHz", path.read_text(), re.DOTALL)[1])
    product = re.search(r"Product Name\s*: (.*)", path.read_text())[1]
    part = find_part(product)
    assert part is not None
    peak = part.figures["hbm", "copy"].peak
    assert peak == pytest.approx(5120 / 8 * 2 * megahertz * 1e6, rel=0.001)  # five stacks of 1024 bits, double rate


def test_names_match_whole_and_in_any_case():
    assert find_part("nvidia h100 80gb hbm3 ") is PARTS["NVIDIA H100 80GB HBM3"]
    assert find_part("H100-SXM5-80GB") is PARTS["NVIDIA H100 80GB HBM3"]
    assert find_part("NVIDIA H200 NVL") is None
    assert find_part("AMD EPYC 9654") is None


def test_every_part_that_can_be_simulated_is_in_the_table():
    simulated = pytest.importorskip("watchdog.simulator.parts", reason="the simulator is not here yet").PARTS
    for scenario_name, part in simulated.items():
        assert find_part(scenario_name) is find_part(part.product) is not None


def test_a_floor_holds_only_for_the_shape_it_was_measured_at():
    part = find_part("NVIDIA H100 80GB HBM3")
    assert part.floor("gemm", "bf16 8192x8192x8192", FLOPS) is not None
    assert part.floor("gemm", "bf16 512x512x512", FLOPS) is None
    assert part.floor("gemm", "bf16 8192x8192x8192", BYTES) is None
    assert part.floor("soak", "bf16 8192x8192x8192", FLOPS) is None


def test_figures_that_nobody_measured_have_no_floor():
    assert all(
        figure.floor is None
        for name in ("NVIDIA H100 PCIe", "NVIDIA B200", "NVIDIA A100-PCIE-40GB")
        for figure in PARTS[name].figures.values()
    )


@pytest.mark.parametrize(("theoretical", "practical"), [(63.015e9, 55e9), (31.508e9, 25e9), (15.754e9, 14e9)])
def test_links_reach_in_practice_what_was_measured_on_them(theoretical, practical):
    assert practical_link_rate(theoretical) == pytest.approx(practical, rel=0.002)


def test_a_link_that_nobody_measured_gets_the_lowest_known_efficiency():
    assert practical_link_rate(7.9e9) == pytest.approx(7.9e9 * 25 / 31.5)
