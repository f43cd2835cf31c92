import io

import pytest
from rich.console import Console

from fryer.outputs.live import LiveOutput
from fryer.records import Problem
from watchdog.vocabulary.verdicts import Verdict


class Terminal(io.StringIO):
    def isatty(self):
        return True


def live_output(width, height, now, out=None):
    console = Console(
        file=io.StringIO(),
        width=width,
        height=height,
        force_terminal=True,
        color_system="truecolor",
        legacy_windows=False,
    )
    return LiveOutput(console, out or io.StringIO(), now)


def frame(output, width):
    """What the view shows now, as lines without colour."""
    console = Console(file=io.StringIO(), width=width, color_system=None, legacy_windows=False)
    console.print(output.draw())
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def play(output, sample, clock, until):
    """Tell `output` what happened in the first `until` seconds of the sample."""
    events = [(p.at_seconds, p) for m in sample.evidence.measurements for p in m.series]
    events += [(m.at_seconds, m) for m in sample.evidence.mismatches]
    events += [(r.at_seconds, (name, r)) for name, r in sample.readings]
    output.start(sample.result.info)
    output.node("node001", sample.evidence.devices)
    output.phase("node001", "gemm", 40.0)
    for at_seconds, event in sorted(((a, e) for a, e in events if a <= until), key=lambda pair: pair[0]):
        clock[0] = at_seconds
        if isinstance(event, tuple):
            output.reading("node001", *event)
        else:
            output.record("node001", event)
    for counted in sample.evidence.counted:
        if counted.what == "products":
            output.record("node001", counted)


@pytest.fixture
def clock():
    return [0.0]


def test_it_fits_80_columns_and_shows_rate_heat_power_clock_and_what_holds_it_back(sample, clock):
    output = live_output(80, 24, lambda: clock[0])
    play(output, sample, clock, until=17.0)
    lines = frame(output, 80)
    output.close()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "run 3f2a91c4  node001  phase 1 of 6: gemm  about 1m23s left"
    assert lines[1].split() == ["device", "rate", "°C", "HBM", "power", "MHz", "held", "by", "verified", "wrong"]
    gpu5 = next(line for line in lines if line.startswith("gpu5"))
    assert gpu5.split()[1:] == ["━━━", "598", "TFLOP/s", "75", "86", "559", "W", "1410", "sw", "thermal", "340k", "0"]


def test_a_wrong_result_is_counted_in_its_row_and_told_below(sample, clock):
    output = live_output(80, 24, lambda: clock[0])
    play(output, sample, clock, until=17.0)
    lines = frame(output, 80)
    output.close()
    assert [line.split()[-1] for line in lines if line.startswith("gpu")] == ["0", "0", "1", "0", "0", "0", "0", "0"]
    assert lines[-1].startswith("node001 gpu2 gemm bf16 8192x8192x8192: mismatch at 9.4s")


def test_sixteen_devices_fit_a_terminal_of_24_lines(build_sample, clock):
    sample = build_sample(16)
    output = live_output(80, 24, lambda: clock[0])
    play(output, sample, clock, until=5.0)
    lines = frame(output, 80)
    output.close()
    assert [line.split()[0] for line in lines if line.startswith("gpu")] == [f"gpu{i}" for i in range(16)]
    assert len(lines) <= 24


def test_where_not_all_devices_fit_those_in_trouble_stay_in_sight(build_sample, clock):
    sample = build_sample(16)
    output = live_output(80, 12, lambda: clock[0])
    play(output, sample, clock, until=5.0)
    output.record(
        "node001",
        Problem(
            device="gpu15",
            burn="gemm",
            case="bf16",
            verdict=Verdict.ERROR,
            code="crashed",
            message="the worker ended with signal 9",
        ),
    )
    lines = frame(output, 80)
    output.close()
    shown = [line.split()[0] for line in lines if line.startswith("gpu")]
    assert shown[-1] == "gpu15"
    assert f"and {16 - len(shown)} more, not shown: the terminal has 12 lines" in lines
    assert len(lines) <= 12


def test_a_device_that_went_silent_keeps_its_bar_where_it_stopped(sample, clock):
    output = live_output(80, 24, lambda: clock[0])
    play(output, sample, clock, until=10.0)
    point = sample.evidence.measurements[0].series[19]
    output.record("node001", point)
    clock[0] = 20.0
    bars = {line.split()[0]: line.count("━") for line in frame(output, 80) if line.startswith("gpu")}
    output.close()
    assert point.device == "gpu0"
    assert bars["gpu0"] == 4
    assert bars["gpu1"] == 2


def test_a_processor_has_no_columns_of_readings_that_it_does_not_give(sample, clock):
    output = live_output(80, 24, lambda: clock[0])
    output.start(sample.result.info)
    output.node("node001", sample.evidence.devices[:1])
    lines = frame(output, 80)
    output.close()
    assert lines[1].split() == ["device", "rate", "verified", "wrong"]


def test_what_can_not_be_drawn_is_said_and_never_raised(sample, clock):
    output = live_output(80, 24, lambda: clock[0])
    output.start(sample.result.info)
    output.phase("node001", "gemm", 0.0)
    output.reading("node001", "no such device", sample.readings[0][1])
    output.record("node001", object())
    output.node("node001", sample.evidence.devices)
    output.phase("node001", "gemm", 40.0)
    clock[0] = None
    lines = frame(output, 80)
    output.close()
    assert lines[0].startswith("the live view can't be drawn (")


def test_closing_never_waits_for_a_frame_that_waits_for_it(sample):
    """Rich's thread takes its lock and then ours; closing takes Rich's, so it must not hold ours."""
    for _ in range(20):
        output = live_output(80, 24, lambda: 0.0)
        output.start(sample.result.info)
        output._live.refresh_per_second = output._live._refresh_thread.refresh_per_second = 1000
        output.node("node001", sample.evidence.devices)
        output.close()
    assert output._live is None


def test_at_the_end_the_table_is_on_stdout_in_colour_where_that_is_a_terminal(sample, clock):
    plain, terminal = io.StringIO(), Terminal()
    for out in (plain, terminal):
        output = live_output(80, 24, lambda: clock[0], out)
        output.start(sample.result.info)
        output.finish(sample.result)
        output.close()
    assert plain.getvalue().endswith("\nnode001: FAIL (2 of 8 devices)\n")
    assert "\x1b[" not in plain.getvalue()
