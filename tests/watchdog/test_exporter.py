"""The exporter: what is printed, what is absent, and that Prometheus' own linter has nothing to say."""

import dataclasses
import os
import shutil
import subprocess
from dataclasses import fields
from math import isnan
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from watchdog.collectors.readings import GpuReading
from watchdog.exporter import render
from watchdog.exporter.document import document
from watchdog.exporter.gpus import VALUES
from watchdog.exporter.metrics import METRICS
from watchdog.state import CollectorState, RunState, State
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.incidents import Incident, IncidentState
from watchdog.vocabulary.samples import Row
from watchdog.vocabulary.signals import Action, Signal
from watchdog.vocabulary.subjects import Subject

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "golden" / "metrics.prom"
NOW = 1_750_000_000.0
NODE = Subject("node001")
GPU0 = Subject("node001", "gpu", "GPU-00000000-0000-4000-8000-000000000000")
GPU1 = Subject("node001", "gpu", "GPU-11111111-1111-4111-8111-111111111111")
DISK = Subject("node001", "disk", "/scratch")
NIC = Subject("node001", "nic", "mlx5_0:1")
HEALTHY = {
    "power_watts": 612.5,
    "energy_joules": 4.2e9,
    "temperature_celsius": 61.0,
    "memory_temperature_celsius": 70.0,
    "temperature_margin_celsius": 25.0,
    "sm_clock_hertz": 1.74e9,
    "memory_clock_hertz": 2.619e9,
    "clock_event_reasons": 4.0,
    "thermal_throttle_seconds": 0.0,
    "power_cap_seconds": 31.5,
    "power_brake_seconds": 0.0,
    "utilization_ratio": 0.99,
    "memory_utilization_ratio": 0.4,
    "memory_used_bytes": 7.2e10,
    "ecc_corrected_total": 2.0,
    "ecc_uncorrected_total": 0.0,
    "remapped_rows_corrected": 1.0,
    "remapped_rows_uncorrected": 0.0,
    "remap_pending": 0.0,
    "remap_failed": 0.0,
    "remap_banks_none": 0.0,
    "remap_banks_low": 1.0,
    "pcie_generation": 5.0,
    "pcie_width": 16.0,
    "pcie_replays_total": 3.0,
    "pcie_rx_bytes_total": 2e12,
    "pcie_tx_bytes_total": 1e12,
    "read_seconds": 0.0006,
    "nvlink_errors_total": 0.0,
    "nvlink_links_up": 18.0,
    "fabric_state": 3.0,
    "fabric_status": 0.0,
    "fabric_health": 1.0,
    "sram_threshold_exceeded": 0.0,
    "recovery_action": 0.0,
    "nvml_silent_seconds": 0.0,
    "lost": 0.0,
}


def facts(index: int) -> dict[str, object]:
    return {
        "index": index,
        "part": "NVIDIA H100 80GB HBM3",
        "pci_bus_id": f"0000:{0x1B + index:02x}:00.0",
        "driver": "570.86.15",
        "serial": f"165412300000{index}",
        "power_limit_watts": 700.0,
        "sm_clock_max_hertz": 1.98e9,
        "pcie_generation_max": 5,
        "pcie_width_max": 16,
        "memory_bytes": 85520809984,
        "nvlinks": 18,
    }


def empty(severity: Severity = Severity.OK) -> State:
    return State(node="node001", at=NOW, started_at=NOW - 3600, version="0.1.0", severity=severity)


def with_gpu(**values: float) -> State:
    return dataclasses.replace(empty(), rows={GPU0: Row(subject=GPU0, at=NOW, values=values)}, facts={GPU0: facts(0)})


def finding(subject: Subject, severity: Severity = Severity.FAIL, code: str = "xid_79") -> Finding:
    return Finding(source="xid", subject=subject, severity=severity, code=code, message="fell off the bus", since=NOW)


