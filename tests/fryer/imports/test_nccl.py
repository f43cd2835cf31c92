"""What is concluded of nccl-tests: wrong results always, speed where somebody published what is healthy."""

import json

import foreign_outputs as made
import pytest

from fryer.collectives.busbw import SHARED_OUT
from fryer.collectives.cases import OPERATIONS
from fryer.imports.verdict import FileVerdict, judge_text
from watchdog.vocabulary.verdicts import Verdict

MIB, GIB = 1 << 20, 1 << 30
GH200 = "NVIDIA GH200 120GB"


def judged(text: str, expect: float | None = None) -> FileVerdict:
    return judge_text("nccl", text, expect)


def code_of(file: FileVerdict) -> tuple[Verdict, str]:
    worst = next(reason for reason in file.reasons if reason.verdict is file.verdict)
    return file.verdict, worst.code


def nodes(count: int, per_node: int = 8) -> list[str]:
    return [f"n{node:03}" for node in range(count) for _ in range(per_node)]


@pytest.mark.parametrize(
    ("busbw", "expected"),
    [
        (480.0, (Verdict.PASS, "results_right")),
        (450.0, (Verdict.WARN, "slow_collective")),
        (367.0, (Verdict.INCONCLUSIVE, "slow_collective")),
        (300.0, (Verdict.FAIL, "slow_collective")),
    ],
)
def test_eight_h100_of_one_node_are_held_against_what_healthy_ones_reach(
    busbw: float, expected: tuple[Verdict, str]
) -> None:
    assert code_of(judged(made.nccl_text([(8 * GIB, busbw, "0")]))) == expected
    assert code_of(judged(made.nccl_json(busbw))) == expected


def test_wrong_results_fail_however_fast_they_came() -> None:
    found = judged(made.nccl_text([(MIB, 60.0, "0"), (8 * GIB, 480.0, "3")], out_of_bounds="6 FAILED"))
    assert code_of(found) == (Verdict.FAIL, "wrong_results")
    assert found.reasons[0].message == "all_reduce_perf: 6 wrong elements, at 8 GiB, 8 GiB"


def test_wrong_results_fail_where_the_platform_is_unknown() -> None:
    text = made.nccl_text([(8 * GIB, 20.0, "1e+06")], part="NVIDIA Something", out_of_bounds="2 FAILED")
    assert code_of(judged(text)) == (Verdict.FAIL, "wrong_results")
    assert code_of(judged(made.nccl_json(480.0, nwrong=2))) == (Verdict.FAIL, "wrong_results")


def test_an_out_of_bounds_count_alone_fails_the_run() -> None:
    assert code_of(judged(made.nccl_text([(8 * GIB, 480.0, "0")], out_of_bounds="1 FAILED")))[0] is Verdict.FAIL


def test_results_that_nobody_verified_are_a_warning_and_no_pass() -> None:
    found = judged(made.nccl_text([(8 * GIB, 480.0, "N/A")]))
    assert code_of(found) == (Verdict.WARN, "not_verified")


def test_an_unknown_platform_is_not_settled() -> None:
    found = judged(made.nccl_text([(8 * GIB, 20.0, "0")], part="NVIDIA L4"))
    assert code_of(found) == (Verdict.INCONCLUSIVE, "no_expectation")


@pytest.mark.parametrize(("busbw", "verdict"), [(20.0, Verdict.PASS), (18.0, Verdict.WARN), (15.0, Verdict.FAIL)])
def test_what_somebody_expects_settles_an_unknown_platform(busbw: float, verdict: Verdict) -> None:
    assert judged(made.nccl_text([(8 * GIB, busbw, "0")], part="NVIDIA L4"), 20e9).verdict is verdict


@pytest.mark.parametrize(
    ("count", "busbw", "expected"),
    [
        (2, 380.0, Verdict.PASS),
        (2, 300.0, Verdict.INCONCLUSIVE),
        (4, 300.0, Verdict.PASS),
        (4, 150.0, Verdict.INCONCLUSIVE),
        (4, 50.0, Verdict.FAIL),
        (4, 9.0, Verdict.FAIL),
    ],
)
def test_several_nodes_are_held_against_the_slowest_and_the_fastest_networks(
    count: int, busbw: float, expected: Verdict
) -> None:
    assert judged(made.nccl_text([(8 * GIB, busbw, "0")], hosts=nodes(count))).verdict is expected


def test_small_sizes_alone_are_no_plateau() -> None:
    assert code_of(judged(made.nccl_text([(16 * MIB, 240.0, "0")]))) == (Verdict.INCONCLUSIVE, "no_plateau")


def test_small_sizes_that_are_far_too_slow_fail_all_the_same() -> None:
    assert code_of(judged(made.nccl_text([(256 * MIB, 90.0, "0")]))) == (Verdict.FAIL, "slow_collective")


def test_a_node_of_four_superchips_on_one_socket_is_not_taken_for_its_network() -> None:
    fast = made.nccl_text([(128 * MIB, 122.6, "0")], hosts=nodes(2, 4), part=GH200)
    slow = made.nccl_text([(128 * MIB, 5.4, "0")], hosts=nodes(2, 4), part=GH200)
    assert (judged(fast).verdict, code_of(judged(slow))) == (Verdict.PASS, (Verdict.FAIL, "below_one_port"))


def test_a_plateau_that_falls_at_the_largest_sizes_is_a_fault() -> None:
    rows = [(GIB, 470.0, "0"), (4 * GIB, 480.0, "0"), (8 * GIB, 200.0, "0")]
    assert "plateau_sags" in [reason.code for reason in judged(made.nccl_text(rows)).reasons]


