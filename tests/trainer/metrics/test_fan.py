from collections.abc import Iterator
from contextlib import contextmanager

from trainer_records import BEGUN, STEP, Kept, step

from trainer.metrics.fan import Metrics
from trainer.metrics.record import CommandEnded, Record


def test_each_record_goes_to_each_sink() -> None:
    one, other = Kept(), Kept()
    metrics = Metrics([one, other])
    metrics.write(BEGUN)
    metrics.write(STEP)
    metrics.close()
    assert one.records == other.records == [BEGUN, STEP]
    assert (one.is_closed, other.is_closed) == (True, True)


def test_a_sink_that_fails_costs_the_others_nothing_and_is_told_once() -> None:
    said: list[str] = []
    bad, good = Kept(), Kept()
    bad.error = OSError(28, "No space left on device")
    metrics = Metrics([bad, good], complain=said.append)
    for number in (1, 2):
        metrics.write(step(number))
    bad.error = None
    for number in (3, 4):
        metrics.write(step(number))
    assert said == [
        "the fake can't be written (No space left on device); training goes on",
        "the fake is written again",
    ]
    assert [record.step for record in good.records] == [1, 2, 3, 4]
    assert [record.step for record in bad.records] == [3, 4]


def test_a_sink_that_fails_to_close_leaves_none_open() -> None:
    bad, good = Kept(), Kept()
    bad.error = OSError(5, "Input/output error")
    Metrics([good, bad]).close()
    assert good.is_closed


def test_a_failing_ear_for_complaints_is_no_failure() -> None:
    def deaf(_: str) -> None:
        raise BrokenPipeError

    bad, good = Kept(), Kept()
    bad.error = OSError(5, "Input/output error")
    Metrics([bad, good], complain=deaf).write(STEP)
    assert good.records == [STEP]


def test_a_sink_may_write_records_itself() -> None:
    ran = CommandEnded(at=1.0, step=5, checkpoint="/c", code=0)

    class Answering(Kept):
        def write(self, record: Record) -> None:
            if record == STEP:
                metrics.write(ran)

    kept = Kept()
    metrics = Metrics([kept])
    metrics.add(Answering())
    metrics.write(STEP)
    assert kept.records == [STEP, ran]


def test_a_section_is_watched() -> None:
    seen: list[str] = []

    @contextmanager
    def watch(name: str) -> Iterator[None]:
        seen.append(name)
        yield

    with Metrics([], watch=watch).section("data"), Metrics([]).section("data"):
        assert seen == ["data"]
