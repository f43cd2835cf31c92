"""Waiting for the next published state, with a time limit and an end."""

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self

from watchdog.api.context import Context
from watchdog.state import State


class Follower:
    """Follows the states of a service from the moment it is entered; misses none that come while its user is busy."""

    def __init__(self, context: Context) -> None:
        self._stopping = asyncio.ensure_future(context.stopping.wait())
        self._states: AsyncIterator[State] = context.service.changes()
        self._next = asyncio.ensure_future(anext(self._states))
        self.is_over = False
        """The daemon stops: nothing more comes."""

    async def __aenter__(self) -> Self:
        await asyncio.sleep(0)  # lets anext() run up to its subscription: what is published from here on is seen
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        for task in (self._next, self._stopping):
            task.cancel()
        await asyncio.gather(self._next, self._stopping, return_exceptions=True)

    async def next(self, seconds: float, *others: "asyncio.Future[None]") -> State | None:
        """The next state; None after `seconds`, when one of `others` is done, or when it is over."""
        waited: set[asyncio.Future[Any]] = {self._next, self._stopping, *others}
        await asyncio.wait(waited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if self._stopping.done():
            self.is_over = True
            return None
        if not self._next.done():
            return None
        try:
            state = self._next.result()
        except StopAsyncIteration:
            self.is_over = True
            return None
        self._next = asyncio.ensure_future(anext(self._states))
        return state
