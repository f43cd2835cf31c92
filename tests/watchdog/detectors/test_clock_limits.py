"""Clocks that are held down."""

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchdog.detectors import DETECTORS
from watchdog.detectors.clock_limits import Limits, detect
from watchdog.vocabulary.findings import Severity

LIMITS = Limits()
FAIL, WARN = Severity.FAIL, Severity.WARN
BITS = {
    "Idle": 0x1,
    "Applications Clocks Setting": 0x2,
    "SW Power Cap": 0x4,
    "HW Slowdown": 0x8,
    "Sync Boost": 0x10,
    "SW Thermal Slowdown": 0x20,
    "HW Thermal Slowdown": 0x40,
    "HW Power Brake Slowdown": 0x80,
    "Display Clock Setting": 0x100,
}


def codes(window):
    return {f.code: f.severity for f in detect(window, LIMITS)}


@pytest.mark.parametrize("mask", [0x0, 0x1, 0x2, 0x4, 0x5, 0x10, 0x102])
def test_power_cap_idle_and_the_like_are_no_fault(make, mask):
    assert codes(make.node_of(1, {0: {"clock_event_reasons": mask}})) == {}


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (0x20, {"thermal_throttle"}),
        (0x40, {"thermal_throttle"}),
        (0x24, {"thermal_throttle"}),
        (0x6C, {"thermal_throttle"}),
        (0x80, {"power_brake"}),
        (0x88, {"power_brake"}),
        (0x8, {"hw_slowdown"}),
        (0xC, {"hw_slowdown"}),
        (0xA8, {"thermal_throttle", "power_brake"}),
    ],
)
def test_every_combination_of_bits_is_decoded(make, mask, expected):
    window = make.node_of(1, {0: {"clock_event_reasons": mask, "temperature_celsius": 80}})
    assert codes(window) == dict.fromkeys(expected, FAIL)


@pytest.mark.parametrize(
    ("seconds", "expected"), [(20, {}), (30, {"thermal_throttle": WARN}), (360, {"thermal_throttle": FAIL})]
)
def test_the_time_within_ten_minutes_decides(make, seconds, expected):
    """A look stands for the time until the next one, the newest for none."""
    slowed = {"clock_event_reasons": lambda age: 0x20 if 100 < age <= 100 + seconds else 0x4}
    assert codes(make.node_of(1, {0: slowed})) == expected


def test_the_drivers_counter_sees_what_looks_miss(make):
    counter = {"thermal_throttle_seconds": lambda age: 3.0 + (600 - age) * 0.1}
    (found,) = detect(make.node_of(1, {0: counter}), LIMITS)
    assert (found.code, found.severity, found.evidence["seconds"]) == ("thermal_throttle", WARN, pytest.approx(60))


def test_a_counter_that_starts_again_at_zero_is_no_slowdown(make):
    assert codes(make.node_of(1, {0: {"thermal_throttle_seconds": lambda age: 500.0 if age > 300 else 0.0}})) == {}


def test_a_power_brake_is_told_at_first_sight_but_does_not_fail_by_one_look(make):
    window = make.window(make.rows(make.gpu(0), 0, clock_event_reasons=0x88))
    assert codes(window) == {"power_brake": WARN}


@pytest.mark.parametrize(("celsius", "code"), [(59, "power_brake_cold"), (60, "power_brake")])
def test_on_a_cold_gpu_it_is_the_supply(make, celsius, code):
    window = make.node_of(1, {0: {"clock_event_reasons": 0x88, "temperature_celsius": celsius}})
    assert codes(window) == {code: FAIL}


@pytest.mark.parametrize(
    ("clock", "seconds", "expected"),
    [
        (0.80e9, 600, {}),
        (0.79e9, 50, {}),
        (0.79e9, 60, {"sm_clock_low": WARN}),
        (0.345e9, 600, {"sm_clock_low": FAIL}),
    ],
)
def test_a_busy_gpu_at_a_low_clock_without_a_reason(make, clock, seconds, expected):
    window = make.node_of(1, {0: {"sm_clock_hertz": lambda age: clock if age <= seconds else 1.7e9}})
    assert codes(window) == expected


def test_an_idle_gpu_may_clock_low(make):
    assert codes(make.node_of(1, {0: {"sm_clock_hertz": 0.345e9, "utilization_ratio": 0.0}})) == {}


