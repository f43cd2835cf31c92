"""Who is slow, and who is missing."""

import random

from watchdog.detectors.training.ranks import RankWatch
from watchdog.detectors.training.words import Mark, MarkKind, RankPoint
from watchdog.vocabulary.findings import Severity


def steps(watch, first, last, late=None, factor=1.0, world=16, section="data"):
    """Feed steps of 0.5 s; what is told."""
    source = random.Random(first)
    told = []
    for step in range(first, last):
        for rank in range(world):
            own = 0.4 * (1 + 0.005 * source.gauss(0, 1)) * (factor if rank == late else 1)
            times = {section: own - 0.3, "forward": 0.3, "communication": 0.6 - own}
            told += watch.observe(RankPoint(rank=rank, step=step, at_seconds=step * 0.5, seconds=0.6, times=times))
    return told


def test_equal_ranks_give_nothing():
    watch = RankWatch(16)
    assert steps(watch, 0, 300) == []
    assert list(watch.finish()) == []


def test_a_rank_that_arrives_late_is_named_with_its_phase_though_all_steps_take_equally_long():
    watch = RankWatch(16)
    steps(watch, 0, 50)
    [event] = steps(watch, 50, 80, late=11, factor=1.1)
    assert (event.kind, event.subject, event.start) == ("straggler", "rank 11", 50)
    assert "rank 11 arrives" in event.message
    assert event.severity is Severity.WARN


def test_a_straggler_ends_when_it_keeps_up_again():
    watch = RankWatch(16)
    steps(watch, 0, 50)
    steps(watch, 50, 80, late=3, factor=1.5)
    [over] = steps(watch, 80, 120)
    assert (over.subject, over.end is not None, over.severity) == ("rank 3", True, Severity.FAIL)
    assert 79 <= over.end <= 88


def test_work_that_is_uneven_by_itself_is_no_straggler():
    source = random.Random(0)
    watch = RankWatch(16)
    told = []
    for step in range(300):
        for rank in range(16):
            own = 0.4 * (1 + 0.06 * source.gauss(0, 1))
            told += watch.observe(RankPoint(rank=rank, step=step, at_seconds=step / 2, work_seconds=own))
    assert told == []


def test_another_layout_forgets_who_was_slow():
    watch = RankWatch(16)
    steps(watch, 0, 30, late=2, factor=1.5)
    [over] = watch.mark(Mark(kind=MarkKind.LAYOUT, start=30))
    assert over.subject == "rank 2"
    assert list(watch.finish()) == []


def test_no_step_for_long_is_a_hang_and_the_rank_behind_is_named():
    watch = RankWatch(16)
    steps(watch, 0, 100)
    for rank in range(16):
        if rank != 5:
            watch.observe(RankPoint(rank=rank, step=100, at_seconds=50.0, seconds=0.6, work_seconds=0.4))
            watch.observe(RankPoint(rank=rank, step=101, at_seconds=50.1, open_section="communication", is_done=False))
    assert list(watch.look(79.0)) == []
    [event] = watch.look(81.0)
    assert (event.kind, event.shape, event.severity) == ("hang", "ranks_missing", Severity.FAIL)
    assert event.evidence["missing_ranks"] == [5]
    assert event.evidence["sections"] == {"": 1, "communication": 15}
    assert list(watch.look(200.0)) == []


def test_a_rank_in_another_section_than_the_rest_is_the_missing_one():
    watch = RankWatch(4)
    steps(watch, 0, 100, world=4)
    for rank in range(4):
        section = "data" if rank == 2 else "communication"
        watch.observe(RankPoint(rank=rank, step=100, at_seconds=50.0, open_section=section, is_done=False))
    [event] = watch.look(100.0)
    assert event.evidence["missing_ranks"] == [2]
    assert "waiting for rank 2" in event.message


def test_a_checkpoint_may_take_longer_before_it_is_a_hang():
    watch = RankWatch(4)
    steps(watch, 0, 100, world=4)
    watch.observe(RankPoint(rank=0, step=100, at_seconds=50.0, open_section="checkpoint", is_done=False))
    assert list(watch.look(400.0)) == []
    assert [event.kind for event in watch.look(500.0)] == ["hang"]


def test_long_steps_are_given_up_on_well_before_nccl_does():
    watch = RankWatch(1)
    for step in range(10):
        watch.observe(RankPoint(rank=0, step=step, at_seconds=106.0 * step, seconds=106.0))
    assert watch.hang.limit_seconds == 300.0


def test_the_next_step_ends_a_hang():
    watch = RankWatch(4)
    steps(watch, 0, 100, world=4)
    [opened] = watch.look(100.0)
    [over] = watch.observe(RankPoint(rank=1, step=100, at_seconds=130.0, seconds=80.0, work_seconds=0.4))
    assert (over.key, over.end) == (opened.key, 100)
    assert over.evidence["seconds"] == 80.5
