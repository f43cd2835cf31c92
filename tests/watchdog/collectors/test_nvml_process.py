"""The child is real, and so is pynvml; the driver under it is a scenario."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from watchdog.clock import RunClock
from watchdog.collectors.nvml_process import Look, NvmlProcess
from watchdog.simulator.node import SimulatedNode
from watchdog.simulator.scenario import scenario_path
from watchdog.vocabulary.errors import SourceMissing

SPEED = 20.0
ENOUGH_REAL_SECONDS = 30.0


def opened(scenario: str, begins_in_seconds: float = 2.0) -> NvmlProcess:
    """The run begins so many real seconds from now: the child must be there before a fault that it is to see begin."""
    clock = RunClock(origin=time.monotonic() + begins_in_seconds, speed=SPEED)
    return NvmlProcess(clock, SimulatedNode(str(scenario_path(scenario)), "node001", clock))


@pytest.fixture
def healthy() -> Iterator[NvmlProcess]:
    process = opened("healthy")
    yield process
    process.close()


def look_until(nvml: NvmlProcess, is_it: Callable[[Look], bool]) -> Look:
    """Look until it is so: how long a child takes to start is the machine's matter."""
    end = time.monotonic() + ENOUGH_REAL_SECONDS
    while time.monotonic() < end:
        look = nvml.read()
        if is_it(look):
            return look
        time.sleep(0.02)
    raise AssertionError("it never came")


def child_of(nvml: NvmlProcess) -> int:
    assert nvml._child is not None
    return nvml._child.process.pid


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_a_look_reads_every_gpu_by_its_identity(healthy: NvmlProcess) -> None:
    identities = healthy.identities()
    look = healthy.read()
    assert [gpu.index for gpu in identities] == list(range(8))
    assert [reading.uuid for reading in look.readings] == [gpu.uuid for gpu in identities]
    assert look.gap is None
    assert identities[0].pci_bus_id == "0000:1b:00.0"


def test_the_parent_needs_neither_torch_nor_pynvml() -> None:
    code = (
        "import sys, watchdog.collectors.nvml_process as p; "
        "sys.exit(any(m in sys.modules for m in ('torch', 'pynvml')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_gpu_that_hangs_is_named_and_the_others_are_read_on() -> None:
    nvml = opened("hung_call")
    try:
        uuid = nvml.identities()[6].uuid
        gap = look_until(nvml, lambda look: look.gap is not None).gap
        assert gap is not None
        assert gap.uuid == uuid
        assert gap.message == f"gpu6 ({uuid}): NVML did not answer within 20 s"
        later = look_until(nvml, lambda look: len(look.readings) == 7)
        assert uuid not in {reading.uuid for reading in later.readings}
        assert later.gap is not None
        assert (later.gap.uuid, later.gap.at_seconds) == (uuid, gap.at_seconds)
        assert later.gap.for_seconds > gap.for_seconds
    finally:
        nvml.close()


def test_a_gpu_that_hangs_from_the_start_is_named_and_the_others_are_read() -> None:
    nvml = opened("hung_call", begins_in_seconds=-10.0)
    try:
        assert [gpu.index for gpu in nvml.identities()] == list(range(8))
        assert nvml.identities()[6].name == "unknown GPU"
        uuid = nvml.identities()[6].uuid
        look = nvml.read()
        assert len(look.readings) == 7
        assert look.gap is not None
        assert look.gap.uuid == uuid
        assert look.gap.message == f"gpu6 ({uuid}): NVML did not answer within 20 s"
    finally:
        nvml.close()


def test_a_lost_gpu_is_a_reading_and_no_gap() -> None:
    nvml = opened("lost_gpu")
    try:
        uuid = nvml.identities()[3].uuid
        look = look_until(nvml, lambda look: any(reading.lost for reading in look.readings))
        assert [reading.uuid for reading in look.readings if reading.lost] == [uuid]
        assert look.gap is None
    finally:
        nvml.close()


def test_an_xid_comes_once_with_the_gpu_it_names() -> None:
    nvml = opened("lost_gpu")
    try:
        look = look_until(nvml, lambda look: bool(look.xids))
        assert [(xid.uuid, xid.code) for xid in look.xids] == [(nvml.identities()[3].uuid, 79)]
        assert nvml.read().xids == ()
    finally:
        nvml.close()


def test_a_stopped_child_is_replaced_and_no_gpu_is_blamed(healthy: NvmlProcess) -> None:
    stopped = child_of(healthy)
    os.kill(stopped, signal.SIGSTOP)
    look = look_until(healthy, lambda look: look.gap is not None)
    assert look.gap is not None
    assert look.gap.uuid is None
    assert look.gap.message == "the NVML reader was stopped by a signal; it was replaced"
    again = look_until(healthy, lambda look: len(look.readings) == 8)
    assert again.gap is None
    assert child_of(healthy) != stopped
    assert is_gone(stopped)


def test_a_killed_child_is_replaced_and_no_gpu_is_blamed(healthy: NvmlProcess) -> None:
    os.kill(child_of(healthy), signal.SIGKILL)
    gap = look_until(healthy, lambda look: look.gap is not None).gap
    assert gap is not None
    assert gap.uuid is None
    assert "signal 9" in gap.message
    assert look_until(healthy, lambda look: len(look.readings) == 8).gap is None


def test_close_ends_the_child_without_a_zombie_and_may_be_called_again() -> None:
    nvml = opened("healthy")
    pid = child_of(nvml)
    nvml.close()
    nvml.close()
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("scenario", ["healthy", "hung_call"])
def test_the_child_ends_with_a_parent_that_is_killed(scenario: str) -> None:
    code = f"""
import time
from watchdog.clock import RunClock
from watchdog.collectors.nvml_process import NvmlProcess
from watchdog.simulator.node import SimulatedNode
clock = RunClock(time.monotonic() + 2.0, {SPEED})
nvml = NvmlProcess(clock, SimulatedNode({str(scenario_path(scenario))!r}, "node001", clock))
while {scenario == "hung_call"} and nvml.read().gap is None:
    time.sleep(0.02)
nvml._deadline_real = 60.0
print(nvml._child.process.pid, flush=True)
while True:
    nvml.read()
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent, parent.stdout:
        child = int(parent.stdout.readline())
        assert not is_gone(child)
        parent.kill()
    end = time.monotonic() + ENOUGH_REAL_SECONDS
    while not is_gone(child) and time.monotonic() < end:
        time.sleep(0.02)
    assert is_gone(child)


def test_a_machine_without_the_library_says_so_at_once() -> None:
    if any(
        Path(folder, "libnvidia-ml.so.1").exists()
        for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib/aarch64-linux-gnu")
    ):
        pytest.skip("this machine has NVML")
    with pytest.raises(SourceMissing, match=r"libnvidia-ml\.so\.1"):
        NvmlProcess(RunClock.start())
