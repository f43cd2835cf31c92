"""The controller's own sign of life: an empty line to all workers now and then, which no reader takes for an order.

A connection that is cut tells its ends nothing. A worker that has once heard a beat and then hears nothing at all for
`ABANDONED_SECONDS` has lost its controller and ends, so that no GPU burns for nobody until TCP gives up (15 minutes).
"""

BEAT = "\n"
BEAT_SECONDS = 10.0
"""Between two beats, as far as the controller comes round to it."""
ABANDONED_SECONDS = 90.0
"""Longer than a controller is ever busy with something else (10 s for the verdict on 2,048 nodes), and than a network
takes to find another way. A controller that somebody suspends (Ctrl-Z) loses its workers too."""


class Beats:
    """When the next beat is due."""

    def __init__(self, now: float) -> None:
        self._last = now

    def is_due(self, now: float) -> bool:
        """Whether it is; then it counts as sent."""
        if now - self._last < BEAT_SECONDS:
            return False
        self._last = now
        return True
