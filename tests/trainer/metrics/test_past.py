from dataclasses import replace
from math import nan
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from trainer_records import BEGUN, SAVED, step

from trainer.metrics.jsonl import JsonLines
from trainer.metrics.past import Made, past_of, read_past, way_of
from trainer.metrics.record import StepDone, to_json


def of(*records: StepDone) -> dict[int, Made]:
    return past_of([to_json(record) for record in records])


def done(number: int, loss: float | None = 2.0, **changes: str) -> StepDone:
    return step(number, loss=loss, batch="aa", **changes)


def test_a_step_is_what_its_record_says() -> None:
    assert of(done(1), done(2, nan, vetoed="the loss is nan"), done(3, None, skipped="i-1"))[1] == Made(
        loss=2.0, batch="aa", is_updated=True
    )
    found = of(done(2, nan, vetoed="the loss is nan"), done(3, None, skipped="i-1"))
    assert found[2].is_same(Made(loss=nan, batch="aa", is_updated=False))
    assert found[3] == Made(loss=None, batch="aa", is_updated=False)


def test_of_a_step_that_was_made_twice_the_later_time_counts() -> None:
    assert of(done(1, 2.0), done(1, 3.0))[1].loss == 3.0


def test_steps_after_one_that_was_made_again_to_the_bit_stay() -> None:
    assert sorted(of(done(1), done(2), done(3), done(2))) == [1, 2, 3]


def test_steps_after_one_that_came_out_otherwise_belong_to_a_past_that_is_no_more() -> None:
    assert sorted(of(done(1), done(2), done(3), done(4), done(2, 2.5))) == [1, 2]
    assert sorted(of(done(1), done(2), done(3), done(2, None, skipped="i-1"))) == [1, 2]
    assert sorted(of(done(1), done(2), done(3), done(2, vetoed="spike"))) == [1, 2]


def test_a_loss_that_is_no_number_is_the_same_each_time() -> None:
    assert sorted(of(done(1, nan), done(2), done(1, nan))) == [1, 2]


def test_other_records_say_nothing_of_steps() -> None:
    assert past_of([to_json(BEGUN), to_json(SAVED)]) == {}


def test_a_step_knows_how_the_attempt_that_made_it_computed() -> None:
    begins = [replace(BEGUN, from_step=0, layout={"data": size}, versions={"torch": "2"}) for size in (2, 4)]
    found = past_of(to_json(record) for record in (begins[0], done(1), done(2), begins[1], done(1)))
    assert found[1].way == way_of({"data": 4}, {"torch": "2"})
    assert found[2].way == way_of({"data": 2}, {"torch": "2"})
    assert found[1].way != found[2].way


def test_an_attempt_by_an_edited_plan_makes_a_new_past() -> None:
    begins = [replace(BEGUN, from_step=step, plan_hash=name) for step, name in ((0, "a"), (1, "a"), (1, "b"))]
    steps = [done(1), done(2), done(3)]
    assert sorted(past_of(map(to_json, (begins[0], *steps, begins[1])))) == [1, 2, 3]
    assert sorted(past_of(map(to_json, (begins[0], *steps, begins[1], done(2), begins[2])))) == [1]


def test_it_is_read_from_a_file(tmp_path: Path) -> None:
    lines = JsonLines(tmp_path / "m")
    lines.write(BEGUN)
    lines.write(done(7, 0.1 + 0.2))
    lines.close()
    way = way_of(BEGUN.layout, BEGUN.versions)
    assert read_past(tmp_path / "m") == {7: Made(loss=0.1 + 0.2, batch="aa", way=way)}
    assert read_past(tmp_path / "none") == {}


ATTEMPTS = st.lists(st.tuples(st.integers(0, 5), st.lists(st.sampled_from([1.0, 2.0]), max_size=5)), max_size=5)


@given(ATTEMPTS)
def test_no_step_before_a_step_that_is_left_was_made_otherwise_since(attempts: list[tuple[int, list[float]]]) -> None:
    """Each attempt goes on from a step that was reached, and makes the steps after it in order."""
    made: list[tuple[int, float]] = []
    for start, losses in attempts:
        from_step = min(start, max((number for number, _ in made), default=0))
        made += [(from_step + 1 + place, loss) for place, loss in enumerate(losses)]
    found = of(*(done(number, loss) for number, loss in made))
    last = {number: place for place, (number, _) in enumerate(made)}
    assert {number: each.loss for number, each in found.items()} == {number: made[last[number]][1] for number in found}
    for number in found:
        before, after = made[: last[number]], made[last[number] :]
        assert all(earlier >= number or dict(before)[earlier] == loss for earlier, loss in after)
