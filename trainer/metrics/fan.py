"""Hands each record to every sink of this rank. A sink that fails costs its own figures, never the training."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Protocol

from trainer.metrics.record import Record


class Sink(Protocol):
    """Takes records."""

    def write(self, record: Record) -> None:
        """One of them, in order of time. May raise OSError: the disk is full, or the terminal is gone."""
        ...

    def close(self) -> None:
        """No more come. May raise OSError."""
        ...


class Metrics:
    """All sinks of one rank. Files are rank 0's; the daemon of its node hears each rank."""

    def __init__(
        self,
        sinks: Sequence[Sink],
        *,
        watch: Callable[[str], AbstractContextManager[None]] | None = None,
        complain: Callable[[str], None] | None = None,
    ) -> None:
        """`watch` is entered with each section of a step; `complain` hears once what fails, and that it works again."""
        self._sinks = list(sinks)
        self._watch = watch
        self._complain = complain
        self._failing: set[Sink] = set()

    def add(self, sink: Sink) -> None:
        """One more: it may write records itself, to all that were there before it and to itself."""
        self._sinks.append(sink)

    def section(self, name: str) -> AbstractContextManager[None]:
        """What this rank is in from now on, for whoever looks for a hang."""
        return self._watch(name) if self._watch else nullcontext()

    def write(self, record: Record) -> None:
        """To all of them. May be called from within a sink."""
        for sink in self._sinks:
            try:
                sink.write(record)
            except OSError as error:
                if sink not in self._failing:
                    self._failing.add(sink)
                    self._say(f"{_name(sink)} can't be written ({error.strerror or error}); training goes on")
            else:
                if sink in self._failing:
                    self._failing.remove(sink)
                    self._say(f"{_name(sink)} is written again")

    def close(self) -> None:
        """All of them, the last one first."""
        for sink in reversed(self._sinks):
            with suppress(OSError):  # said already, while it was written
                sink.close()

    def _say(self, line: str) -> None:
        if self._complain:
            with suppress(OSError):  # nobody is left to hear it
                self._complain(line)


def _name(sink: Sink) -> str:
    """For a person."""
    return str(getattr(sink, "name", type(sink).__name__))
