import json
from math import inf, nan

from trainer_records import BEGUN, ENDED, SAVED, STAGE, STEP, step

from trainer.metrics.record import CommandEnded, Evaluated, to_json


def test_each_kind_of_record_has_its_own_type() -> None:
    told = Evaluated(at=1.0, step=5, stage="main", losses={"code": 2.0})
    ran = CommandEnded(at=1.0, step=5, checkpoint="/c", code=0)
    assert [to_json(record)["type"] for record in (BEGUN, STAGE, STEP, SAVED, told, ran, ENDED)] == [
        "run_begins",
        "stage_begins",
        "step_done",
        "checkpoint_changed",
        "evaluated",
        "command_ended",
        "run_ends",
    ]


def test_numbers_that_json_lacks_are_texts_which_python_reads_back() -> None:
    found = to_json(step(1, loss=nan, grad_norm=inf, losses={"code": -inf}))
    assert (found["loss"], found["grad_norm"], found["losses"]) == ("NaN", "Infinity", {"code": "-Infinity"})
    json.dumps(found, allow_nan=False)
    assert str(float(found["loss"])) == "nan"
    assert float(found["grad_norm"]) == inf


def test_a_figure_that_is_not_known_is_null_and_not_zero() -> None:
    found = to_json(step(1, loss=None, mfu=None))
    assert found["loss"] is None
    assert found["mfu"] is None


def test_all_of_a_step_is_there() -> None:
    assert to_json(STEP) == {
        "type": "step_done",
        "at": 1002.0,
        "step": 5,
        "stage": "main",
        "loss": 2.5,
        "losses": {"code": 2.0, "text": 3.0},
        "z_loss": None,
        "grad_norm": 0.41,
        "update_norm": 0.01,
        "lr": 2e-4,
        "tokens": 256,
        "total_tokens": 1280,
        "seconds": 0.5,
        "tokens_per_second": 512.0,
        "mfu": 0.312,
        "times": {"data": 0.125, "forward_backward": 0.25, "other": 0.125},
        "batch": "00000000000000aa",
        "skipped": "",
        "vetoed": "",
    }
