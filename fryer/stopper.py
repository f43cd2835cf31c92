"""Turns signals into the wish to end a run early. Light: it is there before anything heavy is loaded."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Self

_STOPS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGHUP"}


class Stopper:
    """Whether the run is to end early, and why. What was measured until then is judged and kept."""

    def __init__(self) -> None:
        """Nothing has asked for a stop yet."""
        self.reason: str | None = None
        self.is_urgent = False
        """Asked twice: nothing is waited for any more."""

    @contextmanager
    def listening(self) -> Iterator[Self]:
        """Within it, Ctrl-C, SIGTERM and SIGHUP stop the run cleanly; the third one is the system's to act on."""
        before = {number: signal.signal(number, self._hear) for number in _STOPS}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def stop(self, reason: str) -> None:
        """Ask for an end; the first reason counts."""
        self.is_urgent = self.reason is not None
        self.reason = self.reason or reason

    def _hear(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.is_urgent:
            signal.signal(number, signal.SIG_DFL)
        self.stop(_STOPS[signal.Signals(number)])
