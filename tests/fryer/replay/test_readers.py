"""Each format read: what it holds, what is missing in it, and what is none of it."""

import json
import math
from pathlib import Path

import pytest
from replayed import marks, points, rank_points, read, write

from fryer.replay.words import SourceLosses, Unreadable
from watchdog.detectors.training.words import Mark, MarkKind, Point, RankPoint


def test_a_long_table_has_its_runs_told_apart(tmp_path: Path) -> None:
    path = write(tmp_path / "a", "run_name,step,loss\na,1,2.5\nb,1,2.6\na,2,\nb,2,nan\n")
    items, reading = read(path)
    assert points(items)[:2] == [("a", Point(step=1, loss=2.5)), ("b", Point(step=1, loss=2.6))]
    assert [(name, point.step) for name, point in points(items)] == [("a", 1), ("b", 1), ("b", 2)]
    assert math.isnan(points(items)[2][1].loss or 0.0)
    assert (reading.columns, reading.num_unread) == ({"step": "step", "loss": "loss"}, 0)


@pytest.mark.parametrize("delimiter", ["\t", ";", "|"])
def test_a_table_may_have_other_delimiters(tmp_path: Path, delimiter: str) -> None:
    path = write(tmp_path / "a", "step,loss\n1,2.5\n".replace(",", delimiter))
    assert points(read(path)[0]) == [("", Point(step=1, loss=2.5))]


def test_tokens_are_the_progress_of_a_table_without_steps(tmp_path: Path) -> None:
    items, _ = read(write(tmp_path / "a", "tokens,loss\n16777216.0,2.5\n"))
    assert points(items) == [("", Point(step=16777216, tokens=16777216, loss=2.5))]


def test_wandbs_table_has_a_run_a_column_and_its_bounds_are_none(tmp_path: Path) -> None:
    text = "Step,a - train/loss,a - train/loss__MIN,a - train/loss__MAX,b - train/loss,b - train/loss__MIN\n"
    items, reading = read(write(tmp_path / "a", text + "1,2.5,2.5,2.5,,\n2,,,,2.6,2.6\n"))
    assert points(items) == [("a", Point(step=1, loss=2.5)), ("b", Point(step=2, loss=2.6))]
    assert reading.note == ""


def test_a_wide_table_is_held_for_losses_or_rates_by_its_values_and_says_so(tmp_path: Path) -> None:
    items, reading = read(write(tmp_path / "a", "step,x,y\n1,2.5,2.6\n"))
    assert points(items) == [("x", Point(step=1, loss=2.5)), ("y", Point(step=1, loss=2.6))]
    assert reading.note == "the columns x, y are taken for runs, and their values for loss (else: --wide FIELD)"
    items, _ = read(write(tmp_path / "b", "step,x,y\n1,13800,13900\n"))
    assert points(items)[0] == ("x", Point(step=1, tokens_per_second=13800.0))


def test_what_a_wide_table_holds_can_be_said(tmp_path: Path) -> None:
    items, reading = read(write(tmp_path / "a", "step,x\n1,0.5\n"), wide="grad_norm")
    assert (points(items), reading.note) == ([("x", Point(step=1, grad_norm=0.5))], "")


def test_a_column_of_ranks_gives_ranks(tmp_path: Path) -> None:
    items, _ = read(write(tmp_path / "a", "worker,time,batch_time\n3,11,0.5\n"))
    assert rank_points(items) == [RankPoint(rank=3, step=11, at_seconds=11.0, seconds=0.5)]


def test_json_lines_are_read_by_their_keys_nested_or_not(tmp_path: Path) -> None:
    lines = [{"step": 1, "train": {"loss": 2.5}, "lr": 0.1}, {"step": 1, "eval_loss": 3.0}, {"step": 2, "loss": "NaN"}]
    items, reading = read(write(tmp_path / "a", "".join(json.dumps(line) + "\n" for line in lines)))
    assert points(items)[0] == ("", Point(step=1, loss=2.5))
    assert [point.step for _, point in points(items)] == [1, 2]
    assert math.isnan(points(items)[1][1].loss or 0.0)
    assert reading.num_unread == 0


def test_losses_by_source_go_before_their_step(tmp_path: Path) -> None:
    line = {"step": 1, "loss": 2.5, "losses": {"web": 2.0, "code": None}}
    items, _ = read(write(tmp_path / "a", json.dumps(line) + "\n" + json.dumps(line) + "\n"))
    assert items[:2] == [("", SourceLosses(step=1, losses={"web": 2.0})), ("", Point(step=1, loss=2.5))]


