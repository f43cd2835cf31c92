"""A worker's two ends of the wire: orders that come on stdin, messages that go to stdout.

From `open_channel` on, both descriptors are the protocol's alone and no child inherits them: what libraries print goes
to stderr, and the end of a worker is the end of its stdout, whatever it started.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator

from fryer.fleet import beat
from fryer.fleet.orders import Message, Order
from fryer.fleet.wire import ORDERS, Noise, Reader, Unreadable, encode

READ_BYTES = 65536


class Channel:
    """Messages out, from any thread; orders in, from one thread."""

    def __init__(self, orders: int, messages: int, piece_bytes: int) -> None:
        """File descriptors to read from and to write to. A line over `piece_bytes` goes in pieces."""
        self._orders = orders
        self._messages = messages
        self._piece_bytes = piece_bytes
        self._lock = threading.Lock()
        self._serial = 0
        self.is_broken = False
        """Nobody reads the messages any more."""
        self._heard_at: float | None = None
        """When something last came, `time.monotonic`; None before the first beat."""

    @property
    def is_abandoned(self) -> bool:
        """A controller that beat has fallen silent: the connection is cut."""
        heard = self._heard_at
        return heard is not None and time.monotonic() - heard > beat.ABANDONED_SECONDS

    def say(self, message: Message) -> None:
        """Write `message` whole; blocks while the reader does not read. Silent once nobody reads any more."""
        with self._lock:
            self._serial += 1
            text = "".join(f"{line}\n" for line in encode(message, self._piece_bytes, self._serial))
            try:
                _write_all(self._messages, text.encode("ascii"))
            except OSError:  # the pipe's reader is gone
                self.is_broken = True

    def listen(self, when_unreadable: Callable[[Unreadable], None]) -> Iterator[Order]:
        """Orders as they come, until there are no more to come. What is no order is passed over."""
        reader = Reader(ORDERS)
        rest = b""
        while True:
            try:
                read = os.read(self._orders, READ_BYTES)
            except OSError:  # stdin was closed under us: no more orders either
                return
            if not read:
                return
            *lines, rest = (rest + read).split(b"\n")
            if self._heard_at is not None or b"" in lines:
                self._heard_at = time.monotonic()
            for line in lines:
                match reader.read(line.decode("utf-8", "replace")):
                    case Unreadable() as unreadable:
                        when_unreadable(unreadable)
                    case Noise() | None:
                        continue
                    case order:
                        yield order


def open_channel(piece_bytes: int) -> Channel:
    """Take stdin and stdout for the protocol; in their places are /dev/null and stderr."""
    orders, messages = os.dup(0), os.dup(1)  # not inheritable
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return Channel(orders, messages, piece_bytes)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
