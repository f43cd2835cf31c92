"""The real server over a fake service, in a thread with an event loop of its own."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
from fake_service import FakeService

from watchdog.api.server import ApiServer

T = TypeVar("T")


class Served:
    """A server under test."""

    def __init__(self, path: Path, service: FakeService, loop: asyncio.AbstractEventLoop, server: ApiServer) -> None:
        self.path, self.service, self.server, self._loop = path, service, server, loop
        self.http = httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://fryer", timeout=20)

    def call(self, do: Callable[[], T]) -> T:
        """Run `do` in the server's loop."""

        async def run() -> T:
            return do()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)

    def publish(self, **changed: Any) -> None:
        self.call(lambda: self.service.publish(**changed))

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self.server.stop(), self._loop).result(10)

    def connect(self) -> socket.socket:
        """A raw connection."""
        end = socket.socket(socket.AF_UNIX)
        end.settimeout(20)
        end.connect(str(self.path))
        return end

    def exchange(self, sent: bytes) -> bytes:
        """Send bytes as they are; what came until the server closed."""
        with self.connect() as end:
            end.sendall(sent)
            return read_all(end)


def wait_until(happened: Callable[[], object], seconds: float = 20.0) -> None:
    """Returns once it did; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.002)


def read_all(end: socket.socket) -> bytes:
    """Until the other side closes; a reset counts as that."""
    answer = b""
    try:
        while chunk := end.recv(1 << 16):
            answer += chunk
    except ConnectionResetError:
        pass
    return answer


@contextmanager
def serving(path: Path, service: FakeService | None = None, **options: Any) -> Iterator[Served]:
    """Listens until the end of the block."""
    service = service or FakeService()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        server = ApiServer(service, path, **options)
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(20)
        served = Served(path, service, loop, server)
        try:
            yield served
        finally:
            served.http.close()
            served.stop()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
