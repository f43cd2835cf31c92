"""The kernel's word as a value, chrony's by a real chronyd that steers nothing."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from watchdog.collectors.clock_skew import (
    ClockSkew,
    KernelClock,
    Settings,
    kernel_values,
    read_kernel_clock,
    tracking_values,
)
from watchdog.vocabulary.errors import SourceFailed, SourceMissing
from watchdog.vocabulary.subjects import Subject

NODE = Subject("node001")
STA_UNSYNC, STA_NANO = 0x40, 0x2000
TRACKING = "7F000001,127.0.0.1,9,1795519866.4,{offset},0.0,0.000000434,0.058,0.005,0.353,0.000006,0.000002,0.5,{leap}"
KERNEL = KernelClock(
    state=0, status=STA_NANO, offset=-2_000, max_error_microseconds=1500, estimated_error_microseconds=20
)


def test_a_synchronised_kernel_clock_has_an_offset_that_is_above_0_when_it_is_ahead() -> None:
    assert kernel_values(KERNEL) == {
        "clock_synchronised": 1,
        "clock_offset_seconds": pytest.approx(2e-6),
        "clock_max_error_seconds": pytest.approx(1.5e-3),
        "clock_estimated_error_seconds": pytest.approx(2e-5),
    }


@pytest.mark.parametrize(("state", "status"), [(5, 0), (0, STA_UNSYNC)])
def test_a_clock_that_nothing_synchronises_has_no_offset(state: int, status: int) -> None:
    clock = KernelClock(
        state=state, status=status, offset=0, max_error_microseconds=16_000_000, estimated_error_microseconds=0
    )
    assert kernel_values(clock) == {"clock_synchronised": 0, "clock_max_error_seconds": 16}


def test_microseconds_are_the_unit_without_the_flag_for_nanoseconds() -> None:
    clock = KernelClock(state=0, status=0, offset=3_000, max_error_microseconds=1, estimated_error_microseconds=1)
    assert kernel_values(clock)["clock_offset_seconds"] == pytest.approx(-3e-3)


def test_what_chrony_calls_fast_is_ahead() -> None:
    """chronyc prints -0.000002036 in this form, and "0.000002036 seconds fast of NTP time" in the other."""
    assert tracking_values(TRACKING.format(offset="-0.000002036", leap="Normal")) == {
        "clock_synchronised": 1,
        "clock_offset_seconds": 2.036e-6,
        "clock_max_error_seconds": pytest.approx(2.036e-6 + 2e-6 + 3e-6),
        "clock_estimated_error_seconds": 4.34e-7,
    }


def test_a_chronyd_that_found_no_source_has_no_offset() -> None:
    assert tracking_values(TRACKING.format(offset="0.0", leap="Not synchronised")) == {"clock_synchronised": 0}


@pytest.mark.parametrize("line", ["", "506 Cannot talk to daemon", TRACKING.format(offset="x", leap="Normal")])
def test_any_other_line_is_a_failure(line: str) -> None:
    with pytest.raises(SourceFailed, match="is not what chronyc -c tracking prints"):
        tracking_values(line)


def test_a_step_is_what_the_clock_moved_apart_from_the_passing_of_time() -> None:
    clocks = iter([(1000.0, 10.0), (1005.0, 15.0), (1128.5, 20.0)])
    collector = ClockSkew("node001", Settings(chronyc=""), lambda: KERNEL, lambda: next(clocks))
    steps = [collector.collect(0.0).rows[0].values.get("clock_step_seconds") for _ in range(3)]
    assert steps == [None, 0.0, 118.5]


def test_without_chronyc_the_kernel_is_asked_and_that_is_told_once() -> None:
    collector = ClockSkew("node001", Settings(chronyc="/nonexistent/chronyc"), lambda: KERNEL)
    assert collector.collect(0.0).facts == {NODE: {"clock_source": "kernel"}}
    again = collector.collect(1.0)
    assert again.facts == {}
    assert again.rows[0].values["clock_offset_seconds"] == pytest.approx(2e-6)


def not_permitted() -> KernelClock:
    raise SourceMissing("clock: no chronyd answers, and adjtimex says 'Operation not permitted' here; run chronyd")


def test_where_the_kernel_may_not_be_asked_chrony_still_is(tmp_path: Path) -> None:
    program = tmp_path / "chronyc"
    program.write_text(f"#!/bin/sh\necho '{TRACKING.format(offset='-0.25', leap='Normal')}'\n", encoding="utf-8")
    program.chmod(0o755)
    collected = ClockSkew("node001", Settings(chronyc=str(program)), not_permitted).collect(0.0)
    assert collected.rows[0].values["clock_offset_seconds"] == 0.25
    assert collected.facts == {NODE: {"clock_source": "chrony"}}


def test_where_neither_may_be_asked_the_source_is_missing() -> None:
    with pytest.raises(SourceMissing, match="Operation not permitted"):
        ClockSkew("node001", Settings(chronyc="/nonexistent/chronyc"), not_permitted).collect(0.0)


def test_a_chronyc_that_hangs_is_a_failure(tmp_path: Path) -> None:
    program = tmp_path / "chronyc"
    program.write_text("#!/bin/sh\nexec sleep 60\n", encoding="utf-8")
    program.chmod(0o755)
    with pytest.raises(SourceFailed, match=r"did not answer within 0\.2 s"):
        ClockSkew("node001", Settings(chronyc=str(program), deadline_seconds=0.2), lambda: KERNEL).collect(0.0)


@pytest.mark.skipif(sys.platform != "linux", reason="adjtimex is Linux's")
def test_this_kernel_tells_or_says_that_it_does_not() -> None:
    try:
        clock = read_kernel_clock()
    except SourceMissing as missing:
        pytest.skip(str(missing))
    assert 0 <= clock.state <= 5
    assert clock.max_error_microseconds >= 0


@pytest.fixture
def chronyc(tmp_path: Path) -> Iterator[Path]:
    """A chronyd that follows another one on loopback and steers no clock (-x), and a chronyc that asks it."""
    if shutil.which("chronyd") is None or os.geteuid() != 0:
        if os.environ.get("CI") == "true":
            pytest.fail("chrony and root are needed here")
        pytest.skip("needs chrony and root")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    tmp_path.chmod(0o750)  # chronyd wants the folder of its socket to be so
    heads = {
        "server": f"local stratum 8\nport {port}\nbindaddress 127.0.0.1\nallow 127.0.0.1\n",
        "client": f"server 127.0.0.1 port {port} iburst minpoll -2 maxpoll 0\nport 0\n",
    }
    running = []
    for name, head in heads.items():
        file = tmp_path / f"{name}.conf"
        file.write_text(
            f"{head}cmdport 0\nbindcmdaddress {tmp_path}/{name}.sock\npidfile {tmp_path}/{name}.pid\n", encoding="utf-8"
        )
        command = ["chronyd", "-x", "-n", "-u", "root", "-f", str(file)]
        running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    program = tmp_path / "chronyc"
    program.write_text(f'#!/bin/sh\nexec chronyc -h {tmp_path}/client.sock "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    yield program
    for process in running:
        process.terminate()
        process.wait(10)


def test_a_real_chronyd_is_understood(chronyc: Path) -> None:
    collector = ClockSkew("node001", Settings(chronyc=str(chronyc)), lambda: KERNEL)
    end = time.monotonic() + 60.0
    while True:
        collected = collector.collect(0.0)
        values = collected.rows[0].values
        if "clock_estimated_error_seconds" in values and values["clock_estimated_error_seconds"] != 2e-5:
            break
        assert time.monotonic() < end, "chronyd never came to be synchronised"
        time.sleep(0.2)
    assert values["clock_synchronised"] == 1
    assert abs(values["clock_offset_seconds"]) < 0.1
    assert values["clock_max_error_seconds"] >= abs(values["clock_offset_seconds"])