def test_the_average_over_all_sizes_decides_nothing() -> None:
    rows = [(1 << shift, 0.01, "0") for shift in range(3, 20)]
    assert judged(made.nccl_text([*rows, (8 * GIB, 480.0, "0")])).verdict is Verdict.PASS


def test_a_limit_that_the_run_was_given_and_missed_is_a_fault() -> None:
    text = made.nccl_text([(8 * GIB, 480.0, "0")]).replace(": 100.0", ": 100.0 FAILED")
    assert code_of(judged(text)) == (Verdict.FAIL, "below_own_limit")
    limit = {"bandwidth": 100.0, "okay": "false"}
    assert code_of(judged(made.nccl_json(480.0, average_bus_bandwidth=limit))) == (Verdict.FAIL, "below_own_limit")


def test_a_table_that_contradicts_itself_is_not_believed() -> None:
    text = made.nccl_text([(8 * GIB, 200.0, "0")]).replace("200.00", "480.00")
    assert code_of(judged(text)) == (Verdict.ERROR, "inconsistent")


@pytest.mark.parametrize(
    "last_words",
    [
        "n1: Test NCCL failure common.cu:377 'remote process exited or there was a network error'",
        "srun: error: n1: task 3: Segmentation fault (core dumped)",
        "slurmstepd: error: *** STEP 7.0 ON n1 CANCELLED AT 2026-01-01T00:00:00 DUE TO TIME LIMIT ***",
    ],
)
def test_a_run_that_crashed_is_an_error_with_its_last_words(last_words: str) -> None:
    begun = made.nccl_text([(8 * GIB, 480.0, "0")]).partition("# Out of bounds")[0]
    found = judged(f"{begun}{last_words}\n")
    assert [reason.code for reason in found.reasons[:2]] == ["cut_off", "failed"]
    assert (found.verdict, found.reasons[1].message) == (Verdict.ERROR, f"the tool says: {last_words}")


def test_wrong_results_of_a_run_that_crashed_are_still_listed() -> None:
    begun = made.nccl_text([(8 * GIB, 480.0, "7")]).partition("# Out of bounds")[0]
    found = judged(begun)
    assert (found.verdict, [r.code for r in found.reasons if r.verdict is Verdict.FAIL]) == (
        Verdict.ERROR,
        ["wrong_results"],
    )


@pytest.mark.parametrize("key", ["end_time", "out_of_bounds", "config", "results"])
def test_json_without_what_a_run_ends_with_is_an_error(key: str) -> None:
    assert code_of(judged(made.nccl_json(**{key: None}))) == (Verdict.ERROR, "cut_off")


def test_the_worst_of_several_runs_in_one_file_counts() -> None:
    both = made.nccl_text([(8 * GIB, 480.0, "0")]) + made.nccl_text([(8 * GIB, 480.0, "2")], out_of_bounds="2 FAILED")
    found = judged(both)
    assert found.verdict is Verdict.FAIL
    assert [run.name for run in found.facts.runs] == ["run 1 (all_reduce_perf)", "run 2 (all_reduce_perf)"]


def test_columns_are_found_by_their_heading() -> None:
    lines = [
        "# nThread 1 nGpus 1 minBytes 8 maxBytes 8 step: 2(factor) warmup iters: 5 iters: 20",
        "#  Rank  0 Group  0 Pid 1 on n1 device  0 [0000:19:00] NVIDIA H100 80GB HBM3",
        (
            "# size count type redop root time algbw busbw #wrong i_min i_max i_p99 i_cv% "
            "time algbw busbw #wrong i_min i_max i_p99 i_cv% timestamp"
        ),
        (
            "8589934592 2147483648 float sum -1 31307 274.38 480.16 0 1 2 3 4 "
            "31328 274.19 479.84 5 1 2 3 4 2026-01-01 10:00:00"
        ),
        "# Out of bounds values : 5 FAILED",
    ]
    figures = judged("\n".join(lines)).facts.runs[0].figures
    assert [(f.is_in_place, f.busbw_bytes_per_second, f.num_wrong) for f in figures] == [
        (False, 480.16e9, 0.0),
        (True, 479.84e9, 5.0),
    ]
    assert figures[0].seconds == pytest.approx(31307e-6)


def test_the_collective_is_known_by_its_figures_where_nothing_names_it() -> None:
    text = made.nccl_text([(8 * GIB, 480.0, "0")]).replace("# Collective test starting: all_reduce_perf\n", "")
    assert judged(text).facts.runs[0].operation == "all_reduce"


@pytest.mark.parametrize("operation", [each for each in OPERATIONS if each not in ("all_reduce", "hypercube")])
def test_tables_of_every_collective_agree_with_their_own_times(operation: str) -> None:
    busbw = 200.0 if operation in SHARED_OUT else 200.0 / 0.875
    text = made.nccl_text([(8 * GIB, 200.0, "0")], operation=operation).replace("200.00", f"{busbw:.2f}")
    assert "inconsistent" not in [reason.code for reason in judged(text).reasons]
    wrong = text.replace(f"  {busbw:.2f}", f"  {busbw * 1.1:.2f}")
    assert "inconsistent" in [reason.code for reason in judged(wrong).reasons]


def test_a_sweep_that_lacks_a_node_count_is_cut_off() -> None:
    points = [{"messageSize": 8 * GIB, "bandwidth": 350.0}]
    sweep = {"metadata": {"title": "NCCL All-Reduce", "node_counts": [2, 3]}, "data": {"nodes_2": points}}
    found = judged(json.dumps(sweep))
    assert (found.verdict, found.reasons[0].message) == (Verdict.ERROR, "the curves for 3 nodes are missing")
