"""One connection: how many there may be, how slow its head may come, how slowly its answer may be read.

Builds on uvicorn's h11 protocol, which has none of these limits. What is refused here is answered in JSON too.
"""

import asyncio
import socket
import struct
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from watchdog.api.errors import Refusal
from watchdog.api.limits import ApiLimits

_UCRED = struct.Struct("3i")
"""Of SO_PEERCRED (socket(7)): pid, uid, gid."""
ABORT_SECONDS = 10.0
"""From the end of the last answer until a peer that does not read it is cut off."""


class LimitedProtocol(H11Protocol):
    """Made by uvicorn for each connection; `limited_by` binds the limits."""

    limits = ApiLimits()

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Name the peer by its process, where it has no address; refuse it when there are too many."""
        super().connection_made(transport)
        if transport.get_extra_info("socket").family == socket.AF_UNIX:
            self.client = (_process_of(transport), 0)
        if len(self.connections) > self.limits.connections:
            text = f"{self.limits.connections} connections are open, which is the most"
            self._end_with(Refusal(429, text, "close those that you do not use"))
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers."""
        self._forget_head()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes of a head, while no request runs, or of a body."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        cycle = getattr(self, "cycle", None)  # None before the first request, though uvicorn types it otherwise
        if self.transport.is_closing() or not (cycle is None or cycle.response_complete):
            self._forget_head()
        elif self._head_timer is None:
            self._await_head()

    def pause_writing(self) -> None:
        """The peer does not read as fast as it is answered."""
        super().pause_writing()
        self._write_timer = self.loop.call_later(self.limits.write_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """It caught up."""
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def on_response_complete(self) -> None:
        """A peer that never reads would otherwise hold a closing connection for ever."""
        super().on_response_complete()
        if self.transport.is_closing():
            self.loop.call_later(ABORT_SECONDS, self.transport.abort)

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP."""
        self._end_with(Refusal(400, msg.removesuffix("."), "speak HTTP/1.1; heads are at most 64 KiB"))

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(self.limits.head_seconds, self._head_is_late)

    def _forget_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        text = f"no whole request within {self.limits.head_seconds:g} s"
        self._end_with(Refusal(408, text, "send it again, on a new connection"))

    def _end_with(self, refusal: Refusal) -> None:
        """Answer past h11, which may be in any state, and close."""
        if self.transport.is_closing():
            return
        self._forget_head()
        body = bytes(refusal.response.body)
        head = f"HTTP/1.1 {refusal.status} Refused\r\ncontent-type: application/json\r\nconnection: close\r\n"
        self.transport.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        self.transport.close()
        self.loop.call_later(ABORT_SECONDS, self.transport.abort)


def limited_by(limits: ApiLimits) -> type[LimitedProtocol]:
    """The protocol with these limits."""
    return type("BoundProtocol", (LimitedProtocol,), {"limits": limits})


def _process_of(transport: asyncio.Transport) -> str:
    """``pid 1234`` of the other end of a unix socket; 0 when it is in a namespace that we don't see into."""
    end = transport.get_extra_info("socket")
    pid, _, _ = _UCRED.unpack(end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return f"pid {pid}"
