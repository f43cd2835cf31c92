"""What each value of a state becomes, what is absent, and that all that collectors read is shown."""

import dataclasses
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchdog.collectors.clock_skew import ClockSkew
from watchdog.collectors.dcgm_fields import FIELDS
from watchdog.collectors.host_node import HostNode
from watchdog.collectors.infiniband import COUNTERS, HW_COUNTERS
from watchdog.collectors.readings import GpuReading
from watchdog.collectors.storage import Settings, Storage
from watchdog.exporter.gpus import VALUES
from watchdog.exporter.machine import DISK as DISK_VALUES
from watchdog.exporter.machine import HOST, NIC
from watchdog.state import CollectorState, RunState, State
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.samples import Row
from watchdog.vocabulary.subjects import Subject

Read = Callable[..., Any]
NOW = 1_750_000_000.0
NODE = Subject("node001")
GPU0 = Subject("node001", "gpu", "GPU-00000000-0000-4000-8000-000000000000")
DISK = Subject("node001", "disk", "/scratch")


def empty(severity: Severity = Severity.OK) -> State:
    return State(node="node001", at=NOW, started_at=NOW - 3600, version="0.1.0", severity=severity)


def with_gpu(**values: float) -> State:
    row = Row(subject=GPU0, at=NOW, values=values)
    return dataclasses.replace(empty(), rows={GPU0: row}, facts={GPU0: {"index": 0}})


def finding(subject: Subject, severity: Severity = Severity.FAIL, code: str = "xid_79") -> Finding:
    return Finding(source="xid", subject=subject, severity=severity, code=code, message="fell off the bus", since=NOW)


def test_every_value_of_nvml_is_shown() -> None:
    """But for totals of which the rates are shown, and two that become state sets."""
    read = {one.name for one in fields(GpuReading)} - {"uuid", "at_seconds"}
    others = {"clock_event_reasons", "recovery_action", "pcie_rx_bytes_total", "pcie_tx_bytes_total"}
    assert read - set(VALUES) - others == set()


def test_every_value_that_only_dcgm_has_is_shown() -> None:
    assert {field.metric for field in FIELDS.values() if field.is_own} - set(VALUES) == set()


def test_every_counter_of_a_port_is_shown() -> None:
    counters = {*COUNTERS.values(), *HW_COUNTERS.values()}
    assert {name for name in counters - set(NIC) if not name.endswith("_errors_total")} == set()


def test_every_value_of_this_host_its_clock_and_a_disk_is_shown(tmp_path: Path) -> None:
    host, clock, storage = (
        HostNode("node001"),
        ClockSkew("node001"),
        Storage("node001", Settings(paths=(str(tmp_path),))),
    )
    read = {metric for look in (host, host, clock, clock) for row in look.collect(NOW).rows for metric in row.values}
    assert read - set(HOST) == set()
    assert {metric for row in storage.collect(NOW).rows for metric in row.values} - set(DISK_VALUES) == set()
    storage.close()


@pytest.mark.parametrize("name", sorted(VALUES))
def test_a_reading_that_failed_is_an_absent_series_not_zero(series: Read, name: str) -> None:
    family, labels = VALUES[name]
    whole_row = dict.fromkeys(VALUES, 1.0)
    whole = series(with_gpu(**whole_row))
    lacking = series(with_gpu(**{key: one for key, one in whole_row.items() if key != name}))
    gone = whole.keys() - lacking.keys()
    assert len(gone) == 1
    ((gone_name, gone_labels),) = gone
    assert gone_name == f"fryer_{family}"
    assert set(labels) <= {text for _, text in gone_labels}


def test_a_reading_of_nan_is_a_reading_that_failed(names: Read) -> None:
    assert "fryer_gpu_power_watts" not in names(with_gpu(power_watts=float("nan")))


def test_an_old_reading_is_absent_and_a_machine_whose_readings_are_all_old_has_no_gpu_that_answers(
    value: Read, names: Read
) -> None:
    state = dataclasses.replace(with_gpu(power_watts=500.0), at=NOW + 61)
    assert "fryer_gpu_power_watts" not in names(state)
    assert value(state, "fryer_gpus") == 0


def test_a_slow_collector_s_reading_stays_for_three_of_its_periods(value: Read) -> None:
    state = dataclasses.replace(
        empty(),
        rows={DISK: Row(subject=DISK, at=NOW, values={"free_bytes": 1.0})},
        collectors=(CollectorState(name="storage", period_seconds=300.0),),
    )
    assert value(dataclasses.replace(state, at=NOW + 900), "fryer_disk_free_bytes", disk="/scratch") == 1
    assert value(dataclasses.replace(state, at=NOW + 901), "fryer_disk_free_bytes", disk="/scratch") is None


