"""All sinks of a rank together, on real files and a daemon that is not there."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from small_plan import plan
from trainer_records import BEGUN, ENDED, STEP

from trainer.metrics.fan import Metrics
from trainer.metrics.jsonl import read_records
from trainer.metrics.open import METRICS, TENSORBOARD, open_metrics
from trainer.plan import EvaluationPlan, MetricsPlan, Plan
from watchdog.client import Client
from watchdog.vocabulary.errors import UsageError


def opened(tmp_path: Path, *, rank: int = 0, wanted: Plan | None = None, stream: io.StringIO | None = None) -> Metrics:
    return open_metrics(
        wanted or plan(),
        tmp_path / "run",
        rank=rank,
        local_rank=rank,
        client=Client(run="r-1", rank=rank, socket_path=tmp_path / "none.sock"),
        from_step=0,
        stream=stream,
    )


def test_rank_0_writes_files_and_shows_progress(tmp_path: Path) -> None:
    stream = io.StringIO()
    metrics = opened(tmp_path, wanted=replace(plan(), metrics=MetricsPlan(tensorboard=True)), stream=stream)
    for record in (BEGUN, STEP, replace(ENDED, code=1)):
        metrics.write(record)
    metrics.close()
    types = [record["type"] for record in read_records(tmp_path / "run" / METRICS)]
    assert types == ["run_begins", "step_done", "run_ends"]
    assert len(list((tmp_path / "run" / TENSORBOARD).iterdir())) == 1
    assert stream.getvalue().splitlines()[-1] == "ended at step 5: done"


def test_other_ranks_write_nothing(tmp_path: Path) -> None:
    stream = io.StringIO()
    metrics = opened(tmp_path, rank=1, stream=stream)
    metrics.write(STEP)
    metrics.close()
    assert not (tmp_path / "run").exists()
    assert stream.getvalue() == ""


def test_a_directory_that_cannot_be_written_is_told_before_anything_begins(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(UsageError, match=r"metrics\.jsonl can't be written .*; give another --run"):
        opened(tmp_path)


def test_an_evaluation_command_that_cannot_be_split_is_told_before_anything_begins(tmp_path: Path) -> None:
    wanted = replace(plan(), evaluation=EvaluationPlan(command="sh -c 'half"))
    with pytest.raises(UsageError, match=r"can't be split into words: No closing quotation"):
        opened(tmp_path, wanted=wanted)
