"""What is concluded of gpu-fryer: our judgement of its figures, and not its own."""

import foreign_outputs as made
import pytest

from fryer.imports.verdict import FileVerdict, judge_text
from watchdog.vocabulary.verdicts import Verdict

GOOD = (730.0, 728.0, 731.0, 726.0)


def judged(text: str) -> FileVerdict:
    return judge_text("gpu-fryer", text)


def found_of(file: FileVerdict, index: int) -> list[tuple[Verdict, str]]:
    return [(reason.verdict, reason.code) for reason in file.devices[index].reasons]


def test_a_node_that_is_slow_as_a_whole_fails_although_gpu_fryer_passes_it() -> None:
    found = judged(made.gpu_fryer((600.0,) * 4))
    assert [found_of(found, index) for index in range(4)] == [[(Verdict.FAIL, "below_floor")]] * 4


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (720.0, [(Verdict.PASS, "nothing_wrong")]),
        (690.0, [(Verdict.WARN, "below_node"), (Verdict.WARN, "below_floor")]),
        (620.0, [(Verdict.FAIL, "below_node"), (Verdict.FAIL, "below_floor")]),
        (0.0, [(Verdict.FAIL, "no_work")]),
        (1300.0, [(Verdict.ERROR, "above_ceiling")]),
    ],
)
def test_each_gpu_is_held_against_the_median_the_floor_and_the_ceiling(
    last: float, expected: list[tuple[Verdict, str]]
) -> None:
    found = judged(made.gpu_fryer((*GOOD, last)))
    assert found_of(found, 4) == expected


@pytest.mark.parametrize(
    ("reason", "codes"),
    [
        ("SW_THERMAL_SLOWDOWN", ["thermal_throttle"]),
        ("HW_SLOWDOWN", ["hw_slowdown"]),
        ("SW_POWER_CAP | SW_THERMAL_SLOWDOWN", ["thermal_throttle"]),
        ("HW_SLOWDOWN | HW_POWER_BRAKE_SLOWDOWN", ["power_brake", "hw_slowdown"]),
    ],
)
def test_reasons_count_alone_and_combined_by_their_share_of_the_time(reason: str, codes: list[str]) -> None:
    ticks = [[reason if second < 10 else None, None, None, None] for second in range(60)]
    found = judged(made.gpu_fryer(GOOD, ticks=ticks))
    assert found_of(found, 0) == [(Verdict.FAIL, code) for code in codes]
    assert [device.verdict for device in found.devices[1:]] == [Verdict.PASS] * 3


def test_a_single_tick_is_a_warning_although_gpu_fryer_fails_it() -> None:
    ticks = [["SW_THERMAL_SLOWDOWN" if second == 3 else None, None, None, None] for second in range(60)]
    found = judged(made.gpu_fryer(GOOD, ticks=ticks, problems=[(0, "Throttling")]))
    assert (found.verdict, found_of(found, 0)) == (Verdict.WARN, [(Verdict.WARN, "thermal_throttle")])
    assert found.devices[0].reasons[0].message == "slowed down by the driver, for heat for 1 of 60 s"


def test_what_gpu_fryer_alone_objects_to_is_worth_a_look() -> None:
    found = judged(made.gpu_fryer(GOOD, problems=[(2, "LowFlops")]))
    assert (found.verdict, (Verdict.WARN, "tool_says_unhealthy") in found_of(found, 2)) == (Verdict.WARN, True)


def test_several_formats_in_one_number_have_no_floor() -> None:
    found = judged(made.gpu_fryer((600.0,) * 4, formats=("bf16", "fp8")))
    assert [device.verdict for device in found.devices] == [Verdict.PASS] * 4


def test_one_gpu_of_a_part_without_figures_is_not_settled() -> None:
    assert judged(made.gpu_fryer((90.0,), part="NVIDIA L4")).verdict is Verdict.INCONCLUSIVE


def test_a_gpu_that_was_detected_and_not_burned_is_not_settled() -> None:
    both, one = made.gpu_fryer((730.0, 731.0)).splitlines(), made.gpu_fryer((730.0,)).splitlines()
    found = judged("\n".join([both[0], *one[1:]]) + "\n")
    assert found_of(found, 1) == [(Verdict.INCONCLUSIVE, "not_measured")]


def test_an_error_in_place_of_a_burn_is_an_error() -> None:
    found = judged(made.gpu_fryer(GOOD).splitlines()[0] + '\n{"message": "Failed to initialize NVML"}\n')
    assert found.verdict is Verdict.ERROR
    assert "gpu-fryer says: Failed to initialize NVML" in [reason.message for reason in found.reasons]