def test_clock_reasons_become_one_series_a_bit(series: Read) -> None:
    state = with_gpu(clock_event_reasons=float(0x40 | 0x4))
    held = {
        dict(labels)["reason"]: one
        for (name, labels), one in series(state).items()
        if name == "fryer_gpu_clock_limited"
    }
    assert {reason for reason, one in held.items() if one} == {"sw_power_cap", "hw_thermal"}
    assert len(held) == 9


@pytest.mark.parametrize(
    ("number", "action"), [(0, "none"), (1, "reset_gpu"), (2, "reboot_node"), (3, "drain_p2p"), (4, "drain_reset")]
)
def test_the_recovery_action_is_a_state_set(value: Read, number: int, action: str) -> None:
    state = with_gpu(recovery_action=float(number))
    for one in ("none", "reset_gpu", "reboot_node", "drain_p2p", "drain_reset"):
        assert value(state, "fryer_gpu_recovery_action", gpu="0", uuid=GPU0.name, action=one) == (one == action)


def test_an_xid_of_a_gpu_that_nobody_knows_keeps_its_address(value: Read) -> None:
    state = dataclasses.replace(empty(), xid_counts={("0000:9b:00.0", 79): (1, NOW)})
    assert value(state, "fryer_gpu_xid_events_total", gpu="", uuid="", pci="0000:9b:00.0", xid="79") == 1


@pytest.mark.parametrize("severity", list(Severity))
def test_the_node_is_in_exactly_one_state(series: Read, severity: Severity) -> None:
    state = dataclasses.replace(empty(severity), findings=(finding(NODE, severity),))
    states = {
        dict(labels)["state"]: one
        for (name, labels), one in series(state).items()
        if name == "fryer_health_state" and dict(labels)["component"] == "node"
    }
    assert states == {one.name.lower(): float(one is severity) for one in Severity}


def test_a_gpu_whose_reader_fails_is_unknown_not_ok(value: Read) -> None:
    broken = CollectorState(name="nvml", period_seconds=1, last_error="no answer", num_calls=1)
    suspect = finding(Subject("node001", "process", "collector:nvml"), Severity.UNKNOWN, "collector_stale")
    for state in (
        dataclasses.replace(with_gpu(power_watts=500.0), collectors=(broken,)),
        dataclasses.replace(with_gpu(power_watts=500.0), findings=(suspect,)),
        dataclasses.replace(with_gpu(power_watts=500.0), severity=Severity.UNKNOWN),
    ):
        assert value(state, "fryer_health_state", component="gpu", state="ok") == 0
        assert value(state, "fryer_health_state", component="gpu", state="unknown") == 1
        assert value(state, "fryer_gpu_health_state", gpu="0", uuid=GPU0.name, state="unknown") == 1


def test_counters_of_the_daemon_begin_at_zero_so_that_the_first_step_is_an_increase(value: Read) -> None:
    assert value(empty(), "fryer_store_refused_total") == 0
    assert value(empty(), "fryer_signals_total", action="drain") == 0


def test_a_counter_that_the_catalogue_does_not_name_is_printed_under_its_own_name(value: Read, names: Read) -> None:
    state = dataclasses.replace(
        empty(), counters={"alerts_sent_total": 3.0, "Not-a-name": 1.0, "signals_total.none": 1.0}
    )
    assert value(state, "fryer_alerts_sent_total") == 3
    assert {name for name in names(state) if "name" in name.lower() or "none" in name} == set()


def test_a_machine_without_gpus_says_nothing_about_them(names: Read) -> None:
    assert {name for name in names(empty()) if "gpu" in name} == set()


TEXT = st.text(max_size=12)


@given(run=TEXT, mount=TEXT, part=TEXT, source=TEXT)
def test_any_text_in_a_label_is_printed_so_that_a_parser_reads_it_back(
    value: Read, run: str, mount: str, part: str, source: str
) -> None:
    disk = Subject("node001", "disk", mount)
    state = dataclasses.replace(
        with_gpu(power_watts=1.0),
        facts={GPU0: {"index": 0, "part": part}},
        runs=(RunState(run=run, step=1),),
        findings=(dataclasses.replace(finding(GPU0), source=source),),
    )
    state = dataclasses.replace(state, rows={**state.rows, disk: Row(subject=disk, at=NOW, values={"free_bytes": 5.0})})
    assert value(state, "fryer_run_step", run=run) == 1
    assert value(state, "fryer_disk_free_bytes", disk=mount) == 5
    assert value(state, "fryer_findings", source=source, code="xid_79", severity="fail") == 1


def test_half_a_character_in_a_label_does_not_break_the_page(value: Read) -> None:
    state = dataclasses.replace(empty(), runs=(RunState(run="a\ud800b", step=1),))
    assert value(state, "fryer_run_step", run="a\N{REPLACEMENT CHARACTER}b") == 1
