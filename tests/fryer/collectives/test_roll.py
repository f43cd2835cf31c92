from collections.abc import Sequence

import pytest

from fryer.collectives.roll import ALONE, BROKE, DIED, DONE, RUNNING, Loss, Patience, Roll, Sign, parse_sign

PATIENCE = Patience(sign_seconds=1.0, silence_seconds=10.0, start_seconds=120.0)


def roll(*nodes: str) -> Roll:
    return Roll(nodes, PATIENCE, began=0.0)


def alive(number: int, step: int = 1, what: str = "all_reduce 1 GiB float") -> Sign:
    return Sign(number=number, step=step, state=RUNNING, what=what)


def watch(this: Roll, until: int, signs: Sequence[Sign | None]) -> None:
    """One look a second; None gives a new sign each time."""
    for second in range(1, until + 1):
        this.note([alive(second) if sign is None else sign for sign in signs], float(second))


def test_ranks_that_give_signs_are_not_lost() -> None:
    this = roll("a", "b")
    watch(this, 1000, [None, None])
    assert this.loss(1000.0) is None
    assert not this.is_over


def test_a_rank_that_is_silent_is_lost_after_the_patience_and_not_before() -> None:
    this = roll("a", "b", "c")
    watch(this, 11, [None, alive(7), None])
    assert this.loss(11.0) is None
    watch(this, 12, [None, alive(7), None])
    assert this.loss(12.0) == Loss(
        problem="rank 1 on b is missing: no sign of life for 10 s since 'all_reduce 1 GiB float'", missing=("b",)
    )


def test_several_silent_ranks_of_a_node_are_one_missing_node() -> None:
    this = roll("a", "a", "b", "b")
    watch(this, 20, [None, None, alive(1), alive(1)])
    loss = this.loss(20.0)
    assert loss is not None
    assert loss.missing == ("b",)
    assert loss.problem.endswith("(and 1 more ranks)")


def test_a_rank_has_longer_to_start() -> None:
    this = roll("a", "b")
    watch(this, 119, [None, Sign()])
    assert this.loss(119.0) is None
    assert this.loss(121.0) == Loss(problem="rank 1 on b is missing: it did not start within 120 s", missing=("b",))


def test_a_death_is_told_at_once() -> None:
    this = roll("a", "b")
    this.note([alive(1), Sign(number=2, state=DIED, what="its process ended with exit code -9")], 1.0)
    assert this.loss(1.0) == Loss(problem="rank 1 on b is missing: its process ended with exit code -9", missing=("b",))


def test_ranks_that_lost_another_one_wait_until_it_is_known_which() -> None:
    this = roll("a", "b", "c")
    signs = [Sign(number=9, state=ALONE, what="connection reset by peer"), alive(1), None]
    watch(this, 10, signs)
    assert this.loss(10.0) is None
    watch(this, 12, signs)
    loss = this.loss(12.0)
    assert loss is not None
    assert loss.missing == ("b",)


def test_a_rank_that_failed_by_itself_is_the_reason_of_those_that_lost_it() -> None:
    this = roll("a", "b")
    this.note([Sign(state=ALONE, what="connection reset"), Sign(state=BROKE, what="out of memory")], 1.0)
    assert this.loss(1.0) == Loss(problem="rank 1 on b: out of memory")


def test_ranks_that_all_live_and_lost_each_other_name_nobody() -> None:
    this = roll("a", "b", "c")
    watch(this, 14, [Sign(number=9, state=ALONE, what="timed out"), None, None])
    assert this.loss(14.0) == Loss(problem="rank 0 on a: timed out")


def test_all_done_is_over() -> None:
    this = roll("a", "b")
    this.note([Sign(number=5, state=DONE), Sign(number=9, state=DONE)], 3.0)
    assert this.is_over
    assert this.loss(1000.0) is None


def test_who_is_behind_when_the_time_is_up_is_missing() -> None:
    this = roll("a", "b", "c")
    this.note([alive(5, 3, "check"), alive(5, 2, "all_reduce 1 GiB float"), alive(5, 3, "check")], 5.0)
    assert this.overdue(60.0) == Loss(
        problem=(
            "rank 1 on b is missing: it did not come to 'check' within the 60 s of this measurement; "
            "its last step was 'all_reduce 1 GiB float'"
        ),
        missing=("b",),
    )


def test_when_nobody_is_behind_nobody_is_missing() -> None:
    this = roll("a", "b")
    this.note([alive(5), alive(6)], 5.0)
    assert this.overdue(60.0) == Loss(problem="the 60 s of this measurement were over during 'all_reduce 1 GiB float'")


def test_a_sign_is_read_back() -> None:
    sign = Sign(number=3, step=2, state=RUNNING, what='a "quoted" step')
    assert parse_sign(sign.to_text()) == sign
    with pytest.raises(ValueError, match="unpack"):
        parse_sign("[]")
