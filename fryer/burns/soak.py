"""Everything at once, once hot: products, copies from the host, and a collective over the devices of the node.

Some faults show only when hot, or only when the parts draw power and move data together. Products heat alone until
their rate is steady; then all lanes (`fryer.burns.soak_lanes`) run until the time is over, and everything that they
make is verified. The ranks, one process a device, come in and leave together: a stop of one is a stop of all.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from queue import Empty
from threading import Thread

from fryer.burns import Task
from fryer.burns.rates import POINT_SECONDS, SHORT_INTERVALS
from fryer.burns.soak_lanes import HEAT_SHARE, Copies, Products, Stage, Sums, case_of
from fryer.burns.transfer import stopped
from fryer.devices import Device, UnsupportedDtypeError
from fryer.records import Point, Problem, Record
from watchdog.vocabulary.verdicts import Verdict

STOP_SECONDS = 1.5
"""So long, on the machine's clock, lanes may take to leave after a stop; a lane that waits for a dead rank may not."""
_POLL_SECONDS = 0.1


def run(devices: Sequence[Device], task: Task) -> Iterator[Record]:
    """Heat, then run all lanes that this device has until the time is over."""
    (device,) = devices
    stage = Stage(device=device, task=task,
                  interval_seconds=min(POINT_SECONDS, (1 - HEAT_SHARE) * task.seconds / SHORT_INTERVALS))
    products = _products(stage)
    if isinstance(products, Problem):
        yield products
        return
    lanes: list[tuple[str, Callable[[], None]]] = [(products.case, products.run)]
    if not device.host_is_device:
        lanes.append((case_of("h2d"), Copies(stage).run))
    if task.num_ranks > 1:
        lanes.append((case_of("all_reduce"), Sums(stage).run))
    device.wait(device.mark())
    yield from _together(stage, lanes)


def _products(stage: Stage) -> Products | Problem:
    """The products of the first wanted format that the device has."""
    dtypes = stage.task.dtypes or stage.device.default_dtypes
    reasons = []
    for dtype in dtypes:
        try:
            return Products(stage, dtype)
        except UnsupportedDtypeError as why:
            reasons.append(str(why))
    return Problem(device=stage.device.name, burn="soak", case="", verdict=Verdict.SKIPPED, code="unsupported",
                   message="; ".join(reasons))


def _together(stage: Stage, lanes: Sequence[tuple[str, Callable[[], None]]]) -> Iterator[Record]:
    """Run each lane in a thread of its own and hand on what they record; raises what a lane raised."""
    broken: list[BaseException] = []
    threads = [Thread(target=_guarded, args=(stage, lane, broken), name=case, daemon=True) for case, lane in lanes]
    told: set[str] = set()
    for thread in threads:
        thread.start()
    try:
        for record in _until_over(stage, threads):
            if isinstance(record, Point | Problem):
                told.add(record.case)
            yield record
    finally:
        stage.over.set()
        stage.hot.set()
    if broken:
        raise broken[0]
    for case, _ in lanes:
        if case not in told:
            yield stopped(stage.device, "soak", case)


def _guarded(stage: Stage, lane: Callable[[], None], broken: list[BaseException]) -> None:
    try:
        lane()
    except Exception as why:  # noqa: BLE001 - a lane is a thread's boundary; `_together` raises it again in the burn
        broken.append(why)
        stage.over.set()
        stage.hot.set()


def _until_over(stage: Stage, threads: Sequence[Thread]) -> Iterator[Record]:
    """Records as they come, until all lanes have left, or a stop was not followed in `STOP_SECONDS`."""
    task, clock = stage.task, stage.device.clock
    end = clock.now() + task.seconds
    asked_at: float | None = None
    while any(thread.is_alive() for thread in threads) or not stage.records.empty():
        if task.num_ranks == 1 and stage.warm.is_set():
            stage.hot.set()  # with several ranks, when all are
        if task.stop() or (task.num_ranks == 1 and clock.now() >= end):
            stage.over.set()
            stage.hot.set()
        if task.stop():
            asked_at = asked_at or time.monotonic()
            if time.monotonic() - asked_at > STOP_SECONDS:
                yield _stuck(stage, [thread.name for thread in threads if thread.is_alive()])
                return
        try:
            yield stage.records.get(timeout=_POLL_SECONDS)
        except Empty:
            continue


def _stuck(stage: Stage, cases: Sequence[str]) -> Problem:
    return Problem(device=stage.device.name, burn="soak", case="", verdict=Verdict.INCONCLUSIVE, code="stopped",
                   message=f"stopped while {', '.join(cases)} on {stage.device.name} had not ended after "
                           f"{STOP_SECONDS:g} s: most likely it waits for a rank that is gone")
