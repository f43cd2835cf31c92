"""A clock of a step's named parts; what none of them claims is ``other``, so that they sum to the whole.

Steps lie end to end: what passes between the end of one and the begin of the next is the next one's, so that no second
of a run is in no step.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

PHASES = ("data", "forward_backward", "optimizer", "checkpoint", "evaluation")
OTHER = "other"


def _unwatched(_: str) -> AbstractContextManager[None]:
    return nullcontext()


class Phases:
    """Of one step at a time. A section within a section is taken off the outer one."""

    def __init__(
        self, clock: Callable[[], float], watch: Callable[[str], AbstractContextManager[None]] = _unwatched
    ) -> None:
        """`clock`: seconds that never go back. `watch` is entered with each section: it learns where a rank hangs."""
        self._clock = clock
        self._watch = watch
        self._open: list[str] = []
        self._spent: dict[str, float] = {}
        self._border = clock()
        self._is_first = True

    def begin(self) -> None:
        """A step begins. Before the first one, all that was is forgotten."""
        if self._is_first:
            self._spent, self._border = {}, self._clock()
        self._is_first = False

    @contextmanager
    def section(self, name: str) -> Iterator[None]:
        """What happens within it is `name`."""
        self._claim()
        self._open.append(name)
        try:
            with self._watch(name):
                yield
        finally:
            self._claim()
            self._open.pop()

    def end(self) -> tuple[float, dict[str, float]]:
        """Seconds of the step, and of its parts: their sum, added in their order, to the last bit."""
        self._claim()
        spent, self._spent = self._spent, {}
        return sum(spent.values()), spent

    def _claim(self) -> None:
        now = self._clock()
        name = self._open[-1] if self._open else OTHER
        self._spent[name] = self._spent.get(name, 0.0) + (now - self._border)
        self._border = now
