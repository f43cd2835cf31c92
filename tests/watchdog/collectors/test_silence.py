"""Who is left out, for how long, and what is said of it."""

from watchdog.collectors.nvml_child import Ask
from watchdog.collectors.readings import GpuIdentity
from watchdog.collectors.silence import Silences


def silences(count: int = 3) -> Silences:
    return Silences(
        [
            GpuIdentity(
                index=index,
                uuid=f"GPU-{index}",
                name="H100",
                serial=None,
                pci_bus_id="0000:1b:00.0",
                vbios=None,
                driver="570",
                memory_bytes=None,
                power_limit_watts=None,
                sm_clock_max_hertz=None,
            )
            for index in range(count)
        ]
    )


def test_all_are_asked_when_all_is_well() -> None:
    quiet = silences()
    assert quiet.plan(0.0) == Ask(first=(0, 1, 2))
    assert quiet.standing(0.0) is None


def test_a_gpu_that_missed_is_left_out_then_asked_last() -> None:
    quiet = silences()
    gap = quiet.gpu_missed(1, 10.0, 15.0, "NVML did not answer within 5 s")
    assert (gap.at_seconds, gap.for_seconds, gap.uuid) == (10.0, 5.0, "GPU-1")
    assert gap.message == "gpu1 (GPU-1): NVML did not answer within 5 s"
    assert quiet.plan(44.9) == Ask(first=(0, 2))
    assert quiet.plan(45.0) == Ask(first=(0, 2), last=(1,))


def test_a_gap_that_goes_on_keeps_its_beginning_and_waits_twice_as_long() -> None:
    quiet = silences()
    quiet.gpu_missed(1, 10.0, 15.0, "silent")
    gap = quiet.gpu_missed(1, 45.0, 50.0, "silent")
    assert (gap.at_seconds, gap.for_seconds) == (10.0, 40.0)
    assert quiet.plan(109.9).last == ()
    assert quiet.plan(110.0).last == (1,)


def test_the_wait_has_a_longest() -> None:
    quiet = silences()
    for _ in range(10):
        quiet.gpu_missed(1, 0.0, 0.0, "silent")
    assert quiet.plan(299.9).last == ()
    assert quiet.plan(300.0).last == (1,)


def test_a_gpu_that_answered_is_as_the_others() -> None:
    quiet = silences()
    quiet.gpu_missed(1, 0.0, 5.0, "silent")
    quiet.heard(["GPU-0", "GPU-1"])
    assert quiet.plan(6.0) == Ask(first=(0, 1, 2))
    assert quiet.standing(6.0) is None


def test_a_silent_reader_blames_no_gpu() -> None:
    quiet = silences()
    quiet.reader_missed(3.0, 4.0, "the NVML reader was stopped by a signal")
    gap = quiet.standing(9.0)
    assert gap is not None
    assert (gap.at_seconds, gap.for_seconds, gap.uuid, gap.message) == (
        3.0,
        6.0,
        None,
        "the NVML reader was stopped by a signal",
    )
    quiet.reader_is_back()
    assert quiet.standing(9.0) is None
