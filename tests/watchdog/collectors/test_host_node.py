"""The host's files as the kernel writes them, under a root of the test's own; and this machine, against psutil."""

import sys
from pathlib import Path

import psutil
import pytest

from watchdog.collectors.host_node import HostNode, Settings
from watchdog.vocabulary.errors import SourceFailed
from watchdog.vocabulary.subjects import Subject

NODE = Subject("node001")


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def tick(root: Path, *, user: int, idle: int, wait: int = 0, steal: int = 0, some: int = 0, uptime: float) -> None:
    write(
        root,
        "proc/stat",
        f"cpu  {user} 0 0 {idle} {wait} 0 0 {steal} 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\nbtime 1700000000\n",
    )
    for resource in ("cpu", "memory", "io"):
        average = "avg10=9.00 avg60=9.00 avg300=1.00"
        lines = f"some {average} total={some}\nfull {average} total={some // 2}\n"
        write(root, f"proc/pressure/{resource}", lines)
    write(root, "proc/uptime", f"{uptime} 0.00\n")


def process(root: Path, pid: int, state: str, started: int = 5, name: str = "python (a) b") -> None:
    write(root, f"proc/{pid}/stat", f"{pid} ({name}) {state} 1 1 1 0 -1 0 0 0 0 0 1 2 3 4 20 0 1 0 {started} 0 0\n")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    tick(tmp_path, user=0, idle=0, uptime=10.0)
    write(tmp_path, "proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 600 kB\nSwapTotal: 50 kB\nSwapFree: 20 kB\n")
    write(tmp_path, "proc/loadavg", "1.50 1.00 0.50 1/100 4242\n")
    write(tmp_path, "proc/vmstat", "nr_free_pages 1\noom_kill 3\n")
    write(tmp_path, "proc/sys/kernel/random/boot_id", "0b0e\n")
    write(tmp_path, "proc/sys/kernel/osrelease", "6.1.0\n")
    return tmp_path


def host(root: Path) -> HostNode:
    return HostNode("node001", Settings(procfs=root / "proc", sysfs=root / "sys"))


def test_the_first_look_has_levels_and_no_ratios(root: Path) -> None:
    collected = host(root).collect(3.0)
    assert collected.rows[0].values == {
        "memory_total_bytes": 1000 * 1024,
        "memory_available_bytes": 600 * 1024,
        "swap_total_bytes": 50 * 1024,
        "swap_used_bytes": 30 * 1024,
        "load_1m": 1.5,
        "oom_kills_total": 3,
        "uptime_seconds": 10,
        "processes_uninterruptible": 0,
    }
    assert collected.facts == {NODE: {"boot_id": "0b0e", "kernel": "6.1.0", "booted_at": 1.7e9, "stuck": []}}
    assert (collected.rows[0].subject, collected.rows[0].at) == (NODE, 3.0)


def test_ratios_are_of_what_passed_since_the_last_look(root: Path) -> None:
    collector = host(root)
    collector.collect(0.0)
    tick(root, user=60, idle=100, wait=20, steal=20, some=250_000, uptime=11.0)
    values = collector.collect(1.0).rows[0].values
    shown = {name: value for name, value in values.items() if name.endswith("_ratio")}
    assert shown == {
        "cpu_busy_ratio": pytest.approx(0.4),
        "cpu_io_wait_ratio": pytest.approx(0.1),
        "cpu_steal_ratio": pytest.approx(0.1),
        "cpu_pressure_ratio": pytest.approx(0.25),
        "memory_pressure_ratio": pytest.approx(0.25),
        "memory_pressure_full_ratio": pytest.approx(0.125),
        "io_pressure_ratio": pytest.approx(0.25),
        "io_pressure_full_ratio": pytest.approx(0.125),
    }


def test_a_kernel_without_pressure_has_no_pressure(root: Path) -> None:
    collector = host(root)
    collector.collect(0.0)
    tick(root, user=60, idle=40, uptime=11.0)
    for resource in ("cpu", "memory", "io"):
        (root / "proc/pressure" / resource).unlink()
    values = collector.collect(1.0).rows[0].values
    assert not [name for name in values if "pressure" in name]
    assert values["cpu_busy_ratio"] == pytest.approx(0.6)


def test_a_process_that_stays_uninterruptible_is_stuck_and_named(root: Path) -> None:
    collector = host(root)
    process(root, 41, "D")
    process(root, 42, "D", started=7)
    process(root, 43, "S")
    assert collector.collect(0.0).rows[0].values["processes_uninterruptible"] == 2
    process(root, 42, "D", started=99)
    collected = collector.collect(1.0)
    values = collected.rows[0].values
    assert (values["processes_uninterruptible"], values["processes_stuck"]) == (2, 1)
    assert collected.facts[NODE]["stuck"] == ["python (a) b (41)"]


def test_memory_errors_are_added_over_the_controllers(root: Path) -> None:
    for number, (corrected, uncorrected) in enumerate([(3, 0), (4, 1)]):
        write(root, f"sys/devices/system/edac/mc/mc{number}/ce_count", f"{corrected}\n")
        write(root, f"sys/devices/system/edac/mc/mc{number}/ue_count", f"{uncorrected}\n")
    values = host(root).collect(0.0).rows[0].values
    assert (values["memory_corrected_total"], values["memory_uncorrected_total"]) == (7, 1)


def test_a_proc_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(SourceFailed, match="is it mounted"):
        host(tmp_path).collect(0.0)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_this_machine_is_as_psutil_sees_it() -> None:
    values = HostNode("node001").collect(0.0).rows[0].values
    assert values["memory_total_bytes"] == psutil.virtual_memory().total
    assert values["swap_total_bytes"] == psutil.swap_memory().total
    assert values["memory_available_bytes"] == pytest.approx(psutil.virtual_memory().available, rel=0.2)
