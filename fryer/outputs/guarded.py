"""An output that can fail without taking the run with it: what was measured is judged and kept all the same."""

from collections.abc import Callable

from fryer.evidence import DeviceInfo
from fryer.outputs import Output
from fryer.records import Record
from fryer.result import RunInfo, RunResult
from watchdog.collectors.readings import GpuReading


class Guarded:
    """Passes everything on until writing fails once; then it is silent, and `error` says why."""

    def __init__(self, output: Output, when_nobody_reads: Callable[[], None]) -> None:
        """`when_nobody_reads` is called when the reader of a pipe has gone: nobody waits for the rest."""
        self.error: OSError | None = None
        self._output = output
        self._when_nobody_reads = when_nobody_reads

    def start(self, info: RunInfo) -> None:
        """See `Output`."""
        self._try(lambda: self._output.start(info))

    def node(self, node: str, devices: tuple[DeviceInfo, ...]) -> None:
        """See `Output`."""
        self._try(lambda: self._output.node(node, devices))

    def phase(self, node: str, burn: str, seconds: float) -> None:
        """See `Output`."""
        self._try(lambda: self._output.phase(node, burn, seconds))

    def record(self, node: str, record: Record) -> None:
        """See `Output`."""
        self._try(lambda: self._output.record(node, record))

    def reading(self, node: str, device: str, reading: GpuReading) -> None:
        """See `Output`."""
        self._try(lambda: self._output.reading(node, device, reading))

    def finish(self, result: RunResult) -> None:
        """See `Output`."""
        self._try(lambda: self._output.finish(result))

    def close(self) -> None:
        """See `Output`; a terminal that is gone can't be given back."""
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
