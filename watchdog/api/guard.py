"""Before any route: rate, token, and the body, read whole within its limits of size and time.

ASGI in, ASGI out. A refused request is answered before its body is parsed; the token is compared in constant time and
never written anywhere.
"""

import asyncio
import hmac
import logging
import time
from collections.abc import MutableMapping
from math import ceil
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from watchdog.api.context import Context
from watchdog.api.errors import Refusal
from watchdog.api.limits import TokenBuckets

log = logging.getLogger(__name__)

OPEN_PATHS = frozenset({"/healthz"})
"""Answered without a token, for load balancers."""
LINGER_SECONDS, LINGER_BYTES = 1.0, 16 << 20
"""How much of the rest of a refused body is read and thrown away, so that its sender comes to read the answer."""


class _Gone(Exception):  # noqa: N818
    """The peer left before its body was whole."""


class Guard:
    """Middleware; one per application."""

    def __init__(self, app: ASGIApp, *, context: Context, token: str | None) -> None:
        self._app = app
        self._context = context
        self._limits = context.limits
        self._token = None if token is None else token.encode()
        self._buckets = TokenBuckets(self._limits.requests_per_second, self._limits.burst)
        self._buffered_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a refusal, or hand the request on with its body read."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = bytearray()
        try:
            self._admit(scope)
            await self._read(receive, body)
            await self._answer(scope, _replay(bytes(body), receive), send)
        except _Gone:
            return
        except Refusal as refusal:
            self._context.rejected[refusal.status] += 1
            await _refuse(refusal, scope, receive, send)
        finally:
            self._buffered_bytes -= len(body)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application's answer, or a 500 in its place."""
        is_begun = False

        async def noting_send(message: Message) -> None:
            nonlocal is_begun
            is_begun = True
            await send(message)

        try:
            await self._app(scope, receive, noting_send)
        except Exception:  # the boundary of one request: its connection, and every other request, go on
            log.exception("request failed method=%s path=%s", scope["method"], scope["path"])
            self._context.rejected[500] += 1
            if is_begun:
                raise
            hint = "its log has the traceback; please report it"
            await Refusal(500, "the daemon failed to answer", hint).response(scope, receive, send)

    def _admit(self, scope: Scope) -> None:
        """Raise a `Refusal` by what the head says."""
        peer = scope.get("client") or ("unknown", 0)
        wait = self._buckets.take(str(peer[0]), time.monotonic())
        if wait:
            text = f"more than {self._limits.requests_per_second:g} requests a second"
            seconds = str(ceil(wait))
            raise Refusal(429, text, f"go on after {seconds} s, and post in batches", {"Retry-After": seconds})
        headers = dict(scope["headers"])
        if self._token is not None and scope["path"] not in OPEN_PATHS:
            self._check_token(headers.get(b"authorization", b""))
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length[:20]) > self._limits.body_bytes:
            raise self._too_large()

    def _check_token(self, given: bytes) -> None:
        assert self._token is not None
        scheme, _, token = given.partition(b" ")
        if scheme.lower() != b"bearer" or not hmac.compare_digest(token.strip(), self._token):
            hint = "send the header 'Authorization: Bearer TOKEN' with the daemon's token"
            raise Refusal(401, "no token, or not this daemon's", hint, {"WWW-Authenticate": "Bearer"})

    async def _read(self, receive: Receive, body: bytearray) -> None:
        """Fill `body`, whose bytes count as buffered until the request is over."""
        limits = self._limits
        try:
            async with asyncio.timeout(limits.body_seconds):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Gone
                    chunk = message.get("body", b"")
                    body += chunk
                    self._buffered_bytes += len(chunk)
                    if len(body) > limits.body_bytes:
                        raise self._too_large()
                    if self._buffered_bytes > limits.buffered_bytes:
                        raise self._too_many_bytes()
                    more = message.get("more_body", False)
        except TimeoutError as error:
            text = f"the body did not come within {limits.body_seconds:g} s"
            raise Refusal(408, text, "send it again, on a new connection", {"Connection": "close"}) from error

    def _too_many_bytes(self) -> Refusal:
        headers = {"Connection": "close", "Retry-After": "1"}
        return Refusal(429, "too many large requests at once", "send it again after a second", headers)

    def _too_large(self) -> Refusal:
        text = f"the body is larger than {self._limits.body_bytes} bytes"
        return Refusal(413, text, "send fewer records in one request", {"Connection": "close"})


def _replay(body: bytes, receive: Receive) -> Receive:
    """A receive that gives the body that was read, then what comes after it."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return messages.pop() if messages else await receive()

    return again


async def _refuse(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer, then read on for a moment: a peer that is still sending would see a reset instead of the answer."""

    async def send_open(message: MutableMapping[str, Any]) -> None:
        await send({**message, "more_body": True} if message["type"] == "http.response.body" else message)

    await refusal.response(scope, receive, send_open)
    is_sending = not any(name == b"expect" for name, _ in scope["headers"])
    num_bytes = 0
    try:
        async with asyncio.timeout(LINGER_SECONDS):
            while is_sending and num_bytes < LINGER_BYTES:
                message = await receive()
                num_bytes += len(message.get("body", b""))
                is_sending = message["type"] == "http.request" and message.get("more_body", False)
    except TimeoutError:
        pass  # the connection is closed on it
    await send({"type": "http.response.body", "body": b"", "more_body": False})
