"""A fleet's output that can fail without taking the run with it: what was measured is judged and kept all the same."""

from collections.abc import Callable

from fryer.fleet.orders import Message
from fryer.localise import Round
from fryer.outputs.fleet import FleetOutput
from fryer.result import RunInfo, RunResult


class FleetGuarded:
    """Passes everything on until writing fails once; then it is silent, and `error` says why."""

    def __init__(self, output: FleetOutput, when_nobody_reads: Callable[[], None]) -> None:
        """`when_nobody_reads` is called when the reader of a pipe has gone: nobody waits for the rest."""
        self.error: OSError | None = None
        self._output = output
        self._when_nobody_reads = when_nobody_reads

    def start(self, info: RunInfo) -> None:
        """See `FleetOutput`."""
        self._try(lambda: self._output.start(info))

    def state(self, node: str, state: str, why: str = "") -> None:
        """See `FleetOutput`."""
        self._try(lambda: self._output.state(node, state, why))

    def message(self, message: Message) -> None:
        """See `FleetOutput`."""
        self._try(lambda: self._output.message(message))

    def round(self, this: Round) -> None:
        """See `FleetOutput`."""
        self._try(lambda: self._output.round(this))

    def sweep(self, scope: str, groups: tuple[tuple[str, ...], ...], what: str) -> None:
        """See `FleetOutput`."""
        self._try(lambda: self._output.sweep(scope, groups, what))

    def finish(self, result: RunResult) -> None:
        """See `FleetOutput`."""
        self._try(lambda: self._output.finish(result))

    def close(self) -> None:
        """See `FleetOutput`; a terminal that is gone can't be given back."""
        self._try(self._output.close)

    def _try(self, write: Callable[[], None]) -> None:
        if self.error is not None:
            return
        try:
            write()
        except BrokenPipeError as error:
            self.error = error
            self._when_nobody_reads()
        except OSError as error:
            self.error = error
