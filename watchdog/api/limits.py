"""How much one peer may ask, and how long it may take. The bucket reads no clock."""

from collections import OrderedDict
from dataclasses import dataclass

from watchdog.vocabulary.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiLimits:
    """Of one listener. Eight ranks that post each second and wait for signals use about 10 requests a second in all."""

    body_bytes: int = 1 << 20
    """A thousand steps with all their times are about 400 kB."""
    buffered_bytes: int = 16 << 20
    """Of bodies held at once, over all connections, so that memory stays within the daemon's budget."""
    head_seconds: float = 10.0
    """From the first byte of a request, or from the connection, to the end of its headers."""
    body_seconds: float = 10.0
    write_seconds: float = 30.0
    """A reader whose buffer stays full for so long is cut off."""
    requests_per_second: float = 100.0
    """Sustained, per peer: a process on the unix socket, an address on TCP."""
    burst: int = 400
    connections: int = 256
    streams: int = 32
    heartbeat_seconds: float = 10.0
    """Between signs of life on a stream in which nothing changes."""
    wait_seconds: float = 30.0
    """Longest wait for a signal in one request."""
    stale_seconds: float = 60.0
    """A published state older than this says nothing: UNKNOWN."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) <= 0:
                raise UsageError(f"api limit {name} = {getattr(self, name)}: must be above 0")


class TokenBuckets:
    """A token bucket per peer: `burst` requests at once, `per_second` sustained. Not for two threads."""

    MOST_PEERS = 1024
    """The peer not seen for longest is forgotten beyond this, and starts again with a full bucket."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second = per_second
        self._burst = float(burst)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, peer: str, now: float) -> float:
        """Take one token at `now` (monotonic seconds); returns 0, or the seconds after which there is one again."""
        tokens, at = self._buckets.pop(peer, (self._burst, now))
        tokens = min(self._burst, tokens + max(0.0, now - at) * self._per_second)
        wait = 0.0 if tokens >= 1.0 else (1.0 - tokens) / self._per_second
        self._buckets[peer] = (tokens if wait else tokens - 1.0, now)
        if len(self._buckets) > self.MOST_PEERS:
            self._buckets.popitem(last=False)
        return wait
