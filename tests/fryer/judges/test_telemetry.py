"""Throttling, heat, ECC, remapping, recovery, loss, Xids and silence: what the driver said while the burns ran."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from fryer.judges import ecc, heat, lost, reader, recovery, remap, throttle, xid
from fryer.judges.limits import Limits
from watchdog.collectors.readings import ReaderGap, XidEvent

LIMITS = Limits()
SMI = Path(__file__).parents[3] / ".." / "shared" / "data" / "nvidia_smi"
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


def with_readings(make, count=60, **fields):
    return make.node(
        [make.gpu(0)],
        [make.series("gpu0", 729e12, count=count)],
        gpu_readings={"gpu0": make.readings("GPU-0000", count, **fields)},
    )


@pytest.mark.parametrize("mask", [0x0, 0x1, 0x4, 0x5, 0x10, 0x102])
def test_power_cap_idle_and_the_like_are_no_fault(make, mask):
    assert throttle.judge(with_readings(make, clock_event_reasons=mask), LIMITS) == []


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (0x20, {"thermal_throttle"}),
        (0x40, {"thermal_throttle"}),
        (0x24, {"thermal_throttle"}),
        (0x48, {"thermal_throttle"}),
        (0x6C, {"thermal_throttle"}),
        (0x80, {"power_brake"}),
        (0x88, {"power_brake"}),
        (0x8, {"hw_slowdown"}),
        (0xC, {"hw_slowdown"}),
        (0xA8, {"thermal_throttle", "power_brake"}),
    ],
)
def test_every_combination_of_bits_is_decoded(make, codes, mask, expected):
    """Equality with a single bit misses the combinations, which are the usual case at 700 W."""
    found = codes(throttle.judge(with_readings(make, clock_event_reasons=mask), LIMITS))
    assert found == dict.fromkeys(expected, "FAIL")


def test_a_single_look_is_a_warning_however_short_the_run(make, codes):
    for count in (10, 60, 600):
        evidence = with_readings(make, count, clock_event_reasons=lambda i: 0x44 if i == 5 else 0x4)
        assert codes(throttle.judge(evidence, LIMITS)) == {"thermal_throttle": "WARN"}


def test_a_single_look_is_a_warning_though_it_stands_for_long(make, codes):
    """With a look each five seconds, one of them already fills two seconds and five percent."""
    sparse = tuple(
        replace(reading, at_seconds=5 * reading.at_seconds)
        for reading in make.readings("GPU-0000", 8, clock_event_reasons=lambda i: 0x20 if i == 3 else 0x4)
    )
    evidence = make.node([make.gpu(0)], gpu_readings={"gpu0": sparse})
    assert codes(throttle.judge(evidence, LIMITS)) == {"thermal_throttle": "WARN"}


@pytest.mark.parametrize(("every", "verdict"), [(10, "FAIL"), (30, "WARN")])
def test_the_share_of_time_decides(make, codes, every, verdict):
    evidence = with_readings(make, 300, clock_event_reasons=lambda i: 0x20 if i % every == 0 else 0x4)
    (found,) = throttle.judge(evidence, LIMITS)
    assert codes([found]) == {"thermal_throttle": verdict}
    assert found.reason.evidence["share_ratio"] == pytest.approx(1 / every)


def test_the_drivers_counter_sees_what_a_look_each_second_misses(make, codes):
    evidence = with_readings(make, 100, clock_event_reasons=0x4, thermal_throttle_seconds=lambda i: 7.0 + 0.2 * i)
    assert codes(throttle.judge(evidence, LIMITS)) == {"thermal_throttle": "FAIL"}
    brake = with_readings(make, 100, clock_event_reasons=0x4, power_brake_seconds=lambda i: 0.01 * i)
    assert codes(throttle.judge(brake, LIMITS)) == {"power_brake": "WARN"}


def test_a_counter_that_stands_still_or_moves_by_nothing_is_no_throttling(make):
    evidence = with_readings(make, thermal_throttle_seconds=lambda i: 812.0 + 0.001 * i, power_brake_seconds=3.0)
    assert throttle.judge(evidence, LIMITS) == []


def test_what_the_slowdown_cost_is_in_the_evidence(make):
    evidence = with_readings(
        make, clock_event_reasons=lambda i: 0x40 if i > 30 else 0x4, sm_clock_hertz=lambda i: 0.9e9 if i > 30 else 1.7e9
    )
    (found,) = throttle.judge(evidence, LIMITS)
    assert found.reason.evidence["sm_clock_slowed_hertz"] == 0.9e9
    assert found.reason.evidence["sm_clock_otherwise_hertz"] == 1.7e9
    assert found.reason.repeat == "fryer run --burns gemm"


def test_eight_h100_at_86_mhz_under_power_brake_all_fail(make):
    """Captured from a node with HW Slowdown and HW Power Brake active at 30 C; a rule of exact equality passes it."""
    path = SMI / "gpud_nvidia-smi-query.535.161.08.out.0.valid.txt"
    if not path.exists():
        pytest.skip(f"{path} is not here: captured data lies beside the repository")
    gpus = re.split(r"^GPU 0000", path.read_text(), flags=re.MULTILINE)[1:]
    assert len(gpus) == 8
    masks = [
        sum(bit for word, bit in BITS.items() if re.search(rf"^ +{word} +: Active$", text, re.MULTILINE))
        for text in gpus
    ]
    clocks = [float(re.search(r"^ {8}SM +: (\d+) MHz", text, re.MULTILINE)[1]) * 1e6 for text in gpus]
    assert set(clocks) == {86e6}
    evidence = make.node(
        [make.gpu(i) for i in range(8)],
        gpu_readings={
            f"gpu{i}": make.readings(f"GPU-{i:04d}", 10, clock_event_reasons=mask, sm_clock_hertz=clock)
            for i, (mask, clock) in enumerate(zip(masks, clocks, strict=True))
        },
    )
    found = throttle.judge(evidence, LIMITS)
    assert [(c.device, c.reason.code, str(c.reason.verdict)) for c in found] == [
        (f"gpu{i}", "power_brake", "FAIL") for i in range(8)
    ]


@pytest.mark.parametrize(
    ("celsius", "expected"), [(94.0, {}), (95.0, {"hbm_hot": "WARN"}), (104.0, {"hbm_hot": "WARN"})]
)
def test_hot_memory_is_a_warning(make, codes, celsius, expected):
    evidence = with_readings(make, memory_temperature_celsius=lambda i: celsius if i == 40 else 80.0)
    assert codes(heat.judge(evidence, LIMITS)) == expected


@pytest.mark.parametrize(
    ("margin", "expected"), [(12.0, {}), (2.0, {"thermal_margin": "WARN"}), (-1.0, {"thermal_margin": "WARN"})]
)
def test_the_margin_to_slowdown_is_nvmls_own(make, codes, margin, expected):
    evidence = with_readings(make, temperature_margin_celsius=lambda i: margin if i == 40 else 30.0)
    assert codes(heat.judge(evidence, LIMITS)) == expected


def test_new_uncorrectable_errors_fail_and_old_ones_warn(make, codes):
    new = with_readings(make, ecc_uncorrected_total=lambda i: 2 if i < 30 else 3)
    old = with_readings(make, ecc_uncorrected_total=2)
    none = with_readings(make, ecc_uncorrected_total=0)
    unknown = with_readings(make)
    assert codes(ecc.judge(new, LIMITS)) == {"ecc_uncorrected": "FAIL"}
    assert codes(ecc.judge(old, LIMITS)) == {"ecc_uncorrected": "WARN"}
    assert ecc.judge(none, LIMITS) == ecc.judge(unknown, LIMITS) == []


def test_errors_after_a_counter_was_reset_still_count(make):
    (found,) = ecc.judge(with_readings(make, ecc_uncorrected_total=lambda i: 5 if i < 20 else (i > 40) + 0), LIMITS)
    assert found.reason.evidence["new"] == 1


def test_corrected_errors_are_judged_by_rate(make, codes):
    stream = with_readings(make, 60, ecc_corrected_total=lambda i: 1000 + i)
    few = with_readings(make, 60, ecc_corrected_total=lambda i: 1000 + (i > 30))
    slow = with_readings(make, 3600, ecc_corrected_total=lambda i: i // 100)
    assert codes(ecc.judge(stream, LIMITS)) == {"ecc_corrected": "WARN"}
    assert ecc.judge(few, LIMITS) == ecc.judge(slow, LIMITS) == []


def test_a_pending_remap_warns_and_a_failed_one_fails(make, codes):
    assert codes(remap.judge(with_readings(make, remap_pending=True, remap_failed=False), LIMITS)) == {
        "row_remap_pending": "WARN"
    }
    assert codes(remap.judge(with_readings(make, remap_failed=lambda i: i == 3), LIMITS)) == {
        "row_remap_failed": "FAIL"
    }
    assert remap.judge(with_readings(make, remap_pending=False, remap_failed=False), LIMITS) == []


def test_what_the_driver_asks_for_is_a_failure_in_its_own_words(make, codes):
    (found,) = recovery.judge(with_readings(make, recovery_action=lambda i: 2 if i > 50 else 0), LIMITS)
    assert codes([found]) == {"recovery_action": "FAIL"}
    assert found.reason.remedy == "reboot the node"
    assert recovery.judge(with_readings(make, recovery_action=0), LIMITS) == []


def test_a_lost_gpu_fails_with_the_time_it_was_lost(make, codes):
    (found,) = lost.judge(with_readings(make, lost=lambda i: i >= 12), LIMITS)
    assert codes([found]) == {"device_lost": "FAIL"}
    assert found.reason.evidence["at_seconds"] == 12.0


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (48, {"xid": "FAIL"}),
        (64, {"xid": "FAIL"}),
        (74, {"xid": "FAIL"}),
        (79, {"xid": "FAIL"}),
        (95, {"xid": "FAIL"}),
        (119, {"xid": "FAIL"}),
        (120, {"xid": "FAIL"}),
        (63, {"xid": "WARN"}),
        (92, {"xid": "WARN"}),
        (94, {"xid": "WARN"}),
        (13, {"application_xid": "WARN"}),
        (31, {"application_xid": "WARN"}),
        (43, {"application_xid": "PASS"}),
        (45, {"application_xid": "PASS"}),
        (777, {"xid": "WARN"}),
    ],
)
def test_xids_are_told_apart_by_class(make, codes, code, expected):
    evidence = make.node([make.gpu(0)], xids=(XidEvent(uuid="GPU-0000", code=code, at_seconds=3.0),))
    assert codes(xid.judge(evidence, LIMITS), "gpu0") == expected


def test_no_xid_is_in_two_classes():
    classes = (xid.HARDWARE, xid.SUSPECT, xid.APPLICATION, xid.NOTES)
    assert sum(map(len, classes)) == len(set().union(*classes))


def test_no_xid_that_the_catalogue_calls_fatal_is_less_than_a_failure():
    path = SMI.parent / "xid_catalog.csv"
    if not path.exists():
        pytest.skip(f"{path} is not here: captured data lies beside the repository")
    rows = [line.split(",") for line in path.read_text().splitlines()[1:]]
    fatal = {int(row[0]) for row in rows if ",fatal," in ",".join(row) and row[0].isdigit() and int(row[0]) < 1000}
    assert {79, 119, 120} < fatal
    assert fatal - set(xid.HARDWARE) <= {173, 174, 175, 176}  # only in the source of later drivers


def test_a_storm_of_one_xid_is_one_reason(make):
    events = tuple(XidEvent(uuid="GPU-0000", code=79, at_seconds=float(i)) for i in range(500))
    (found,) = xid.judge(make.node([make.gpu(0)], xids=events), LIMITS)
    assert found.reason.evidence["count"] == 500
    assert len(found.reason.evidence["at_seconds"]) == 100


def test_an_xid_of_a_gpu_that_is_not_in_the_run_concerns_the_node(make):
    (found,) = xid.judge(make.node([make.gpu(0)], xids=(XidEvent(uuid="GPU-x", code=79, at_seconds=1.0),)), LIMITS)
    assert found.device == ""


@pytest.mark.parametrize(
    ("gap", "device", "verdict"),
    [
        ({"uuid": "GPU-0001", "message": "no answer"}, "gpu1", "FAIL"),
        ({"message": "gpu1 did not answer"}, "gpu1", "FAIL"),
        ({"message": "call on 0000:11:00.0 hangs"}, "gpu1", "FAIL"),
        ({"message": "gpu11 did not answer"}, "", "INCONCLUSIVE"),
        ({"message": "no answer"}, "", "INCONCLUSIVE"),
    ],
)
def test_a_silent_driver_is_a_finding(make, gap, device, verdict):
    evidence = make.node([make.gpu(0), make.gpu(1)], gaps=(ReaderGap(at_seconds=5.0, for_seconds=10.0, **gap),))
    (found,) = reader.judge(evidence, LIMITS)
    assert (found.device, found.reason.code, str(found.reason.verdict)) == (device, "reader_hung", verdict)


def test_a_silence_that_goes_on_is_one_finding_as_long_as_it_lasted(make):
    gaps = tuple(ReaderGap(at_seconds=5.0, for_seconds=float(s), message="no answer") for s in (2, 9, 4))
    (found,) = reader.judge(make.node([make.gpu(0)], gaps=gaps), LIMITS)
    assert found.reason.evidence["for_seconds"] == 9.0
