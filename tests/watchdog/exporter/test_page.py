"""The page of a node that has everything, as recorded; Prometheus' own linter has nothing to say."""

import dataclasses
import os
import shutil
import subprocess
from collections.abc import Callable
from math import isnan
from pathlib import Path
from typing import Any

import pytest

from watchdog.exporter import machine, render
from watchdog.exporter.document import document
from watchdog.exporter.machine import HOST
from watchdog.exporter.metrics import METRICS
from watchdog.state import CollectorState, RunState, State
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.incidents import Incident, IncidentState
from watchdog.vocabulary.samples import Row
from watchdog.vocabulary.signals import Action, Signal
from watchdog.vocabulary.subjects import Subject

ROOT = Path(__file__).parents[3]
GOLDEN = Path(__file__).parent / "golden.prom"
Read = Callable[..., Any]
NOW = 1_750_000_000.0
NODE = Subject("node001")
GPU0 = Subject("node001", "gpu", "GPU-00000000-0000-4000-8000-000000000000")
GPU1 = Subject("node001", "gpu", "GPU-11111111-1111-4111-8111-111111111111")
DISK = Subject("node001", "disk", "/scratch")
SWITCH = Subject("node001", "switch", "0000:86:00.0")
KMSG = Subject("node001", "process", "collector:kmsg")
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
    "pcie_rx_bytes_per_second": 2e8,
    "pcie_tx_bytes_per_second": 1e8,
    "nvlink_rx_bytes_per_second": 2e11,
    "nvlink_tx_bytes_per_second": 2e11,
    "sm_active_ratio": 0.97,
    "tensor_active_ratio": 0.61,
    "dcgm_health": 0.0,
    "aer_correctable_total": 1.0,
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


HOST_VALUES = {
    "cpu_busy_ratio": 0.31,
    "memory_available_bytes": 1.5e12,
    "memory_total_bytes": 2e12,
    "clock_offset_seconds": -0.0021,
    "clock_synchronised": 1.0,
    "gpus_on_bus": 8.0,
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
            NODE: Row(subject=NODE, at=NOW - 2, values=dict.fromkeys(HOST, 0.0) | HOST_VALUES),
            DISK: Row(
                subject=DISK,
                at=NOW - 20,
                values=dict.fromkeys(machine.DISK, 0.0) | {"free_bytes": 1e12, "total_bytes": 7e12},
            ),
            NIC: Row(subject=NIC, at=NOW - 3, values=dict.fromkeys(machine.NIC, 1.0) | {"symbol_errors_total": 4.0}),
            SWITCH: Row(subject=SWITCH, at=NOW - 3, values={"pcie_width": 16.0, "pcie_generation": 4.0}),
            KMSG: Row(subject=KMSG, at=NOW - 300, values={"lost_records_total": 7.0}),
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
        counters={"signals_total.exclude": 1.0, "api_rejected_total": 2.0, "store_rows_dropped_total": 40.0},
    )


def test_the_whole_page_is_as_recorded() -> None:
    """After a wanted change: FRYER_WRITE_GOLDEN=1 pytest tests/watchdog/exporter, and read the diff."""
    if os.environ.get("FRYER_WRITE_GOLDEN"):
        GOLDEN.write_text(render(full()), encoding="utf-8")
    assert render(full()) == GOLDEN.read_text(encoding="utf-8")


def test_the_recorded_page_shows_every_family_of_the_catalogue(names: Read) -> None:
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


def test_an_xid_counted_by_uuid_and_by_address_is_one_series(value: Read) -> None:
    labels = {"gpu": "1", "uuid": GPU1.name, "pci": "0000:1c:00.0", "xid": "79"}
    assert value(full(), "fryer_gpu_xid_events_total", **labels) == 2
    assert value(full(), "fryer_gpu_xid_last_timestamp_seconds", **labels) == NOW - 29


def test_a_gpu_is_in_the_state_of_its_own_findings(value: Read) -> None:
    assert value(full(), "fryer_gpu_health_state", gpu="0", uuid=GPU0.name, state="ok") == 1
    assert value(full(), "fryer_gpu_health_state", gpu="1", uuid=GPU1.name, state="fail") == 1
    assert value(full(), "fryer_health_state", component="gpu", state="fail") == 1
    assert value(full(), "fryer_health_state", component="nic", state="ok") == 1


def test_a_source_that_this_machine_lacks_is_missing_and_neither_up_nor_down(value: Read) -> None:
    assert value(full(), "fryer_collector_missing", collector="dcgm") == 1
    assert value(full(), "fryer_collector_up", collector="dcgm") is None
    assert value(full(), "fryer_collector_up", collector="clock") == 0
    assert value(full(), "fryer_collector_last_success_timestamp_seconds", collector="clock") is None


def test_a_signal_that_is_only_observed_or_expired_is_not_enforced(value: Read) -> None:
    state = full()
    assert value(state, "fryer_signal_active", action="exclude", mode="observed") == 1
    assert value(state, "fryer_signal_active", action="exclude", mode="enforced") == 0
    late = dataclasses.replace(state, at=NOW + 601)
    assert value(late, "fryer_signal_active", action="exclude", mode="observed") == 0


def test_incidents_have_a_series_for_each_state_even_at_zero(value: Read) -> None:
    states = {state.value: value(full(), "fryer_incidents", state=state.value) for state in IncidentState}
    assert states == {"open": 1, "acted": 0, "verified": 0, "closed": 0}
    assert value(full(), "fryer_incident_repeats") == 2


def test_loss_may_be_nan_and_a_run_that_ended_has_no_series(value: Read, names: Read) -> None:
    loss = value(full(), "fryer_run_loss", run="pretrain-3b")
    assert loss is not None
    assert isnan(loss)
    ended = dataclasses.replace(full(), runs=tuple(dataclasses.replace(run, ended_at=NOW) for run in full().runs))
    assert {name for name in names(ended) if name.startswith("fryer_run_")} == set()
