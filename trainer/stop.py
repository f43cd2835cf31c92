"""Signals as the wish to save and end. The second one ends the process at once."""

import os
import signal
from types import FrameType

from trainer.agreement import STOPS


class Stop:
    """Listens from its making on."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        """The one that came; None: none has."""
        for number in STOPS:
            signal.signal(number, self._hear)

    def _hear(self, number: int, _: FrameType | None) -> None:
        if self.signal is not None:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self.signal = signal.Signals(number)
