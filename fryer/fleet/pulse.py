"""Signs of life of a worker: a thread that says `Progress` while orders are carried out, and now and then while not."""

import threading
import time
from dataclasses import dataclass

from fryer.fleet.channel import Channel
from fryer.fleet.orders import Progress

PERIOD_SECONDS = 4.0
"""Within an order; a controller is promised one each 5 s."""
IDLE_SECONDS = 60.0
"""Between orders. It is written so that a connection whose other end is gone without a word is found to be: TCP gives
up what is not acknowledged within about 15 minutes (tcp(7), tcp_retries2), and never what is not sent."""
MOST_PROBLEMS = 20
MOST_CHARACTERS = 300


@dataclass(slots=True)
class _Doing:
    order: str = ""
    what: str = "waits for orders"
    since: float = 0.0
    problems: tuple[str, ...] = ()


class Pulse:
    """What the worker does, said each `PERIOD_SECONDS`. Its methods may be called from any thread."""

    def __init__(self, node: str, channel: Channel) -> None:
        self._node = node
        self._channel = channel
        self._lock = threading.Lock()
        self._doing = _Doing(since=time.monotonic())
        self._news = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)
        self._thread.start()

    def begin(self, order: str, what: str) -> None:
        """An order is carried out from now on."""
        with self._lock:
            self._doing = _Doing(order=order, what=what, since=time.monotonic())
        self._news.set()

    def rest(self) -> None:
        """No order is carried out any more."""
        with self._lock:
            self._doing = _Doing(since=time.monotonic())

    def at(self, what: str) -> None:
        """The order has come to this."""
        with self._lock:
            self._doing.what = what

    def trouble(self, problem: str) -> None:
        """A clear failure; said at once, the first `MOST_PROBLEMS` of an order."""
        with self._lock:
            known = self._doing.problems
            if len(known) >= MOST_PROBLEMS or problem[:MOST_CHARACTERS] in known:
                return
            self._doing.problems = (*known, problem[:MOST_CHARACTERS])
        self._news.set()

    def _run(self) -> None:
        while not self._channel.is_broken:
            self._news.wait(PERIOD_SECONDS if self._doing.order else IDLE_SECONDS)
            self._news.clear()
            self._channel.say(self._progress())

    def _progress(self) -> Progress:
        with self._lock:
            doing = self._doing
            seconds = round(time.monotonic() - doing.since, 3)
            return Progress(
                node=self._node, order=doing.order, what=doing.what, seconds=seconds, problems=doing.problems
            )
