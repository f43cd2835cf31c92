"""The same steps in another launch: what comes again, what does not, and what nobody can say."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchdog.attribution import Comparison, Launch
from watchdog.detectors.training.words import Kind, TrainingFinding
from watchdog.vocabulary.findings import Severity


def event(
    start: int, last: int | None = None, *, kind: Kind = "drop", metric: str = "tokens_per_second"
) -> TrainingFinding:
    return TrainingFinding(
        kind=kind,
        metric=metric,
        shape="deep",
        start=start,
        end=last or start,
        onset=start,
        last=last or start,
        severity=Severity.WARN,
        message="throughput fell",
    )


def launch(name: str, starts: Sequence[int], *, first: int = 1, last: int = 10_000, run: str = "") -> Launch:
    return Launch(
        run=run or name,
        name=name,
        first=first,
        last=last,
        num_points=last - first + 1,
        findings=[event(start) for start in starts],
        metrics=frozenset({"tokens_per_second"}),
    )


def test_events_within_three_steps_of_another_launchs_came_again() -> None:
    own, other = launch("a", [300, 2000, 5000, 7000]), launch("b", [303, 1997, 5000, 9000])
    answers = [Comparison(own, other).of(found) for found in own.findings]
    assert [(each.answer, each.at) for each in answers if each] == [
        ("again", 303),
        ("again", 1997),
        ("again", 5000),
        ("again", None),
    ]
    assert {(each.hits, each.total, each.num_others) for each in answers if each} == {(3, 4, 4)}


def test_four_steps_off_is_another_step() -> None:
    own, other = launch("a", [300]), launch("b", [304])
    answer = Comparison(own, other).of(own.findings[0])
    assert answer is not None
    assert (answer.answer, answer.at, answer.hits) == ("not_again", None, 0)


def test_one_coincidence_among_many_events_is_unclear() -> None:
    own = launch("a", range(100, 2100, 100), last=2100)
    other = launch("b", [100, *range(150, 2100, 100)], last=2100)
    answers = [Comparison(own, other).of(found) for found in own.findings]
    assert [each.answer for each in answers if each] == ["unclear", *["not_again"] * 19]


@pytest.mark.parametrize(
    "other",
    [
        launch("b", [300], first=400),
        Launch(run="b", name="b", first=1, last=10_000, num_points=10_000, findings=[], metrics=frozenset({"loss"})),
        Launch(
            run="b",
            name="b",
            first=1,
            last=10_000,
            num_points=10_000,
            findings=[],
            is_by_tokens=True,
            metrics=frozenset({"tokens_per_second"}),
        ),
    ],
    ids=["other steps", "other metrics", "another unit"],
)
def test_a_launch_that_could_not_see_it_says_nothing(other: Launch) -> None:
    own = launch("a", [300])
    assert Comparison(own, other).of(own.findings[0]) is None


def test_an_event_that_lasts_is_compared_by_its_begin() -> None:
    own = Launch(
        run="a",
        name="a",
        first=1,
        last=10_000,
        num_points=10_000,
        findings=[event(1000, 9000)],
        metrics=frozenset({"tokens_per_second"}),
    )
    answer = Comparison(own, launch("b", [5000])).of(own.findings[0])
    assert answer is not None
    assert answer.answer == "not_again"


def test_launches_of_one_run_are_rewinds_of_each_other() -> None:
    first, second = launch("a, attempt 1", [300], last=400, run="a"), launch("a, attempt 2", [300], first=200, run="a")
    answer = Comparison(first, second).of(first.findings[0])
    assert answer is not None
    assert (answer.is_rewind, answer.answer) == (True, "again")


starts = st.lists(st.integers(1, 10_000), max_size=60)


@given(starts, starts)
def test_chance_is_a_probability_and_hits_are_some_of_the_events(mine: list[int], theirs: list[int]) -> None:
    own, other = launch("a", mine), launch("b", theirs)
    for found in own.findings:
        answer = Comparison(own, other).of(found)
        assert answer is not None
        assert 0.0 <= answer.chance <= 1.0
        assert 0 <= answer.hits <= answer.total == len(mine)
        assert (answer.at is not None) == any(abs(start - found.start) <= 3 for start in theirs)


@given(st.lists(st.integers(1, 900), min_size=4, max_size=20, unique=True))
def test_a_launch_that_is_the_same_shows_every_event_again(steps: list[int]) -> None:
    mine = [10 * step for step in steps]
    own, other = launch("a", mine, last=9_100), launch("b", mine, last=9_100)
    assert {Comparison(own, other).of(found).answer for found in own.findings} == {"again"}  # type: ignore[union-attr]
