"""The whole way of a reading: scenario, C functions, pynvml, the child, the collector."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from watchdog.clock import RunClock
from watchdog.collectors import Collected
from watchdog.collectors.gpus import Gpus, Settings, byte_rates
from watchdog.collectors.readings import GpuReading
from watchdog.simulator.node import SimulatedNode
from watchdog.simulator.scenario import scenario_path
from watchdog.vocabulary.errors import SourceMissing
from watchdog.vocabulary.samples import Row
from watchdog.vocabulary.subjects import Subject

SPEED = 20.0
ENOUGH_REAL_SECONDS = 30.0
NODE = Subject("node001")
Make = Callable[..., Gpus]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """A collector over a ready scenario, or over these faults; the run begins so many real seconds from now."""
    made: list[Gpus] = []

    def one(scenario: str = "healthy", faults: str = "", begins_in_seconds: float = 2.0) -> Gpus:
        path = scenario_path(scenario)
        if faults:
            path = tmp_path / "mine.toml"
            path.write_text(f'seed = 7\n[fleet]\nnodes = "node001"\ngpus_per_node = 2\n{faults}')
        clock = RunClock(time.monotonic() + begins_in_seconds, SPEED)
        made.append(Gpus("node001", Settings(), SimulatedNode(str(path), "node001", clock)))
        return made[-1]

    yield one
    for gpus in made:
        gpus.close()


def collect_until(gpus: Gpus, is_it: Callable[[Collected], bool]) -> Collected:
    """Look until it is so: how long a child takes to start is the machine's matter."""
    end = time.monotonic() + ENOUGH_REAL_SECONDS
    while time.monotonic() < end:
        collected = gpus.collect(1000.0)
        if is_it(collected):
            return collected
        time.sleep(0.02)
    raise AssertionError("it never came")


def row_of(collected: Collected, subject: Subject) -> Row:
    (row,) = [row for row in collected.rows if row.subject == subject]
    return row


def has_gpus(collected: Collected) -> bool:
    return any(row.subject.kind == "gpu" for row in collected.rows)


def test_the_first_look_tells_who_the_gpus_are_and_what_they_show(make: Make) -> None:
    collected = collect_until(make(), has_gpus)
    gpus = [row.subject for row in collected.rows if row.subject.kind == "gpu"]
    assert len(gpus) == 8
    assert collected.facts[gpus[1]] == {
        "index": 1,
        "part": "NVIDIA H100 80GB HBM3",
        "pci_bus_id": "0000:1e:00.0",
        "driver": "570.86.15",
        "serial": collected.facts[gpus[1]]["serial"],
        "vbios": "96.00.89.00.01",
        "memory_bytes": 85_520_809_984,
        "power_limit_watts": pytest.approx(700),
        "sm_clock_max_hertz": 1.98e9,
        "pcie_generation_max": 5,
        "pcie_width_max": 16,
        "nvlinks": 18,
    }
    values = row_of(collected, gpus[1]).values
    shown = {
        name: values[name] for name in ("remap_pending", "lost", "nvlink_links_up", "fabric_state", "fabric_status")
    }
    assert shown == {"remap_pending": 0, "lost": 0, "nvlink_links_up": 18, "fabric_state": 3, "fabric_status": 0}
    assert (values["remap_banks_none"], values["remap_banks_low"], values["sram_threshold_exceeded"]) == (0, 0, 0)
    assert values["memory_utilization_ratio"] == 0.6
    assert row_of(collected, gpus[1]).at == 1000.0


def test_values_are_the_fields_of_a_reading_and_some_named_rates(make: Make) -> None:
    gpus = make()
    collect_until(gpus, has_gpus)
    values = collect_until(gpus, lambda c: c.rows[0].values.get("pcie_rx_bytes_per_second", 0) > 0).rows[0].values
    extra = {"nvml_silent_seconds", "pcie_rx_bytes_per_second", "pcie_tx_bytes_per_second"}
    assert set(values) - extra <= set(GpuReading.__slots__)
    assert extra < set(values)


def test_rates_are_of_what_was_counted_since_the_last_look_and_absent_after_a_wrap() -> None:
    first = GpuReading(uuid="GPU-1", at_seconds=10.0, pcie_tx_bytes_total=1000, pcie_rx_bytes_total=500)
    later = GpuReading(uuid="GPU-1", at_seconds=12.0, pcie_tx_bytes_total=4000, pcie_rx_bytes_total=20)
    assert byte_rates(first, later) == {"pcie_tx_bytes_per_second": 1500.0}
    assert byte_rates(None, first) == {}
    assert byte_rates(first, first) == {}
    assert byte_rates(GpuReading(uuid="GPU-1", at_seconds=1.0), first) == {}