def full() -> State:
    """A bit of everything: one healthy GPU, one that fell off the bus, a run whose loss is NaN."""
    incident = Incident(
        id="3f2a91c4-0000-4000-8000-000000000001",
        node="node001",
        opened_at=NOW - 30,
        updated_at=NOW - 5,
        state=IncidentState.OPEN,
        severity=Severity.FAIL,
        root=GPU1,
        root_code="xid_79",
        title="gpu 1 fell off the bus",
        action="reboot_node",
        repeats=2,
    )
    return State(
        node="node001",
        at=NOW,
        started_at=NOW - 3600,
        version="0.1.0",
        severity=Severity.FAIL,
        findings=(finding(GPU1), finding(DISK, Severity.WARN, "disk_filling")),
        incidents=(incident,),
        signal=Signal(
            id="3f2a91c4-0000-4000-8000-000000000002",
            action=Action.EXCLUDE,
            reason="gpu 1 fell off the bus",
            confidence=0.99,
            created_at=NOW - 20,
            expires_at=NOW + 600,
            is_observed_only=True,
        ),
        rows={
            GPU0: Row(subject=GPU0, at=NOW - 1, values=HEALTHY),
            GPU1: Row(subject=GPU1, at=NOW - 1, values={"lost": 1.0, "nvml_silent_seconds": 12.0}),
            NODE: Row(
                subject=NODE,
                at=NOW - 2,
                values={
                    "cpu_busy_ratio": 0.31,
                    "cpu_pressure_ratio": 0.02,
                    "memory_pressure_ratio": 0.0,
                    "io_pressure_ratio": 0.01,
                    "memory_available_bytes": 1.5e12,
                    "memory_total_bytes": 2e12,
                    "swap_used_bytes": 0.0,
                    "processes_uninterruptible": 0.0,
                    "clock_offset_seconds": -0.0021,
                    "nvml_silent_seconds": 0.0,
                },
            ),
            DISK: Row(
                subject=DISK,
                at=NOW - 20,
                values={
                    "free_bytes": 1e12,
                    "total_bytes": 7e12,
                    "read_latency_seconds": 0.0004,
                    "write_latency_seconds": 0.002,
                },
            ),
            NIC: Row(
                subject=NIC,
                at=NOW - 3,
                values={
                    "link_up": 1.0,
                    "rate_bytes_per_second": 5e10,
                    "link_downed_total": 1.0,
                    "receive_bytes_total": 9e14,
                    "transmit_bytes_total": 8e14,
                    "symbol_errors_total": 4.0,
                    "receive_errors_total": 0.0,
                },
            ),
        },
        facts={GPU0: facts(0), GPU1: facts(1)},
        collectors=(
            CollectorState(
                name="nvml",
                period_seconds=1.0,
                last_success_at=NOW - 1,
                duration_seconds=0.004,
                num_calls=3600,
                num_failures=2,
            ),
            CollectorState(name="dcgm", period_seconds=30.0, is_missing=True),
            CollectorState(
                name="clock",
                period_seconds=60.0,
                last_error="no answer",
                duration_seconds=2.0,
                num_calls=4,
                num_failures=4,
            ),
        ),
        runs=(
            RunState(
                run="pretrain-3b",
                stage="stage1",
                world_size=384,
                ranks=tuple(range(8)),
                begun_at=NOW - 3000,
                step=1200,
                step_at=NOW - 2,
                values={
                    "loss": float("nan"),
                    "grad_norm": 0.31,
                    "lr": 3e-4,
                    "tokens_per_second": 4.1e6,
                    "step_seconds": 2.05,
                },
                checkpoints=({"step": 500, "state": "good"}, {"step": 1000, "state": "complete"}),
            ),
        ),
        xid_counts={(GPU1.name, 79): (1, NOW - 30), ("0000:1c:00", 79): (1, NOW - 29), (GPU0.name, 13): (2, NOW - 900)},
        sxid_counts={("0000:86:00.0", 20034): (1, NOW - 28)},
        counters={"kmsg_lost_records_total": 7.0, "signals_total.exclude": 1.0, "store_commits_total": 3600.0},
    )