def test_our_trainers_records_declare_what_was_planned(tmp_path: Path) -> None:
    step = {"type": "step_done", "at": 5.0, "loss": 2.5, "seconds": 1.0, "tokens": 8, "batch": "d1", "stage": "main"}
    begins = {"type": "run_begins", "run": "r", "at": 1.0, "layout": {"dp": 2}, "versions": {}}
    records = [
        begins | {"from_step": 0},
        {"type": "stage_begins", "at": 1.0, "step": 1, "stage": "main"},
        step | {"step": 1, "total_tokens": 8, "times": {"data": 0.1, "checkpoint": 0.5}},
        step | {"step": 2, "total_tokens": 16, "vetoed": "loss"},
        begins | {"from_step": 1, "layout": {"dp": 4}},
        step | {"step": 2, "total_tokens": 16, "loss": "NaN"},
        {"type": "run_ends", "at": 9.0, "step": 2, "reason": "done", "code": 0},
    ]
    items, _ = read(write(tmp_path / "a", "".join(json.dumps(record) + "\n" for record in records)))
    assert marks(items) == [
        Mark(kind=MarkKind.STAGE, start=1),
        Mark(kind=MarkKind.CHECKPOINT, start=1),
        Mark(kind=MarkKind.RESTART, start=2),
        Mark(kind=MarkKind.OVERLAP, start=2, end=2),
        Mark(kind=MarkKind.LAYOUT, start=2),
    ]
    assert [(name, point.step, point.is_skipped, point.batch) for name, point in points(items)] == [
        ("r", 1, False, "d1"),
        ("r", 2, True, "d1"),
        ("r", 2, False, "d1"),
    ]
    assert points(items)[0][1].times == {"data": 0.1, "checkpoint": 0.5}


def test_a_trainer_state_is_its_log_without_evaluations_and_the_sum_at_the_end(tmp_path: Path) -> None:
    history = [
        {"step": 1, "loss": 2.5, "grad_norm": 0.5, "learning_rate": 1e-5},
        {"step": 1, "eval_loss": 2.6, "eval_runtime": 3.0},
        {"step": 2, "train_loss": 2.4, "train_runtime": 73.0},
    ]
    path = write(tmp_path / "a", json.dumps({"global_step": 2, "log_history": history}, indent=2))
    assert points(read(path)[0]) == [("", Point(step=1, loss=2.5, grad_norm=0.5))]


@pytest.mark.parametrize(
    "loss",
    [
        {"start_step": 1, "end_step": 10, "step_interval": 5, "values": {"1": 12.5, "5": "nan", "6": 11.5}},
        {"start_step": 1, "end_step": 10, "step_interval": 5, "values": [12.5, 11.5]},
    ],
    ids=["mapping", "list"],
)
def test_golden_values_are_read_and_nan_there_means_not_logged(tmp_path: Path, loss: dict[str, object]) -> None:
    items, reading = read(write(tmp_path / "a", json.dumps({"lm loss": loss, "num-zeros": loss})))
    assert points(items) == [("", Point(step=1, loss=12.5)), ("", Point(step=6, loss=11.5))]
    assert reading.columns == {"loss": "lm loss"}


MEGATRON = (
    "{before} iteration       12/     100 | consumed samples:  3072 | elapsed time per iteration (ms): 250.0 | "
    "lm loss: 2.5E+00 | loss scale: 1.0 | grad norm: 0.242 | number of skipped iterations:   0 | "
    "number of nan iterations:   0 |"
)


@pytest.mark.parametrize("before", ["", "[default7]:", "12: [2024-05-01 00:00:00]"])
def test_megatrons_line_is_read_whatever_stands_before_it(tmp_path: Path, before: str) -> None:
    items, _ = read(write(tmp_path / "a", f"using world size: 8\n{MEGATRON.format(before=before)}\n"))
    at = 1714521600.0 if "2024" in before else None
    assert points(items) == [
        ("", Point(step=12, loss=2.5, grad_norm=0.242, loss_scale=1.0, seconds=0.25, at_seconds=at))
    ]


def test_an_iteration_that_megatron_counts_as_nan_has_a_loss_that_is_none(tmp_path: Path) -> None:
    line = " iteration 12/ 100 | learning rate: 1.0E-05 | number of nan iterations:   1 |"
    items, _ = read(write(tmp_path / "a", line + "\n"))
    assert math.isnan(points(items)[0][1].loss or 0.0)


