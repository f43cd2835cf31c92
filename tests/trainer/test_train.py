"""A small training as a user runs it: stages, signals, resumes, bad plans, a full disk, other texts."""

import json
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from trained import Trained, tiny_plan

from trainer import codes
from trainer.ledger import Skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    trained = Trained(folder, tiny_plan(folder, steps=16, every_steps=4, memory_every_steps=2))
    assert trained.train() == codes.DONE, trained.errors
    return trained


def records(trained: Trained, kind: str) -> list[dict[str, Any]]:
    lines = (trained.run / "metrics.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["type"] == kind]


@pytest.mark.slow
def test_every_step_and_stage_is_in_the_metrics(whole: Trained) -> None:
    steps = records(whole, "step_done")
    assert [record["step"] for record in steps] == list(range(1, 17))
    assert [(record["stage"], record["step"]) for record in records(whole, "stage_begins")] == [("one", 1), ("two", 9)]
    assert {record["stage"] for record in steps} == {"one", "two"}
    assert all(abs(sum(record["times"].values()) - record["seconds"]) < 1e-6 for record in steps)
    assert steps[-1]["total_tokens"] == sum(record["tokens"] for record in steps)
    assert steps[-1]["loss"] < steps[0]["loss"]
    assert len({record["batch"] for record in steps}) == 16


@pytest.mark.slow
def test_checkpoints_go_from_complete_over_verified_to_good(whole: Trained) -> None:
    states: dict[int, list[str]] = {}
    for record in records(whole, "checkpoint_changed"):
        states.setdefault(record["step"], []).append(record["state"])
    assert states[8] == ["complete", "verified", "good"]
    assert states[16] == ["complete", "verified"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_saves_and_the_run_goes_on_to_the_same_bits(
    whole: Trained, tmp_path: Path, number: signal.Signals
) -> None:
    trained = Trained(tmp_path, whole.plan, name="stopped")
    process = trained.start()
    give_up = time.monotonic() + 120
    while trained.steps_logged() < 3 and time.monotonic() < give_up:
        time.sleep(0.01)
    process.send_signal(number)
    assert process.wait(60) == codes.after_signal(number)
    stopped_at = records(trained, "run_ends")[-1]["step"]
    assert 3 <= stopped_at < 16
    assert trained.train() == codes.DONE, trained.errors
    assert records(trained, "run_begins")[-1]["from_step"] == stopped_at
    assert trained.final() == whole.final()


@pytest.mark.slow
def test_a_skipped_range_moves_nothing_that_follows(whole: Trained, tmp_path: Path) -> None:
    trained = Trained(tmp_path, whole.plan, name="skipped")
    skip = Skip(stage="one", first=3 * 8, end=5 * 8, incident="bad-shard")
    assert trained.train(skips=(skip,)) == codes.DONE, trained.errors
    skipped = {record["step"]: record["skipped"] for record in records(trained, "step_done") if record["skipped"]}
    assert skipped == {4: "bad-shard", 5: "bad-shard"}
    theirs, ours = whole.traced(), trained.traced()
    assert [ours[0, step].batch for step in (6, 9, 16)] == [theirs[0, step].batch for step in (6, 9, 16)]
    assert ours[0, 3] == theirs[0, 3]
    assert ours[0, 16].weights != theirs[0, 16].weights


@pytest.mark.slow
def test_an_edit_that_would_change_the_past_is_refused_and_one_of_the_future_is_not(tmp_path: Path) -> None:
    plan = tiny_plan(tmp_path, steps=8, every_steps=4)
    trained = Trained(tmp_path, plan)
    assert trained.train(until=4) == codes.DONE, trained.errors
    first, second = plan.stages
    trained.plan = replace(plan, stages=(replace(first, lr=first.lr * 2), second))
    assert trained.train() == codes.BAD_PLAN
    assert "lr" in trained.errors.splitlines()[-2] + trained.errors.splitlines()[-1]
    trained.plan = replace(plan, stages=(first, replace(second, lr=second.lr / 2)))
    assert trained.train() == codes.DONE, trained.errors


@pytest.mark.slow
def test_a_second_process_is_kept_out_of_a_run(tmp_path: Path) -> None:
    trained = Trained(tmp_path, tiny_plan(tmp_path, steps=400))
    process = trained.start()
    give_up = time.monotonic() + 120
    while trained.steps_logged() < 1 and time.monotonic() < give_up:
        time.sleep(0.01)
    try:
        assert trained.train() == codes.BAD_PLAN
        assert f"another process trains in {trained.run}" in trained.errors
    finally:
        process.terminate()
        process.wait(60)


@pytest.mark.slow
def test_other_text_under_the_same_names_is_refused(tmp_path: Path) -> None:
    trained = Trained(tmp_path, tiny_plan(tmp_path, steps=8, every_steps=4))
    assert trained.train(until=4) == codes.DONE, trained.errors
    (tmp_path / "text" / "00.txt").write_text("something else " * 100)
    assert trained.train() == codes.BAD_PLAN
    assert "sources.code holds other tokens" in trained.errors
