"""States as server-sent events: the present one, then each change. A slow reader misses states, never holds any up."""

import asyncio

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from watchdog.api.context import Context
from watchdog.api.documents import render
from watchdog.api.errors import Refusal
from watchdog.api.following import Follower
from watchdog.api.states import state_document
from watchdog.state import State

HEARTBEAT = b": alive\n\n"
"""A comment, which readers of events pass over."""


class StateStream(Response):
    """Ends with its reader, or with the daemon."""

    media_type = "text/event-stream"

    def __init__(self, context: Context) -> None:
        super().__init__(headers={"Cache-Control": "no-store"})
        del self.headers["content-length"]
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until one of the two sides ends."""
        limits = self._context.limits
        if self._context.num_streams >= limits.streams:
            self._context.rejected[429] += 1
            refusal = Refusal(
                429, f"{limits.streams} streams are open, which is the most", "close one, or poll /v1/state"
            )
            await refusal.response(scope, receive, send)
            return
        self._context.num_streams += 1
        gone = asyncio.ensure_future(_until_gone(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await self._send_states(gone, send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._context.num_streams -= 1
            gone.cancel()

    async def _send_states(self, gone: "asyncio.Future[None]", send: Send) -> None:
        async with Follower(self._context) as follower:
            state: State | None = self._context.service.state
            while not (gone.done() or follower.is_over):
                body = HEARTBEAT if state is None else event_of(state)
                await send({"type": "http.response.body", "body": body, "more_body": True})
                state = await follower.next(self._context.limits.heartbeat_seconds, gone)


def event_of(state: State) -> bytes:
    """One server-sent event; JSON has no raw line breaks."""
    return b"event: state\ndata: " + render(state_document(state)) + b"\n\n"


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