@pytest.mark.parametrize(
    ("line", "point"),
    [
        ("iter 10: loss 9.8973, time 460.5ms, mfu 48.08%", Point(step=10, loss=9.8973, seconds=0.4605)),
        ("step:10/99 train_loss:9.5 step_avg:nanms", Point(step=10, loss=9.5)),
        (
            "step   10 | loss: 3.52 | norm: 0.31 | dt: 300.5ms | tok/sec: 1,747,626",
            Point(step=10, loss=3.52, grad_norm=0.31, seconds=0.3005, tokens_per_second=1747626.0),
        ),
        (
            "[rank0]: step: 10 loss: 3.5 grad_norm: 0.25 tps: 5,000",
            Point(step=10, loss=3.5, grad_norm=0.25, tokens_per_second=5000.0),
        ),
    ],
)
def test_a_step_a_line_is_read_in_several_styles(tmp_path: Path, line: str, point: Point) -> None:
    assert points(read(write(tmp_path / "a", f"hello\n{line}\n"))[0]) == [("", point)]


def test_seconds_since_the_start_become_seconds_of_the_step(tmp_path: Path) -> None:
    text = "".join(f"step:{step}/9 train_loss:2.5 train_time:{1000 * step}ms\n" for step in (1, 2, 4))
    assert [point.seconds for _, point in points(read(write(tmp_path / "a", text))[0])] == [None, 1.0, 1.0]


UNREADABLE = {
    "empty": ("", "it is empty"),
    "blank": (" \n\n", "it is empty"),
    "text": ("hello\nworld\n", "it is of no format that is read: CSV (long, wide, wandb's), JSON lines, "),
    "no columns": ("a,b\nx,2\n", "it has no column that is known; name them: --map step=COLUMN --map loss=COLUMN"),
    "one column": ("step,b\n1,2\n", "it has no column that is judged (loss, grad_norm, throughput, ...)"),
    "cut JSON": ('{"log_history": [{"st', "it begins as a JSON document and is none, or was cut off: "),
    "JSON": ('[{"a": 1}]', "it has no column that is known; name them: --map step=COLUMN --map loss=COLUMN"),
    "JSON lines": ('{"a": 1}\n{"a": 2}\n', "it has no column that is known"),
    "table and log": (
        "step,loss\n1,2.5\niter 2: loss 2.5, time 1ms\n",
        (
            "it is mixed: line 1 begins a table with the columns step, loss, and line 3 ('iter 2: loss 2.5, time 1ms') "
            "is of another format; split it into a file for each"
        ),
    ),
    "two tables": ("step,loss\n1,2.5\niteration,lm loss,grad norm\n", "it is mixed: line 1 begins a table"),
    "table and JSON": ('step,loss\n1,2.5\n{"step": 2}\n', "it is mixed: line 1 begins a table"),
    "JSON and table": (
        '{"step": 1, "loss": 2.5}\nstep,loss\n2,2.5\n',
        (
            "it is mixed: it begins with JSON lines, and line 2 ('step,loss') is of another format; "
            "split it into a file for each"
        ),
    ),
    "two logs": (
        f"{MEGATRON.format(before='')}\niter 2: loss 2.5\n",
        "it is mixed: it has lines of Megatron's log and of a log with a step a line; split it",
    ),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_cannot_be_read_says_so_in_one_sentence(tmp_path: Path, case: str) -> None:
    text, sentence = UNREADABLE[case]
    with pytest.raises(Unreadable) as refused:
        read(write(tmp_path / "a", text))
    assert str(refused.value).startswith(sentence)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\x1f\x8b\x08\x00", "it is packed with gzip: unpack it first"),
        (b"\xff\xfes\x00t\x00", "it is UTF-16: write it as UTF-8 first (iconv -f UTF-16 -t UTF-8)"),
        (bytes(range(256)), "it is binary, and none of the formats that are read: "),
        (
            b"SQLite format 3\x00" + bytes(84),
            "it is a database, and Fryer's is called fryer.db: give the store's folder",
        ),
    ],
)
def test_binary_files_are_told_apart(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    with pytest.raises(Unreadable) as refused:
        read(path)
    assert str(refused.value).startswith(sentence)


def test_a_folder_without_anything_known_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="it is a folder without TensorBoard's event files and without Fryer's store"):
        read(tmp_path)


def test_rows_that_are_none_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    text = "step,loss\n1,2.5\n2,oops\n\nstep,loss\n3\n4,2.5\n5,2."
    items, reading = read(write(tmp_path / "a", text))
    assert [point.step for _, point in points(items)] == [1, 4, 5]
    assert (reading.num_unread, reading.first_unread) == (2, 3)


def test_a_record_that_was_cut_off_at_the_end_is_counted(tmp_path: Path) -> None:
    items, reading = read(write(tmp_path / "a", '{"step": 1, "loss": 2.5}\n{"step": 2, "lo'))
    assert [point.step for _, point in points(items)] == [1]
    assert (reading.num_unread, reading.first_unread) == (1, 2)
