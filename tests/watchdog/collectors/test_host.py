"""The host's files as the kernel writes them, under a root of the test's own."""

import subprocess
import sys
from pathlib import Path

import pytest

from watchdog.collectors.host import HostReader

OURS = 100


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path, "proc/meminfo", "MemTotal:  1000 kB\nMemFree:  1 kB\nMemAvailable:   600 kB\n")
    tick(tmp_path, user=0, idle=0, steal=0, pressure=0, uptime=10.0)
    process(tmp_path, OURS, parent=1, used=0)
    return tmp_path


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def tick(root: Path, *, user: int, idle: int, steal: int, pressure: int, uptime: float) -> None:
    write(root, "proc/stat", f"cpu  {user} 0 0 {idle} 0 0 0 {steal} 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n")
    write(
        root,
        "proc/pressure/cpu",
        f"some avg10=99.00 avg60=9.00 avg300=1.00 total={pressure}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
    )
    write(root, "proc/uptime", f"{uptime} 0.00\n")


def process(root: Path, pid: int, *, parent: int, used: int, by_ended_children: int = 0) -> None:
    write(
        root, f"proc/{pid}/stat", f"{pid} (a (b) c) S {parent} 1 1 0 -1 0 0 0 0 0 {used} 0 {by_ended_children} 0 20 0"
    )


def test_the_first_look_has_no_ratios(root: Path) -> None:
    reading = HostReader(root, OURS).read(3.0)
    assert (reading.at_seconds, reading.pressure_some_ratio, reading.others_ratio, reading.steal_ratio) == (
        3.0,
        None,
        None,
        None,
    )
    assert reading.memory_available_bytes == 600 * 1024


def test_ratios_are_of_what_passed_since_the_last_look(root: Path) -> None:
    reader = HostReader(root, OURS)
    reader.read(0.0)
    tick(root, user=60, idle=120, steal=20, pressure=250_000, uptime=11.0)
    process(root, OURS, parent=1, used=10)
    process(root, 101, parent=OURS, used=10)
    process(root, 102, parent=101, used=10)
    process(root, 200, parent=1, used=30)
    reading = reader.read(1.0)
    assert reading.pressure_some_ratio == pytest.approx(0.25)
    assert reading.others_ratio == pytest.approx(0.15)
    assert reading.steal_ratio == pytest.approx(0.1)


def test_a_child_born_and_ended_between_looks_is_ours(root: Path) -> None:
    reader = HostReader(root, OURS)
    reader.read(0.0)
    tick(root, user=50, idle=50, steal=0, pressure=0, uptime=11.0)
    process(root, OURS, parent=1, used=0, by_ended_children=50)
    assert reader.read(1.0).others_ratio == 0.0


def test_ratios_stay_between_0_and_1_when_our_total_falls(root: Path) -> None:
    reader = HostReader(root, OURS)
    process(root, OURS, parent=1, used=90)
    reader.read(0.0)
    tick(root, user=100, idle=0, steal=0, pressure=0, uptime=11.0)
    process(root, OURS, parent=1, used=0)
    assert reader.read(1.0).others_ratio == 1.0


def test_nothing_passed_means_no_ratio(root: Path) -> None:
    reader = HostReader(root, OURS)
    reader.read(0.0)
    reading = reader.read(0.0)
    assert (reading.pressure_some_ratio, reading.others_ratio, reading.steal_ratio) == (None, None, None)


def test_what_the_machine_does_not_have_is_none(tmp_path: Path) -> None:
    reader = HostReader(tmp_path, OURS)
    reader.read(0.0)
    reading = reader.read(1.0)
    assert (
        reading.pressure_some_ratio,
        reading.others_ratio,
        reading.steal_ratio,
        reading.clock_hertz,
        reading.memory_available_bytes,
    ) == (None, None, None, None, None)


def test_the_clock_is_the_mean_that_cpuinfo_gives(root: Path) -> None:
    write(root, "proc/cpuinfo", "processor : 0\ncpu MHz\t\t: 2000.000\n\nprocessor : 1\ncpu MHz\t\t: 3000.000\n")
    write(root, "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "1000000\n")
    assert HostReader(root, OURS).read(0.0).clock_hertz == 2.5e9


def test_the_clock_is_cpufreqs_where_cpuinfo_has_none(root: Path) -> None:
    write(root, "proc/cpuinfo", "processor : 0\nBogoMIPS : 2000.00\n")
    write(root, "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "3000000\n")
    write(root, "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq", "1000000\n")
    assert HostReader(root, OURS).read(0.0).clock_hertz == 2e9


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_this_machines_own_work_is_not_called_others() -> None:
    reader = HostReader()
    before = reader._our_seconds()
    subprocess.run([sys.executable, "-c", "sum(range(10**7))"], check=True)
    assert reader._our_seconds() > before
    assert (reader.read(0.0).memory_available_bytes or 0) > 0