def gpus_of_smi(text):
    """Values of each GPU of `nvidia-smi -q`, by the names of our metrics."""
    for part in re.split(r"^GPU 0000", text, flags=re.MULTILINE)[1:]:
        active = [bit for words, bit in BITS.items() if re.search(rf"^\s+{words}\s+: Active$", part, re.MULTILINE)]
        yield {
            "clock_event_reasons": sum(active),
            "temperature_celsius": float(re.search(r"GPU Current Temp\s+: (\d+) C", part)[1]),
            "temperature_margin_celsius": float(re.search(r"GPU T.Limit Temp\s+: (-?\d+) C", part)[1]),
            "memory_temperature_celsius": float(re.search(r"Memory Current Temp\s+: (\d+) C", part)[1]),
            "sm_clock_hertz": 1e6 * float(re.search(r"Clocks\n\s+Graphics\s+: \d+ MHz\n\s+SM\s+: (\d+) MHz", part)[1]),
            "power_watts": float(re.search(r"Power Draw\s+: ([\d.]+) W", part)[1]),
            "utilization_ratio": float(re.search(r"Gpu\s+: (\d+) %", part)[1]) / 100,
            "pcie_replays_total": float(re.search(r"Replays Since Reset\s+: (\d+)", part)[1]),
            "remap_pending": float("Pending                           : Yes" in part),
            "remap_failed": float("Remapping Failure Occurred        : Yes" in part),
            "lost": 0.0,
        }


def test_a_captured_node_under_the_power_brake_when_cold(make, captured):
    """Eight H100 at 86 MHz and 29 to 32 C: what every monitor must find, and only that."""
    gpus = list(gpus_of_smi(captured("nvidia_smi/gpud_nvidia-smi-query.535.161.08.out.0.valid.txt")))
    window = make.window(
        *(make.rows(make.gpu(i), 60, period=5, **values) for i, values in enumerate(gpus)),
        facts={make.gpu(i): make.facts(i) for i in range(8)},
    )
    found = [f for name, one in DETECTORS.items() for f in one.detect(window, one.limits())]
    assert [(f.subject, f.code, f.severity, f.action) for f in found] == [
        (make.gpu(i), "power_brake_cold", FAIL, "inspect") for i in range(8)
    ]
    assert {f.evidence["sm_clock_hertz"] for f in found} == {86e6}
    assert {f.evidence["temperature_celsius"] for f in found} == {29.0, 30.0, 31.0, 32.0}
    assert {f.evidence["num_gpus"] for f in found} == {8}
    assert "SM clock 86 MHz, at " in found[0].message
    assert "a fault of the power supply, not heat" in found[0].message


def test_the_same_node_seen_once_is_warned_of(make, captured):
    gpus = list(gpus_of_smi(captured("nvidia_smi/gpud_nvidia-smi-query.535.161.08.out.0.valid.txt")))
    window = make.window(*(make.rows(make.gpu(i), 0, **values) for i, values in enumerate(gpus)))
    assert [(f.code, f.severity) for f in detect(window, LIMITS)] == [("power_brake_cold", WARN)] * 8


def test_a_captured_healthy_gpu_gives_nothing(make, captured):
    """An A100 in MIG mode: utilisation, margin and remapped rows are N/A, and absent."""
    text = captured("nvidia_smi/telegraf_a100-sxm4-v12.xml")
    (one,) = ElementTree.fromstring(text[text.index("<nvidia_smi_log>") :]).iter("gpu")

    def read(path):
        return float(re.match(r"[\d.]+", one.find(path).text)[0])

    values = {
        "lost": 0.0,
        "clock_event_reasons": float(sum(node.text == "Active" for node in one.find("clocks_event_reasons"))),
        "temperature_celsius": read("temperature/gpu_temp"),
        "memory_temperature_celsius": read("temperature/memory_temp"),
        "power_watts": read("gpu_power_readings/power_draw"),
        "sm_clock_hertz": 1e6 * read("clocks/sm_clock"),
        "pcie_generation": read("pci/pci_gpu_link_info/pcie_gen/current_link_gen"),
        "pcie_width": read("pci/pci_gpu_link_info/link_widths/current_link_width"),
        "pcie_replays_total": read("pci/replay_counter"),
        "ecc_uncorrected_total": read("ecc_errors/volatile/sram_uncorrectable"),
        "ecc_corrected_total": read("ecc_errors/volatile/dram_correctable"),
    }
    assert (values["temperature_celsius"], values["pcie_width"]) == (27, 16)
    facts = {make.gpu(0): {"index": 0, "part": "NVIDIA A100-SXM4-80GB", "power_limit_watts": 500.0}}
    window = make.window(make.rows(make.gpu(0), 600, **values), facts=facts)
    assert [f for one in DETECTORS.values() for f in one.detect(window, one.limits())] == []


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from([0x4, 0x24, 0x84, 0xC]), min_size=61, max_size=61), st.integers(0, 60))
def test_one_more_slowed_look_never_makes_a_milder_finding(make, masks, index):
    worse = [*masks]
    worse[index] |= 0x20

    def heat(values):
        rows = make.rows(make.gpu(0), 600, clock_event_reasons=lambda age: values[int(age // 10)])
        return codes(make.window(rows)).get("thermal_throttle", Severity.OK)

    assert heat(worse) >= heat(masks)