def test_facts_are_told_once_and_the_node_says_how_many_there_are(make: Make) -> None:
    gpus = make()
    collect_until(gpus, has_gpus)
    again = gpus.collect(1001.0)
    assert again.facts == {}
    assert row_of(again, NODE).values == {"nvml_silent_seconds": 0, "gpus_visible": 8, "nvml_restarts_total": 0}


def test_a_lost_gpu_is_a_value_and_its_xid_an_event_with_the_catalogues_action(make: Make) -> None:
    gpus = make("lost_gpu")
    event = collect_until(gpus, lambda c: bool(c.events)).events[0]
    assert (event.kind, event.code, event.severity, event.action) == ("xid", 79, "fatal", "reboot_node")
    assert event.data == {"source": "nvml", "pci": "0000:24:00.0"}
    lost = collect_until(gpus, lambda c: any(row.values.get("lost") for row in c.rows))
    assert row_of(lost, event.subject).values == {"lost": 1, "nvml_silent_seconds": 0}


def test_a_recovery_that_the_driver_takes_back_was_done(make: Make) -> None:
    fault = '[[fault]]\non = "node001/gpu1"\nkind = "xid"\ncode = 95\nrecovery_action = 1\nat = "5s"\nfor = "60s"\n'
    gpus = make(faults=fault)
    asked = collect_until(gpus, lambda c: any(row.values.get("recovery_action") for row in c.rows))
    (sick,) = [row.subject for row in asked.rows if row.values.get("recovery_action") == 1]
    assert [event.kind for event in asked.events if event.kind != "xid"] == []
    (event,) = collect_until(gpus, lambda c: any(event.kind == "gpu_reset" for event in c.events)).events
    assert (event.subject, event.severity, event.action) == (sick, "info", "none")
    assert event.message == "the driver takes back what it asked for: reset the GPU"
    assert event.data == {"source": "nvml", "recovery_from": 1, "recovery_to": 0}
    assert gpus.collect(1001.0).events == ()


def test_a_gpu_that_hangs_is_silent_for_longer_and_longer_and_the_others_are_read(make: Make) -> None:
    gpus = make("hung_call")
    collected = collect_until(gpus, lambda c: len([row for row in c.rows if row.values.get("power_watts")]) == 7)
    (silent,) = [row for row in collected.rows if row.values["nvml_silent_seconds"] > 0]
    assert silent.subject.kind == "gpu"
    assert list(silent.values) == ["nvml_silent_seconds"]
    later = row_of(gpus.collect(1001.0), silent.subject)
    assert later.values["nvml_silent_seconds"] > silent.values["nvml_silent_seconds"]


def test_two_gpus_that_hang_are_both_told(make: Make) -> None:
    gpus = make(faults='[[fault]]\non = "node001"\nkind = "hang"\nat = "10s"\n')
    collected = collect_until(
        gpus, lambda c: len([r for r in c.rows if r.subject.kind == "gpu" and r.values["nvml_silent_seconds"]]) == 2
    )
    assert row_of(collected, NODE).values["nvml_restarts_total"] >= 1


def test_spare_rows_run_low_and_out(make: Make) -> None:
    faults = '[[fault]]\non = "node001/gpu0"\nkind = "row_remap"\ncount = 7\n'
    faults += '[[fault]]\non = "node001/gpu1"\nkind = "row_remap"\nfailed = true\n'
    collected = collect_until(make(faults=faults, begins_in_seconds=0.0), has_gpus)
    low, out = (row.values for row in collected.rows[:2])
    assert (low["remap_banks_low"], low["remap_banks_none"]) == (1, 0)
    assert (out["remap_banks_low"], out["remap_banks_none"], out["remap_failed"]) == (0, 1, 1)


def test_a_machine_without_nvml_has_no_such_source() -> None:
    if any(Path(folder, "libnvidia-ml.so.1").exists() for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib64")):
        pytest.skip("this machine has NVML")
    gpus = Gpus("node001")
    with pytest.raises(SourceMissing, match=r"libnvidia-ml\.so\.1"):
        gpus.collect(0.0)
    gpus.close()
