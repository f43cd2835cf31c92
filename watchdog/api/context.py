"""What every route of one application shares."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from watchdog.api.limits import ApiLimits
from watchdog.service import Service


@dataclass(slots=True, kw_only=True)
class Context:
    """Changed by routes of one event loop only."""

    service: Service
    limits: ApiLimits
    clock: Callable[[], float]
    """Unix seconds, the daemon's own: signals expire by it."""
    render_metrics: Callable[[], str] | None
    rejected: Counter[int] = field(default_factory=Counter)
    """Refused requests by HTTP status."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the daemon stops: streams and waits end."""
    num_streams: int = 0