def series(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every series by name and labels; fails on a duplicate, which Prometheus refuses to read."""
    found: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found
            found[key] = sample.value
    return found


def value(state: State, name: str, /, **labels: str) -> float | None:
    return series(render(state)).get((name, tuple(sorted(labels.items()))))


def names(state: State) -> set[str]:
    return {name for name, _ in series(render(state))}


def test_the_whole_page_is_as_recorded() -> None:
    """After a wanted change: FRYER_WRITE_GOLDEN=1 pytest tests/watchdog/test_exporter.py, and read the diff."""
    if os.environ.get("FRYER_WRITE_GOLDEN"):
        GOLDEN.write_text(render(full()), encoding="utf-8")
    assert render(full()) == GOLDEN.read_text(encoding="utf-8")


def test_the_recorded_page_shows_every_family_of_the_catalogue() -> None:
    assert names(full()) == {family.name for family in METRICS}


def test_promtool_finds_nothing_to_complain_about() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        assert os.environ.get("CI") != "true", "CI installs promtool (.ci/packages.txt)"
        pytest.skip("promtool is not installed (Debian package prometheus)")
    done = subprocess.run(
        [promtool, "check", "metrics"], input=render(full()), capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_document_is_made_from_the_catalogue() -> None:
    assert (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8") == document()


def test_every_value_that_the_nvml_reader_gives_is_exported() -> None:
    read = {one.name for one in fields(GpuReading)} - {"uuid", "at_seconds"}
    assert read - set(VALUES) <= {"clock_event_reasons", "recovery_action"}  # these two become state sets


@pytest.mark.parametrize("name", sorted(VALUES))
def test_a_reading_that_failed_is_an_absent_series_not_zero(name: str) -> None:
    family, labels = VALUES[name]
    whole = series(render(with_gpu(**HEALTHY)))
    lacking = series(render(with_gpu(**{key: one for key, one in HEALTHY.items() if key != name})))
    gone = whole.keys() - lacking.keys()
    assert len(gone) == 1
    ((gone_name, gone_labels),) = gone
    assert gone_name == f"fryer_{family}"
    assert set(labels) <= {text for _, text in gone_labels}


def test_a_reading_of_nan_is_a_reading_that_failed() -> None:
    assert "fryer_gpu_power_watts" not in names(with_gpu(power_watts=float("nan")))


def test_an_old_reading_is_absent_and_a_machine_whose_readings_are_all_old_has_no_gpu_that_answers() -> None:
    state = dataclasses.replace(with_gpu(power_watts=500.0), at=NOW + 61)
    assert "fryer_gpu_power_watts" not in names(state)
    assert value(state, "fryer_gpus") == 0


def test_a_slow_collector_s_reading_stays_for_three_of_its_periods() -> None:
    state = dataclasses.replace(
        empty(),
        rows={DISK: Row(subject=DISK, at=NOW, values={"free_bytes": 1.0})},
        collectors=(CollectorState(name="storage", period_seconds=300.0),),
    )
    assert value(dataclasses.replace(state, at=NOW + 900), "fryer_disk_free_bytes", disk="/scratch") == 1
    assert value(dataclasses.replace(state, at=NOW + 901), "fryer_disk_free_bytes", disk="/scratch") is None


def test_clock_reasons_become_one_series_a_bit() -> None:
    state = with_gpu(clock_event_reasons=float(0x40 | 0x4))
    held = {
        dict(labels)["reason"]: one
        for (name, labels), one in series(render(state)).items()
        if name == "fryer_gpu_clock_limited"
    }
    assert {reason for reason, one in held.items() if one} == {"sw_power_cap", "hw_thermal"}
    assert len(held) == 9


@pytest.mark.parametrize(
    ("number", "action"), [(0, "none"), (1, "reset_gpu"), (2, "reboot_node"), (3, "drain_p2p"), (4, "drain_reset")]
)
def test_the_recovery_action_is_a_state_set(number: int, action: str) -> None:
    state = with_gpu(recovery_action=float(number))
    for one in ("none", "reset_gpu", "reboot_node", "drain_p2p", "drain_reset"):
        assert value(state, "fryer_gpu_recovery_action", gpu="0", uuid=GPU0.name, action=one) == (one == action)


def test_an_xid_counted_by_uuid_and_by_address_is_one_series() -> None:
    labels = {"gpu": "1", "uuid": GPU1.name, "pci": "0000:1c:00.0", "xid": "79"}
    assert value(full(), "fryer_gpu_xid_events_total", **labels) == 2
    assert value(full(), "fryer_gpu_xid_last_timestamp_seconds", **labels) == NOW - 29


def test_an_xid_of_a_gpu_that_nobody_knows_keeps_its_address() -> None:
    state = dataclasses.replace(empty(), xid_counts={("0000:9b:00.0", 79): (1, NOW)})
    assert value(state, "fryer_gpu_xid_events_total", gpu="", uuid="", pci="0000:9b:00.0", xid="79") == 1


@pytest.mark.parametrize("severity", list(Severity))
def test_the_node_is_in_exactly_one_state(severity: Severity) -> None:
    state = dataclasses.replace(empty(severity), findings=(finding(NODE, severity),))
    states = {
        dict(labels)["state"]: one
        for (name, labels), one in series(render(state)).items()
        if name == "fryer_health_state" and dict(labels)["component"] == "node"
    }
    assert states == {one.name.lower(): float(one is severity) for one in Severity}


def test_a_gpu_is_in_the_state_of_its_own_findings() -> None:
    assert value(full(), "fryer_gpu_health_state", gpu="0", uuid=GPU0.name, state="ok") == 1
    assert value(full(), "fryer_gpu_health_state", gpu="1", uuid=GPU1.name, state="fail") == 1
    assert value(full(), "fryer_health_state", component="gpu", state="fail") == 1
    assert value(full(), "fryer_health_state", component="nic", state="ok") == 1


def test_a_gpu_whose_reader_fails_is_unknown_not_ok() -> None:
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


def test_a_source_that_this_machine_lacks_is_missing_and_neither_up_nor_down() -> None:
    assert value(full(), "fryer_collector_missing", collector="dcgm") == 1
    assert value(full(), "fryer_collector_up", collector="dcgm") is None
    assert value(full(), "fryer_collector_up", collector="clock") == 0
    assert value(full(), "fryer_collector_last_success_timestamp_seconds", collector="clock") is None


def test_a_signal_that_is_only_observed_or_expired_is_not_enforced() -> None:
    state = full()
    assert value(state, "fryer_signal_active", action="exclude", mode="observed") == 1
    assert value(state, "fryer_signal_active", action="exclude", mode="enforced") == 0
    late = dataclasses.replace(state, at=NOW + 601)
    assert value(late, "fryer_signal_active", action="exclude", mode="observed") == 0


def test_incidents_have_a_series_for_each_state_even_at_zero() -> None:
    states = {state.value: value(full(), "fryer_incidents", state=state.value) for state in IncidentState}
    assert states == {"open": 1, "acted": 0, "verified": 0, "closed": 0}
    assert value(full(), "fryer_incident_repeats") == 2


def test_counters_of_the_daemon_begin_at_zero_so_that_the_first_step_is_an_increase() -> None:
    assert value(empty(), "fryer_kmsg_lost_records_total") == 0
    assert value(empty(), "fryer_signals_total", action="drain") == 0


def test_a_counter_that_the_catalogue_does_not_name_is_printed_under_its_own_name() -> None:
    state = dataclasses.replace(
        empty(), counters={"alerts_sent_total": 3.0, "Not-a-name": 1.0, "signals_total.none": 1.0}
    )
    assert value(state, "fryer_alerts_sent_total") == 3
    assert {name for name in names(state) if "name" in name.lower() or "none" in name} == set()


def test_loss_may_be_nan_and_a_run_that_ended_has_no_series() -> None:
    loss = value(full(), "fryer_run_loss", run="pretrain-3b")
    assert loss is not None
    assert isnan(loss)
    ended = dataclasses.replace(full(), runs=tuple(dataclasses.replace(run, ended_at=NOW) for run in full().runs))
    assert {name for name in names(ended) if name.startswith("fryer_run_")} == set()


def test_a_machine_without_gpus_says_nothing_about_them() -> None:
    assert {name for name in names(empty()) if "gpu" in name} == set()


TEXT = st.text(max_size=12)


@given(run=TEXT, mount=TEXT, part=TEXT, source=TEXT)
def test_any_text_in_a_label_is_printed_so_that_a_parser_reads_it_back(
    run: str, mount: str, part: str, source: str
) -> None:
    disk = Subject("node001", "disk", mount)
    state = dataclasses.replace(
        with_gpu(power_watts=1.0),
        facts={GPU0: facts(0) | {"part": part}},
        runs=(RunState(run=run, step=1),),
        findings=(dataclasses.replace(finding(GPU0), source=source),),
    )
    state = dataclasses.replace(state, rows={**state.rows, disk: Row(subject=disk, at=NOW, values={"free_bytes": 5.0})})
    assert value(state, "fryer_run_step", run=run) == 1
    assert value(state, "fryer_disk_free_bytes", disk=mount) == 5
    assert value(state, "fryer_findings", source=source, code="xid_79", severity="fail") == 1


def test_half_a_character_in_a_label_does_not_break_the_page() -> None:
    state = dataclasses.replace(empty(), runs=(RunState(run="a\ud800b", step=1),))
    assert value(state, "fryer_run_step", run="a\N{REPLACEMENT CHARACTER}b") == 1
