import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from trainer_records import BEGUN, STAGE, step

from trainer.metrics.record import Evaluated
from trainer.metrics.tensorboard import ToTensorBoard

ROOT = Path(__file__).parents[3]


def read(directory: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(directory))
    found.Reload()
    return found


def points(found: Any, name: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in found.Scalars(name)]


def test_steps_and_evaluations_are_curves(tmp_path: Path) -> None:
    board = ToTensorBoard(tmp_path)
    for record in (BEGUN, STAGE, step(5), step(6, loss=2.25, z_loss=None)):
        board.write(record)
    board.write(Evaluated(at=1.0, step=6, stage="main", losses={"code": 1.5}))
    board.close()
    found = read(tmp_path)
    assert points(found, "train/loss") == [(5, 2.5), (6, 2.25)]
    assert points(found, "loss/code") == [(5, 2.0), (6, 2.0)]
    assert points(found, "seconds/data") == [(5, 0.125), (6, 0.125)]
    assert points(found, "held_out/code") == [(6, 1.5)]
    assert [event.wall_time for event in found.Scalars("train/loss")] == [1002.0, 1002.0]
    assert "train/z_loss" not in found.Tags()["scalars"]


def test_steps_that_are_made_again_after_a_resume_replace_those_before_it(tmp_path: Path) -> None:
    first = ToTensorBoard(tmp_path)
    for number in (1, 2, 3, 4):
        first.write(step(number, loss=float(number)))
    first.close()
    second = ToTensorBoard(tmp_path, from_step=2)
    second.write(step(3, loss=8.0))
    second.close()
    assert points(read(tmp_path), "train/loss") == [(1, 1.0), (2, 2.0), (3, 8.0)]


def test_it_opens_again_after_a_failure(tmp_path: Path) -> None:
    (tmp_path / "board").write_text("in its way")
    board = ToTensorBoard(tmp_path / "board")
    failed = 0
    try:
        board.write(step(1))
    except OSError:
        failed = 1
    (tmp_path / "board").unlink()
    board.write(step(2))
    board.close()
    assert failed == 1
    assert points(read(tmp_path / "board"), "train/loss") == [(2, 2.5)]


MISSING = """
import sys
from pathlib import Path
sys.modules["tensorboard"] = None
from trainer.metrics.tensorboard import ToTensorBoard
from watchdog.vocabulary.errors import UsageError
try:
    ToTensorBoard(Path(sys.argv[1]))
except UsageError as error:
    print(error)
"""


def test_a_package_that_is_not_installed_is_named_with_what_to_do(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-c", MISSING, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert told == (
        "the plan has metrics.tensorboard = true and TensorBoard is not installed: pip install 'fryer[tensorboard]', "
        "or set it to false\n"
    )
