from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.metrics.phases import PHASES, Phases


class Clock:
    """Goes on by what the test says."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_no_section_claims_is_other() -> None:
    clock = Clock()
    phases = Phases(clock)
    phases.begin()
    clock.now += 1.0
    with phases.section("data"):
        clock.now += 2.0
    clock.now += 4.0
    assert phases.end() == (7.0, {"other": 5.0, "data": 2.0})


def test_a_section_within_a_section_is_taken_off_the_outer_one() -> None:
    clock = Clock()
    phases = Phases(clock)
    phases.begin()
    with phases.section("checkpoint"):
        clock.now += 1.0
        with phases.section("evaluation"):
            clock.now += 2.0
        clock.now += 4.0
    assert phases.end() == (7.0, {"other": 0.0, "checkpoint": 5.0, "evaluation": 2.0})


def test_a_section_that_comes_twice_is_summed() -> None:
    clock = Clock()
    phases = Phases(clock)
    phases.begin()
    for seconds in (1.0, 2.0):
        with phases.section("data"):
            clock.now += seconds
    assert phases.end()[1]["data"] == 3.0


def test_time_between_two_steps_is_the_next_ones_and_before_the_first_nobodys() -> None:
    clock = Clock()
    phases = Phases(clock)
    clock.now += 1000.0
    phases.begin()
    clock.now += 1.0
    assert phases.end()[0] == 1.0
    clock.now += 0.5
    phases.begin()
    clock.now += 1.0
    assert phases.end()[0] == 1.5


def test_an_error_ends_its_section() -> None:
    clock = Clock()
    phases = Phases(clock)
    phases.begin()
    with suppress(ValueError), phases.section("data"):
        clock.now += 1.0
        raise ValueError
    clock.now += 2.0
    assert phases.end() == (3.0, {"other": 2.0, "data": 1.0})


def test_a_watcher_is_in_each_section_while_it_lasts() -> None:
    seen: list[str] = []

    @contextmanager
    def watch(name: str) -> Iterator[None]:
        seen.append(f"in {name}")
        yield
        seen.append(f"out of {name}")

    phases = Phases(Clock(), watch)
    with phases.section("data"):
        seen.append("reading")
    assert seen == ["in data", "reading", "out of data"]


SECONDS = st.integers(0, 2**40).map(lambda nanoseconds: nanoseconds / 1e9)


@given(st.lists(st.tuples(st.sampled_from((*PHASES, None)), SECONDS), max_size=30), st.integers(1, 5))
def test_parts_sum_to_the_step_and_steps_to_the_whole(parts: list[tuple[str | None, float]], size: int) -> None:
    clock = Clock()
    phases = Phases(clock)
    phases.begin()
    began, steps = clock.now, []
    for number, (name, seconds) in enumerate(parts):
        if name is None:
            clock.now += seconds
        else:
            with phases.section(name):
                clock.now += seconds
        if number % size == 0:
            steps.append(phases.end())
    steps.append(phases.end())
    assert all(seconds == list(accumulate(times.values()))[-1] for seconds, times in steps)
    assert sum(seconds for seconds, _ in steps) == pytest.approx(clock.now - began, rel=1e-12, abs=1e-9)
