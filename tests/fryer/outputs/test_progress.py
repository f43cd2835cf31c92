import pytest

from fryer.outputs.progress import Progress, RunTime
from fryer.plan import Phase, Plan
from fryer.records import FLOPS, Counted, Mismatch, Point, Problem
from watchdog.collectors.readings import GpuReading
from watchdog.vocabulary.verdicts import Verdict

PHASES = (Phase(burn="gemm", seconds=40.0), Phase(burn="hbm", seconds=20.0))


def progress_of(devices, nodes=("node001",)):
    plan = Plan(nodes=nodes, dtypes=(), phases=PHASES, seed=1, memory_ratio=None)
    progress = Progress(plan=plan, run_id="3f2a91c4")
    progress.begin_node("node001", devices, now=100.0)
    return progress


def point(device, at_seconds):
    return Point(device=device, burn="gemm", case="bf16", metric=FLOPS, at_seconds=at_seconds, value=7e14)


def test_the_runs_clock_goes_on_between_what_it_stamps():
    time = RunTime()
    time.start(now=100.0)
    assert time.at(103.0) == 3.0
    time.see(at_seconds=4.5, now=104.0)
    assert time.at(106.0) == 6.5


def test_a_late_record_does_not_turn_the_clock_back():
    time = RunTime()
    time.see(at_seconds=10.0, now=100.0)
    time.see(at_seconds=8.0, now=100.5)
    assert time.at(101.0) == 11.0


def test_a_simulation_that_runs_ten_times_faster_is_recognised():
    time = RunTime()
    time.start(now=100.0)
    for second in range(5):
        time.see(at_seconds=10.0 * second, now=100.0 + second)
    assert time.speed == 10.0
    assert time.at(104.5) == 45.0


def test_jitter_of_arrival_is_not_taken_for_another_speed():
    time = RunTime()
    time.see(at_seconds=1.0, now=101.0)
    time.see(at_seconds=11.0, now=111.4)
    assert time.speed == 1.0


def test_the_time_left_is_that_of_this_phase_and_all_after_it(sample):
    progress = progress_of(sample.evidence.devices)
    assert progress.seconds_left(100.0) == 60.0
    progress.begin_phase("node001", "gemm", 40.0, now=100.0)
    assert progress.seconds_left(115.0) == 45.0
    progress.begin_phase("node001", "hbm", 20.0, now=141.0)
    assert progress.seconds_left(146.0) == 15.0
    assert progress.seconds_left(200.0) == 0.0


def test_nodes_that_have_not_begun_count_in_the_time_left(sample):
    progress = progress_of(sample.evidence.devices, nodes=("node001", "node002", "node003"))
    progress.begin_phase("node001", "gemm", 40.0, now=100.0)
    assert progress.seconds_left(100.0) == 180.0
    progress.begin_node("node002", sample.evidence.devices, now=170.0)
    assert progress.seconds_left(170.0) == 120.0


def test_the_time_left_in_a_fast_simulation_is_in_our_seconds(sample):
    progress = progress_of(sample.evidence.devices)
    progress.begin_phase("node001", "gemm", 40.0, now=100.0)
    for second in range(3):
        progress.read("node001", "gpu0", GpuReading(uuid="GPU-0", at_seconds=10.0 * second), now=100.0 + second)
    assert progress.seconds_left(102.0) == pytest.approx(4.0)


def test_a_bar_is_the_devices_own_and_starts_again_with_each_phase(sample):
    progress = progress_of(sample.evidence.devices)
    progress.begin_phase("node001", "gemm", 40.0, now=100.0)
    progress.take("node001", point("gpu0", 10.0), now=110.0)
    progress.take("node001", point("gpu1", 30.0), now=130.0)
    ratios = [progress.ratio_of(progress.devices["node001", f"gpu{i}"]) for i in range(3)]
    assert ratios == [0.25, 0.75, 0.0]
    progress.begin_phase("node001", "hbm", 20.0, now=141.0)
    assert progress.ratio_of(progress.devices["node001", "gpu1"]) == 0.0


def test_a_rate_is_old_when_its_device_has_been_silent_for_more_than_ten_seconds(sample):
    progress = progress_of(sample.evidence.devices)
    progress.begin_phase("node001", "gemm", 40.0, now=100.0)
    progress.take("node001", point("gpu0", 5.0), now=105.0)
    state = progress.devices["node001", "gpu0"]
    assert [progress.is_stale(state, now) for now in (114.0, 116.0)] == [False, True]


def test_counts_add_up_over_the_phases_and_skips_are_no_trouble(sample):
    progress = progress_of(sample.evidence.devices)
    state = progress.devices["node001", "gpu0"]
    for count in (100, 23):
        progress.take("node001", Counted(device="gpu0", burn="gemm", case="", what="products", count=count), now=101.0)
    progress.take("node001", Counted(device="gpu0", burn="memory", case="", what="bytes", count=10), now=101.0)
    progress.take(
        "node001",
        Problem(device="gpu0", burn="gemm", case="fp8", verdict=Verdict.SKIPPED, code="unsupported", message="no fp8"),
        now=101.0,
    )
    assert (state.num_verified, state.num_bytes_verified, state.is_in_trouble) == (123, 10, False)
    progress.take(
        "node001",
        Mismatch(
            device="gpu0",
            burn="gemm",
            case="",
            seed=1,
            round=0,
            pair=0,
            at_seconds=2.0,
            index=None,
            num_wrong=None,
            expected="0",
            read="1",
            is_nan=False,
            reproduced=False,
            how="twin",
        ),
        now=102.0,
    )
    assert (state.num_wrong, state.is_in_trouble) == (1, True)
