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

JOIN_SECONDS = 8.0
"""So much later than planned, on the run's clock, a soak may end whose ranks took their time to connect."""
STOP_SECONDS = 1.5
"""So long, on the machine's clock, lanes may take to leave after a stop; one that waits for a dead rank would not."""
LATE_SECONDS = 4.0
"""The same after the time is up. With `JOIN_SECONDS` it stays below the time at which a worker is killed."""
_POLL_SECONDS = 0.1


def run(devices: Sequence[Device], task: Task) -> Iterator[Record]:
    """Heat, then run all lanes that this device has until the time is over."""
    (device,) = devices
    join_seconds = JOIN_SECONDS if task.num_ranks > 1 else 0.0
    stage = Stage(
        device=device,
        task=task,
        latest_seconds=device.clock.now() + task.seconds + join_seconds,
        interval_seconds=min(POINT_SECONDS, (1 - HEAT_SHARE) * task.seconds / SHORT_INTERVALS),
    )
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
    return Problem(
        device=stage.device.name,
        burn="soak",
        case="",
        verdict=Verdict.SKIPPED,
        code="unsupported",
        message="; ".join(reasons),
    )


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
    """Records as they come, until all lanes have left, or one of them does not though it is time."""
    due_at: float | None = None
    while any(thread.is_alive() for thread in threads) or not stage.records.empty():
        if stage.task.stop() or stage.device.clock.now() >= stage.latest_seconds:
            due_at = due_at or time.monotonic()
            stage.over.set()
            stage.hot.set()
            if time.monotonic() - due_at > (STOP_SECONDS if stage.task.stop() else LATE_SECONDS):
                yield from _stuck(stage, [thread.name for thread in threads if thread.is_alive()])
                return
        try:
            yield stage.records.get(timeout=_POLL_SECONDS)
        except Empty:
            continue


def _stuck(stage: Stage, cases: Sequence[str]) -> Iterator[Problem]:
    """For each lane that has not left: nothing is wrong with it after a stop, and something is at the end."""
    is_stopped = stage.task.stop()
    for case in cases:
        yield Problem(
            device=stage.device.name,
            burn="soak",
            case=case,
            verdict=Verdict.INCONCLUSIVE if is_stopped else Verdict.ERROR,
            code="stopped" if is_stopped else "collective_timeout",
            message=f"{case} on {stage.device.name} had not ended {STOP_SECONDS if is_stopped else LATE_SECONDS:g} s "
            f"after it was {'stopped' if is_stopped else 'to end'}: most likely it waits for a rank that is "
            f"gone, or the device hangs",
        )
