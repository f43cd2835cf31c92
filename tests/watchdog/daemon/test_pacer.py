"""Collectors run at their pace, and none holds up another."""

import asyncio
import threading
import time
from collections.abc import Callable

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from watchdog.collectors import Collected
from watchdog.daemon.pacer import Paced, Pacer
from watchdog.state import CollectorState
from watchdog.vocabulary.errors import SourceFailed, SourceMissing
from watchdog.vocabulary.samples import Row
from watchdog.vocabulary.subjects import Subject


class Called:
    """A collector that does what it is told, and counts."""

    def __init__(self, do: Callable[[], None] = lambda: None) -> None:
        self.do = do
        self.num_calls = 0
        self.is_closed = False

    def collect(self, now: float) -> Collected:
        self.num_calls += 1
        self.do()
        return Collected(rows=(Row(subject=Subject("n"), at=now, values={"a": float(self.num_calls)}),))

    def close(self) -> None:
        self.is_closed = True


def paced(name: str, collector: Called, period: float = 0.05, deadline: float = 0.2) -> Paced:
    return Paced(name=name, collector=collector, period_seconds=period, deadline_seconds=deadline)


def run(collectors: list[Paced], until: Callable[[], bool]) -> tuple[list[str], dict[str, CollectorState]]:
    """Run a pacer until something is true; the names in order of arrival, and the last states."""
    taken: list[str] = []
    states: dict[str, CollectorState] = {}

    async def main() -> None:
        scheduler = AsyncIOScheduler()
        pacer = Pacer(collectors, scheduler, lambda name, _: taken.append(name))
        scheduler.start()
        pacer.start()
        for _ in range(2000):
            await asyncio.sleep(0.005)
            states.update({state.name: state for state in pacer.states()})
            if until():
                break
        scheduler.shutdown(wait=False)
        pacer.stop(0.5)

    asyncio.run(main())
    return taken, states


def test_a_collector_is_called_again_and_again_and_closed_at_the_end() -> None:
    collector = Called()
    taken, states = run([paced("one", collector)], lambda: collector.num_calls >= 4)
    assert taken[:3] == ["one"] * 3
    assert collector.is_closed
    assert states["one"].num_failures == 0
    assert states["one"].last_success_at is not None


def test_one_that_hangs_is_told_and_holds_up_nobody() -> None:
    release = threading.Event()
    hung, other = Called(lambda: release.wait(20) and None), Called()
    seen: list[str] = []

    def until() -> bool:
        return other.num_calls > 8

    _, states = run([paced("hung", hung), paced("other", other)], until)
    release.set()
    seen.append(states["hung"].last_error)
    assert hung.num_calls == 1
    assert "has not answered for" in seen[0]
    assert states["other"].last_error == ""


def test_one_that_fails_is_called_again_and_one_whose_source_is_missing_is_not() -> None:
    def fail() -> None:
        raise SourceFailed("the driver is gone")

    def miss() -> None:
        raise SourceMissing("no such thing here")

    def break_down() -> None:
        raise RuntimeError("a bug")

    failing, missing, broken = Called(fail), Called(miss), Called(break_down)
    _, states = run(
        [paced("failing", failing), paced("missing", missing), paced("broken", broken)],
        lambda: failing.num_calls > 3 and broken.num_calls > 3,
    )
    assert missing.num_calls == 1
    assert states["missing"].is_missing
    assert states["failing"].last_error == "the driver is gone"
    assert states["failing"].num_failures >= 3
    assert states["broken"].last_error == "RuntimeError: a bug"


def test_one_that_waits_by_itself_is_called_again_at_once() -> None:
    stream = Called(lambda: time.sleep(0.001))
    run([paced("stream", stream, period=0)], lambda: stream.num_calls > 50)
    assert stream.num_calls > 50
