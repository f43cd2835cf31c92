"""Workers are real processes: one that ends, breaks, hangs or dies is told, and takes nothing else with it."""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from fryer import crew as crew_module
from fryer.crew import Crew, make_context
from fryer.records import Counted, Point, Problem, Record
from fryer.workers import DeviceSpec, Order
from watchdog.clock import RunClock

CONTEXT = make_context()


def order(burn: str = "gemm", seconds: float = 0.5, **changes: object) -> Order:
    fields: dict[str, object] = {
        "burn": burn, "specs": (DeviceSpec(name="cpu0", kind="cpu"),), "clock": RunClock.start(), "seconds": seconds,
        "seed": 1, "dtypes": ("fp32",), "memory_ratio": 0.001, "rank": 0, "num_ranks": 1, "rendezvous": ""
    }  # fmt: skip
    return Order(**{**fields, **changes})  # type: ignore[arg-type]


def listen(crew: Crew, seconds: float = 60.0) -> Iterator[Record]:
    deadline = time.monotonic() + seconds
    while not crew.is_over and time.monotonic() < deadline:
        yield from crew.listen(0.1)


def test_records_arrive_and_the_crew_is_over_when_the_burn_is() -> None:
    crew = Crew(CONTEXT, [order()])
    kinds = {type(record) for record in listen(crew)}
    assert {Point, Counted} <= kinds
    assert Problem not in kinds
    assert crew.is_over
    assert not crew.hung


def test_a_worker_that_is_killed_is_a_problem_with_its_exit_code() -> None:
    crew = Crew(CONTEXT, [order(seconds=60)])
    while not crew.is_ready:
        list(crew.listen(0.1))
    os.kill(crew._members[0].process.pid or 0, signal.SIGKILL)
    (problem,) = [record for record in listen(crew) if isinstance(record, Problem)]
    assert problem.code == "crashed"
    assert "-9" in problem.message


def test_a_worker_that_hangs_is_killed_at_the_stop_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew_module, "STOP_SECONDS", 1.0)
    crew = Crew(CONTEXT, [order(seconds=60)])
    while not crew.is_ready:
        list(crew.listen(0.1))
    os.kill(crew._members[0].process.pid or 0, signal.SIGSTOP)
    crew.stop()
    (problem,) = [record for record in listen(crew) if isinstance(record, Problem)]
    assert problem.code == "deadline"
    assert crew.hung == {"cpu0"}


def test_a_device_that_can_not_be_opened_is_an_error_of_its_own() -> None:
    spec = DeviceSpec(name="gpu0", kind="cuda")
    crew = Crew(CONTEXT, [order(specs=(spec,)), order()])
    records = list(listen(crew))
    (problem,) = [record for record in records if isinstance(record, Problem)]
    assert (problem.device, problem.code) == ("gpu0", "crashed")
    assert "CUDA does not show it" in problem.message
    assert any(isinstance(record, Point) for record in records)
