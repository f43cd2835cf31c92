"""What is concluded of nvbandwidth: copies against the part, and against those of the other GPUs."""

import foreign_outputs as made
import pytest

from fryer.imports.verdict import FileVerdict, judge_text
from watchdog.vocabulary.verdicts import Verdict


def judged(text: str) -> FileVerdict:
    return judge_text("nvb", text)


def verdicts(file: FileVerdict) -> list[Verdict]:
    return [device.verdict for device in file.devices]


def pairs(usual: float, size: int = 4, **slow: float) -> list[list[float | None]]:
    """``slow``: ``r1c2=100.0`` for the pair in row 1 and column 2."""
    return [
        [None if row == column else slow.get(f"r{row}c{column}", usual) for column in range(size)]
        for row in range(size)
    ]


@pytest.mark.parametrize("made_of", [made.nvbandwidth_text, made.nvbandwidth_json])
@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ((55.1, 55.0, 54.9, 55.2), [Verdict.PASS] * 4),
        ((55.1, 55.0, 54.9, 27.0), [*[Verdict.PASS] * 3, Verdict.FAIL]),
        ((55.1, 55.0, 54.9, 48.0), [*[Verdict.PASS] * 3, Verdict.WARN]),
        ((14.2, 14.2, 14.1, 14.2), [Verdict.WARN] * 4),
        ((6.1, 6.1, 6.1, 6.1), [Verdict.FAIL] * 4),
    ],
    ids=["Gen5 x16", "one at half", "one a little slow", "Gen4 x8 leg of all", "slower than any platform"],
)
def test_host_copies_are_held_against_the_link_and_the_neighbours(
    made_of: object, host: tuple[float, ...], expected: list[Verdict]
) -> None:
    assert callable(made_of)
    assert verdicts(judged(made_of(host))) == expected


def test_a_pair_below_the_floor_is_named_on_the_gpu_of_its_column() -> None:
    found = judged(made.nvbandwidth_text(pairs=pairs(393.0, r1c2=120.0)))
    assert verdicts(found) == [Verdict.PASS, Verdict.PASS, Verdict.FAIL, Verdict.PASS]
    assert found.devices[2].reasons[0].message == (
        "device_to_device_memcpy_read_ce gpu1 -> gpu2: 120 GB/s, below the 335 GB/s of a healthy pair"
    )


def test_a_part_without_figures_is_held_against_its_neighbours_alone() -> None:
    found = judged(made.nvbandwidth_text((25.0, 25.1, 24.9, 12.0), part="NVIDIA L40S"))
    assert verdicts(found) == [Verdict.PASS, Verdict.PASS, Verdict.PASS, Verdict.FAIL]


def test_one_gpu_without_figures_is_not_settled() -> None:
    assert judged(made.nvbandwidth_text((25.0,), part="NVIDIA L40S")).verdict is Verdict.INCONCLUSIVE


def test_data_that_arrived_wrong_fail_the_file() -> None:
    text = made.nvbandwidth_text().replace("SUM host", " Invalid value when checking the pattern at 0x7f\nSUM host")
    found = judged(text)
    assert (found.verdict, found.reasons[0].code) == (Verdict.FAIL, "wrong_data")


@pytest.mark.parametrize(("ending", "verdict"), [("Waived: ", Verdict.PASS), ("ERROR: out of memory", Verdict.ERROR)])
def test_a_test_case_that_did_not_run_is_told_and_one_that_failed_is_an_error(ending: str, verdict: Verdict) -> None:
    text = made.nvbandwidth_text().replace("NOTE:", f"Running device_local_copy.\n{ending}\nNOTE:")
    assert judged(text).verdict is verdict


def of_version_0_5(text: str) -> str:
    """The note came first then."""
    head, _, note = text.partition("NOTE:")
    return head.replace("v0.8", "v0.5").replace("\nRunning", f"\nNOTE:{note}\nRunning", 1)


def test_text_of_versions_that_do_not_mark_their_end_is_not_settled_unless_a_copy_is_slow() -> None:
    good, slow = (made.nvbandwidth_text(host) for host in ((55.0,) * 4, (55.0, 55.0, 55.0, 20.0)))
    assert judged(of_version_0_5(good)).verdict is Verdict.INCONCLUSIVE
    assert judged(of_version_0_5(slow)).verdict is Verdict.FAIL


def test_a_matrix_without_its_sum_is_missing_whatever_the_version() -> None:
    cut = of_version_0_5(made.nvbandwidth_text()).partition("SUM")[0]
    assert [reason.message for reason in judged(cut).reasons if reason.code == "cut_off"] == [
        "host_to_device_memcpy_ce has begun and its matrix or the sum below it is missing"
    ]


def test_an_error_of_the_whole_run_is_an_error() -> None:
    found = judged(made.nvbandwidth_json(error="CUDA_ERROR_SYSTEM_NOT_READY", testcases=[]))
    assert (found.verdict, found.reasons[0].message) == (
        Verdict.ERROR,
        "nvbandwidth says: CUDA_ERROR_SYSTEM_NOT_READY",
    )


def test_units_are_bytes_a_second_and_seconds() -> None:
    latency = {
        "name": "host_device_latency_sm",
        "status": "Passed",
        "bandwidth_description": "memory latency SM CPU(row) <-> GPU(column) (us)",
        "bandwidth_matrix": [["0.772"]],
    }
    found = judged(made.nvbandwidth_json((55.0,), testcases=[latency]))
    assert [(fact.metric, fact.value) for fact in found.facts.facts] == [("latency_seconds", pytest.approx(7.72e-7))]
