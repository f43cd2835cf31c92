"""Signals as the wish to save and end. The second one ends the process at once, also where it hangs.

Python runs handlers between the steps of its main thread: one that waits in a collective for a rank that is gone never
gets to them. So the kernel's note of a signal goes through a pipe to a thread that does nothing else.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

from trainer import codes

STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
"""That ask for an end. SIGUSR1 is what Slurm's ``--signal`` sends some time before the limit."""
SAME_REQUEST_SECONDS = 1.0
"""Signals that come closer together are one request: a scheduler sends to every process of a job, and the launcher,
which got it too, passes it on."""


class Stop:
    """Listens from its making on, which is the main thread's. One a process."""

    def __init__(self, told: Callable[[str], None] | None = None) -> None:
        """`told` hears of the first signal, in a sentence, from another thread."""
        self.signal: signal.Signals | None = None
        """The one that came; None: none has."""
        self._told = told
        self._heard_at = 0.0
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        # a full pipe holds more signals than anybody needs
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        for number in STOPS:
            signal.signal(number, _unheard)
        os.register_at_fork(before=_hold, after_in_parent=_release, after_in_child=_as_before)
        threading.Thread(target=self._listen, args=(reading,), name="stop", daemon=True).start()

    def _listen(self, reading: int) -> None:
        while numbers := os.read(reading, 64):
            for number in numbers:
                if number in STOPS:
                    self._hear(signal.Signals(number), time.monotonic())

    def _hear(self, number: signal.Signals, now: float) -> None:
        if self.signal is None:
            self.signal, self._heard_at = number, now
            if self._told:
                self._told(f"{number.name}: this step is ended and saved first; once more ends at once, without a save")
        elif now - self._heard_at >= SAME_REQUEST_SECONDS:
            os._exit(codes.after_signal(number))


def _unheard(_: int, __: FrameType | None) -> None:
    """The thread has heard it; without a handler of its own a signal would have its usual effect."""


_MASKS = threading.local()


def _hold() -> None:
    """Until a forked process has let go of the pipe: a signal to it would be told as one to its parent."""
    _MASKS.before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)


def _release() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _MASKS.before)


def _as_before() -> None:
    """A forked process is no rank: signals end it."""
    signal.set_wakeup_fd(-1)
    for number in STOPS:
        signal.signal(number, signal.SIG_DFL)
    _release()
