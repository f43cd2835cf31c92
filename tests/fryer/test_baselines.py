"""What a qualification showed of a GPU is what the daemon compares it with, as it comes out of a kept run."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fryer.archive import save
from fryer.evidence import DeviceVerdict, NodeEvidence, NodeVerdict
from fryer.plan import Phase, Plan
from fryer.result import RunInfo, RunResult
from watchdog.detectors.baseline_drift import Limits, detect
from watchdog.store import Store, baselines
from watchdog.store.connection import writing
from watchdog.store.watch_log import WatchLog
from watchdog.vocabulary.errors import StoreError
from watchdog.vocabulary.samples import Row, window_of
from watchdog.vocabulary.subjects import Subject
from watchdog.vocabulary.verdicts import Verdict

PLAN = Plan(nodes=("node001",), dtypes=("bf16",), phases=(Phase(burn="gemm", seconds=30.0),), seed=1, memory_ratio=0.9)
SHOWN: dict[str, Any] = {
    "sm_clock_hertz": 1.75e9,
    "power_watts": 699.0,
    "temperature_celsius": 64.0,
    "memory_temperature_celsius": 80.0,
    "utilization_ratio": 1.0,
}


@pytest.fixture
def log(tmp_path: Path) -> WatchLog:
    return WatchLog(Store.open(tmp_path / "state"))


def keep(log: WatchLog, evidence: NodeEvidence, number: int = 1, verdict: Verdict = Verdict.PASS) -> None:
    """Save it as the run of this day of January."""
    judged = tuple(DeviceVerdict(device=device.name, verdict=verdict, reasons=()) for device in evidence.devices)
    info = RunInfo(
        run_id=f"r{number}", started_at=f"2026-01-{number:02d}T00:00:00+00:00", plan=PLAN, command="fryer run"
    )
    verdicts = (NodeVerdict(node=evidence.node, verdict=verdict, reasons=(), devices=judged),)
    save(log.store, RunResult(info=info, seconds=30.0, evidence=(evidence,), verdicts=verdicts))


def burned(make: SimpleNamespace, burn: str = "gemm", **shown: object) -> NodeEvidence:
    """One H100 under one burn for 30 s."""
    found: NodeEvidence = make.node(
        [make.gpu(0)],
        [make.series("gpu0", 7e14, burn=burn, case="bf16")],
        gpu_readings={"gpu0": make.readings("GPU-0000", 40, **{**SHOWN, **shown})},
    )
    return found


def test_medians_under_each_burn_stand_beside_its_rate(log: WatchLog, make: SimpleNamespace) -> None:
    keep(log, burned(make))
    assert log.baselines(["GPU-0000", "GPU-unknown"]) == {
        "GPU-0000": {
            "gemm bf16 flops_per_second": 7e14,
            "gemm bf16 sm_clock_hertz": 1.75e9,
            "gemm bf16 power_watts": 699.0,
            "gemm bf16 temperature_celsius": 64.0,
            "gemm bf16 memory_temperature_celsius": 80.0,
        }
    }
    assert log.baselines(["GPU-0000"], is_simulated=True) == {}


def test_only_readings_of_the_burn_and_of_a_loaded_gpu_count(log: WatchLog, make: SimpleNamespace) -> None:
    """Its series is from 1 s to 30 s; then it cools down. In between it idles for a while."""
    keep(
        log,
        burned(
            make,
            temperature_celsius=lambda i: 64.0 if 1 <= i <= 30 else 30.0,
            sm_clock_hertz=lambda i: 345e6 if i < 20 else 1.75e9,
            utilization_ratio=lambda i: 0.0 if i < 20 else 1.0,
            power_watts=lambda i: None if i % 2 else 690.0 + i,
            memory_temperature_celsius=None,
        ),
    )
    found = log.baselines(["GPU-0000"])["GPU-0000"]
    assert (found["gemm bf16 temperature_celsius"], found["gemm bf16 sm_clock_hertz"]) == (64.0, 1.75e9)
    assert found["gemm bf16 power_watts"] == 715.0
    assert "gemm bf16 memory_temperature_celsius" not in found


def test_warming_up_is_no_part_of_a_baseline(log: WatchLog, make: SimpleNamespace) -> None:
    evidence = burned(make, temperature_celsius=lambda i: 64.0 if i >= 20 else 40.0)
    settled = tuple(replace(one, steady_from_seconds=20.0) for one in evidence.measurements)
    keep(log, replace(evidence, measurements=settled))
    assert log.baselines(["GPU-0000"])["GPU-0000"]["gemm bf16 temperature_celsius"] == 64.0


def test_a_driver_that_tells_no_utilisation_leaves_the_burn_as_the_load(log: WatchLog, make: SimpleNamespace) -> None:
    keep(log, burned(make, utilization_ratio=None))
    assert log.baselines(["GPU-0000"])["GPU-0000"]["gemm bf16 sm_clock_hertz"] == 1.75e9


def test_the_newest_that_qualified_counts_and_a_short_run_hides_no_burn(log: WatchLog, make: SimpleNamespace) -> None:
    keep(log, burned(make, sm_clock_hertz=1.60e9), 1)
    keep(log, burned(make, sm_clock_hertz=1.70e9), 2, Verdict.WARN)
    keep(log, burned(make, sm_clock_hertz=1.00e9), 3, Verdict.FAIL)
    keep(log, burned(make, burn="memory", sm_clock_hertz=1.98e9), 4)
    found = log.baselines(["GPU-0000"])["GPU-0000"]
    assert {name: value for name, value in found.items() if name.endswith("sm_clock_hertz")} == {
        "gemm bf16 sm_clock_hertz": 1.70e9,
        "memory bf16 sm_clock_hertz": 1.98e9,
    }


def test_a_day_of_readings_is_not_read(log: WatchLog, make: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "MOST_PACKED_BYTES", 100)
    keep(log, burned(make))
    assert log.baselines(["GPU-0000"]) == {"GPU-0000": {"gemm bf16 flops_per_second": 7e14}}


def test_a_recording_that_is_damaged_is_said_so(log: WatchLog, make: SimpleNamespace) -> None:
    keep(log, burned(make))
    with writing(log.store.engine) as connection:
        connection.exec_driver_sql("UPDATE recording SET columns = x'00'")
    with pytest.raises(StoreError, match="can't be unpacked"):
        log.baselines(["GPU-0000"])


def test_a_gpu_that_runs_hotter_and_slower_than_it_did_is_found(log: WatchLog, make: SimpleNamespace) -> None:
    """From the kept run to the finding, by the detector's own names."""
    keep(log, burned(make))
    gpu = Subject("node001", "gpu", "GPU-0000")
    facts = {gpu: {"baseline": log.baselines([gpu.name])[gpu.name]}}
    now = {**SHOWN, "sm_clock_hertz": 1.5e9, "temperature_celsius": 75.0}
    rows = [Row(subject=gpu, at=float(at), values=now) for at in range(0, 601, 5)]
    found = detect(window_of(600.0, rows, facts=facts), Limits())
    assert [(one.code, one.evidence["baseline"]) for one in found] == [
        ("clock_below_baseline", 1.75e9),
        ("hotter_than_baseline", 64.0),
    ]
