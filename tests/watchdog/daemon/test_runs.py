"""What ranks say becomes one state a run, and rows for detectors."""

import math

from watchdog.daemon.runs import MOST_RUNS, Runs
from watchdog.service import Checkpoint, RunBegin, RunEnd, Step
from watchdog.vocabulary.subjects import Subject


def begin(run: str = "r", rank: int = 0, at: float = 1.0, **more: object) -> RunBegin:
    return RunBegin(run=run, rank=rank, world_size=2, at=at, **more)  # type: ignore[arg-type]


def step(number: int, rank: int = 0, **more: object) -> Step:
    return Step(run="r", rank=rank, step=number, at=10.0 + number, **more)  # type: ignore[arg-type]


def test_ranks_of_one_run_are_one_state() -> None:
    runs = Runs("n")
    runs.take([begin(rank=1), begin(rank=0, stage="stage1"), step(5, loss=2.0), step(4, rank=1, loss=3.0)])
    (state,) = runs.states
    assert (state.ranks, state.world_size, state.stage, state.step) == ((0, 1), 2, "stage1", 5)
    assert state.values["loss"] == 2.0


def test_a_step_is_a_row_of_the_run_and_of_the_rank_and_absent_figures_stay_absent() -> None:
    rows = Runs("n").take([step(7, seconds=0.5, tokens=100, loss=math.nan, times={"data": 0.1})])
    assert [row.subject for row in rows] == [Subject("n", "run", "r"), Subject("n", "rank", "r:0")]
    assert rows[0].values["tokens_per_second"] == 200.0
    assert math.isnan(rows[0].values["loss"])
    assert "grad_norm" not in rows[0].values
    assert rows[1].values["data_seconds"] == 0.1


def test_a_run_ends_and_begins_again_where_it_resumes() -> None:
    runs = Runs("n")
    runs.take([begin(), step(9), RunEnd(run="r", rank=0, at=30.0, reason="done")])
    assert (runs.states[0].ended_at, runs.states[0].end_reason) == (30.0, "done")
    runs.take([begin(at=40.0, resume_step=8)])
    assert runs.states[0].ended_at is None
    assert runs.states[0].step == 8


def test_a_rollback_in_place_is_seen_and_an_old_step_that_comes_late_is_not() -> None:
    runs = Runs("n")
    runs.take([begin(), step(9), Step(run="r", rank=0, step=4, at=30.0)])
    assert runs.states[0].step == 4
    runs.take([step(8)])
    assert runs.states[0].step == 4


def test_made_up_sections_and_many_ranks_take_no_memory() -> None:
    runs = Runs("n")
    rows = runs.take([begin(), step(1, times={"data": 1.0, "made up": 2.0, "other": 3.0})])
    assert {key for key in rows[1].values if key.endswith("_seconds")} == {"data_seconds", "other_seconds"}
    assert rows[1].values["other_seconds"] == 5.0


def test_checkpoints_and_runs_are_bounded() -> None:
    runs = Runs("n")
    runs.take([Checkpoint(run="r", rank=0, step=n, at=1.0, path="p", state="good") for n in range(50)])
    assert [c["step"] for c in runs.states[0].checkpoints] == list(range(30, 50))
    runs.take([begin(run=f"run{n}", at=100.0 + n) for n in range(100)])
    assert len(runs.states) == MOST_RUNS
