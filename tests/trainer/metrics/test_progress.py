import io
import os
import pty
import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from small_plan import plan, stage
from trainer_records import BEGUN, ENDED, SAVED, step

from trainer.metrics.progress import DRAW_SECONDS, LINE_SECONDS, Bar, Lines, progress_on, tokens_left
from trainer.plan.position import place_of

PLAN = plan(stage("one", steps=6, sequence_length=32, batch=8), stage("two", steps=4, sequence_length=64, batch=8))


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_stream_that_is_no_terminal_gets_lines() -> None:
    assert type(progress_on(io.StringIO(), PLAN, Clock())) is Lines


def test_lines_come_now_and_then_and_at_the_end() -> None:
    stream, clock = io.StringIO(), Clock()
    lines = Lines(stream, PLAN, clock)
    for number in range(1, 11):
        clock.now += LINE_SECONDS / 4
        lines.write(step(number, stage="one", mfu=None))
    told = [line.split("  ")[0] for line in stream.getvalue().splitlines()]
    assert told == ["step 1/10", "step 5/10", "step 9/10", "step 10/10"]
    assert stream.getvalue().splitlines()[0] == "step 1/10  one  loss 2.5000  grad 0.41  512 tokens/s"


def test_a_step_that_was_not_simply_trained_is_always_told() -> None:
    stream = io.StringIO()
    lines = Lines(stream, PLAN, Clock())
    lines.write(step(1))
    lines.write(step(2, vetoed="the loss is nan"))
    lines.write(step(3, skipped="i-7"))
    assert [line.split("  ")[0] for line in stream.getvalue().splitlines()] == ["step 1/10", "step 2/10", "step 3/10"]


def test_events_are_told_at_once() -> None:
    stream = io.StringIO()
    lines = Lines(stream, PLAN, Clock())
    for record in (BEGUN, SAVED, ENDED):
        lines.write(record)
    assert stream.getvalue().splitlines() == [
        "run r-1 begins, 1,234 parameters",
        "checkpoint of step 5 is complete",
        "ended at step 5: done",
    ]


def test_the_time_left_is_told_from_tokens_and_not_from_steps() -> None:
    """Stage two has twice the tokens a step: 4 more steps there take as long as 8 of stage one."""
    stream, clock = io.StringIO(), Clock()
    lines = Lines(stream, PLAN, clock)
    lines.write(replace(BEGUN, from_step=0))
    for number in range(1, 7):
        clock.now += 10.0
        lines.write(step(number))
    assert stream.getvalue().splitlines()[-1].endswith("1m20s left")


def test_a_resumed_run_tells_its_time_from_its_own_steps() -> None:
    stream, clock = io.StringIO(), Clock()
    lines = Lines(stream, PLAN, clock)
    lines.write(replace(BEGUN, from_step=8))
    clock.now += 10.0
    lines.write(step(9))
    assert stream.getvalue().splitlines()[-1].endswith("10.0s left")


def shown(*, seconds: float) -> str:
    """What a terminal gets of two steps that far apart."""
    reader, writer = pty.openpty()
    clock = Clock()
    with open(writer, "w", encoding="utf-8", closefd=True) as stream:  # noqa: PTH123 - a descriptor
        bar = progress_on(stream, PLAN, clock)
        assert type(bar) is Bar
        for record in (replace(BEGUN, from_step=4), step(5), step(6)):
            bar.write(record)
            clock.now += seconds
        bar.write(SAVED)
        bar.close()
        stream.flush()
        text = os.read(reader, 1 << 16).decode()
    os.close(reader)
    return text


def test_a_terminal_gets_a_bar_with_the_newest_figures() -> None:
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown(seconds=DRAW_SECONDS))
    assert "run r-1 begins, 1,234 parameters" in plain
    assert "checkpoint of step 5 is complete" in plain
    assert re.search(r"main .* 5/10 loss 2\.5000", plain)
    assert re.search(r"main .* 6/10 loss 2\.5000", plain)


def test_the_cursor_stays_visible_for_the_one_whose_training_is_killed() -> None:
    text = shown(seconds=DRAW_SECONDS)
    assert text.index("\x1b[?25h") < text.index("loss")
    assert "\x1b[?25l" not in text[text.index("\x1b[?25h") :]


def test_steps_that_are_faster_than_the_eye_are_not_drawn() -> None:
    plain = shown(seconds=DRAW_SECONDS / 10)
    assert "5/10" in plain
    assert "6/10 loss" not in plain.replace("\r", "").split("checkpoint")[0]


@given(st.integers(0, 10))
def test_tokens_left_are_those_of_the_steps_left(done: int) -> None:
    steps = [PLAN.stages[place_of(PLAN, number).stage] for number in range(done + 1, PLAN.num_steps + 1)]
    assert tokens_left(PLAN, done) == sum(each.batch * each.sequence_length for each in steps)
