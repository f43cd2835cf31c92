from dataclasses import replace

import pytest
from trainer_records import BEGUN, ENDED, SAVED, STAGE, STEP, step

from trainer.metrics.record import CommandEnded, Evaluated, Record
from trainer.metrics.sentences import figures, sentence

RAN = CommandEnded(at=1.0, step=5, checkpoint="/c", code=0, seconds=85.0, log="/logs/5")


def test_the_figures_of_a_step() -> None:
    assert figures(STEP) == "loss 2.5000  grad 0.41  512 tokens/s  MFU 31.2 %"


def test_figures_that_are_not_known_are_left_out() -> None:
    assert figures(step(1, mfu=None, grad_norm=None, tokens_per_second=None)) == "loss 2.5000"


def test_a_skipped_or_vetoed_step_says_why() -> None:
    assert figures(step(1, loss=None, skipped="i-7")) == "skipped: i-7"
    vetoed = step(1, loss=float("nan"), grad_norm=None, mfu=None, tokens_per_second=None, vetoed="the loss is nan")
    assert figures(vetoed) == "loss nan  no update: the loss is nan"


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (BEGUN, "run r-1 begins, 1,234 parameters"),
        (replace(BEGUN, resumed_from="durable step 4"), "run r-1 goes on from durable step 4, 1,234 parameters"),
        (
            replace(BEGUN, passed_over=("durable step 6 is passed over: cut off",), version_changes=("torch 1 → 2",)),
            "durable step 6 is passed over: cut off\ntorch 1 → 2\nrun r-1 begins, 1,234 parameters",
        ),
        (
            replace(BEGUN, flops_formula="6 N", peak_flops=989.4e12),
            "run r-1 begins, 1,234 parameters\nMFU: 6 N FLOP a token, of 989 TFLOP/s",
        ),
        (STAGE, "stage main from step 5: 8 sequences of 32 tokens a step"),
        (SAVED, "checkpoint of step 5 is complete"),
        (replace(SAVED, state="failed", problem="disk full"), "checkpoint of step 5 failed: disk full"),
        (replace(SAVED, tier="node-local"), ""),
        (
            Evaluated(at=1.0, step=5, stage="main", losses={"code": 2.0, "text": 3.0}),
            "held out at step 5: code 2.0000, text 3.0000",
        ),
        (Evaluated(at=1.0, step=5, stage="main", losses={}), "held out at step 5: no source has held-out text"),
        (RAN, "evaluation command of step 5 ended with 0 after 1m25s"),
        (replace(RAN, code=3), "evaluation command of step 5 ended with 3 after 1m25s; see /logs/5"),
        (replace(RAN, code=None, problem="left out"), "evaluation command of step 5: left out"),
        (ENDED, "ended at step 5: done"),
        (STEP, ""),
    ],
)
def test_each_record_has_its_words(record: Record, expected: str) -> None:
    assert sentence(record) == expected
