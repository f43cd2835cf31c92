"""The child's side of the NVML reader: it may block in the driver for ever, and be killed at any moment.

Messages to the parent, in the order of a look: an index before each GPU that it turns to, then that GPU's reading; a
tuple of Xids; None at the end. At the start likewise: an index, then that GPU's UUID; once more, then its identity; and
None. An error ends it.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from watchdog.clock import RunClock
from watchdog.simulator.node import SimulatedNode
from watchdog.vocabulary.errors import FryerError, SourceFailed

if TYPE_CHECKING:
    from watchdog.collectors.nvml import NvmlReader

_PR_SET_PDEATHSIG = 1
"""linux/prctl.h"""


@dataclass(frozen=True, slots=True)
class Setup:
    """The parent's first message."""

    clock: RunClock
    simulated: SimulatedNode | None
    known: tuple[str, ...]
    """UUIDs by index from an earlier child: then identities are not asked for again, as one GPU may block."""
    skip: tuple[int, ...] = ()
    """Indices that blocked when an earlier child asked for their identity."""


@dataclass(frozen=True, slots=True)
class Ask:
    """The parent's message for one look: indices of the GPUs to read."""

    first: tuple[int, ...]
    last: tuple[int, ...] = ()
    """Those that did not answer before: read when everything else has been said."""


def serve(connection: Connection) -> None:
    """Answer looks until the parent is gone."""
    try:
        setup = connection.recv()
        reader = _open(setup)
        for message in _hello(reader, setup):
            connection.send(message)
        while True:
            ask = connection.recv()
            for message in _look(reader, setup.clock, ask):
                connection.send(message)
    except (EOFError, OSError):
        return  # the parent is gone
    except FryerError as error:
        connection.send(error)
    except Exception as error:  # noqa: BLE001 - the boundary of the process: the parent tells the person
        connection.send(SourceFailed(f"the NVML reader failed: {error!r}"))


def _open(setup: Setup) -> "NvmlReader":
    if setup.simulated is not None:
        from watchdog.simulator.library import install  # noqa: PLC0415 - pynvml belongs to the child

        install(setup.simulated)
    from watchdog.collectors.nvml import NvmlReader  # noqa: PLC0415 - likewise

    reader = NvmlReader(setup.known)
    reader.open()
    return reader


def _hello(reader: "NvmlReader", setup: Setup) -> Iterator[object]:
    """All UUIDs before any identity: they ask little of the driver, so a GPU that blocks may have told its own."""
    indices = [index for index in range(0 if setup.known else len(reader.uuids)) if index not in setup.skip]
    for tell in (reader.name, reader.identity):
        for index in indices:
            yield index
            yield tell(index)
    yield None


def _look(reader: "NvmlReader", clock: RunClock, ask: Ask) -> Iterator[object]:
    for index in ask.first:
        yield index
        yield reader.read_one(index, clock.now())
    yield reader.xids(clock.now())
    for index in ask.last:
        yield index
        yield reader.read_one(index, clock.now())
    yield None


def main(descriptor: int, parent: int) -> None:
    """Be the child of process `parent`, over an inherited socket. Ends with its parent, even inside a driver call."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # a stop of the whole group is the parent's to handle
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == parent:  # else it died before the call above
        serve(Connection(descriptor))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
