"""Serves the API inside the daemon's own event loop, until it is stopped.

server = ApiServer(service, settings.socket, tcp=settings.tcp)
await server.start()      # UsageError when it can't listen
...
await server.stop()       # ends streams and waits, finishes answers, removes the socket
"""

import asyncio
import contextlib
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from watchdog.api.app import make_app
from watchdog.api.connections import limited_by
from watchdog.api.limits import ApiLimits
from watchdog.api.listening import BACKLOG, Tcp, read_tcp, tcp_socket, unix_socket
from watchdog.service import Service
from watchdog.settings import TcpSettings
from watchdog.vocabulary.errors import UsageError

STOP_SECONDS = 3
"""For answers that are under way at the end; after it they are cut off."""


class _Quiet(uvicorn.Server):
    """Leaves signals to the daemon, and sleeps until it is stopped, where uvicorn would look ten times a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.stopped = asyncio.Event()

    async def main_loop(self) -> None:
        """Costs nothing."""
        await self.stopped.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """No handler is installed."""
        yield


class ApiServer:
    """The unix listener, and the TCP one where it is configured. For one event loop."""

    def __init__(
        self,
        service: Service,
        socket_path: Path,
        *,
        group: str = "",
        tcp: TcpSettings | None = None,
        limits: ApiLimits | None = None,
        render_metrics: Callable[[], str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._service = service
        self._path = socket_path
        self._group = group
        self._tcp = tcp or TcpSettings()
        self._limits = limits or ApiLimits()
        self._render_metrics = render_metrics
        self._clock = clock
        self._apps: list[FastAPI] = []
        self._servers: list[_Quiet] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._inode: int | None = None
        self.tcp_port: int | None = None
        """The port in use, when there is a TCP listener."""

    @property
    def rejected(self) -> Counter[int]:
        """Refused requests so far, by HTTP status."""
        return sum((app.state.context.rejected for app in self._apps), Counter())

    @property
    def connections(self) -> int:
        """How many are open."""
        return sum(len(server.server_state.connections) for server in self._servers)

    async def start(self) -> None:
        """Listen and serve; returns when connections are taken. Raises `UsageError`; then nothing is left behind."""
        tcp = read_tcp(self._tcp)  # what may be refused comes first
        remote = None if tcp is None else tcp_socket(tcp)
        try:
            local = unix_socket(self._path, self._group)
        except UsageError:
            if remote is not None:
                remote.close()
            raise
        self._inode = self._path.stat().st_ino
        self._serve(local, None)
        if remote is not None:
            self.tcp_port = remote.getsockname()[1]
            self._serve(remote, tcp)
        while not all(server.started for server in self._servers):
            await asyncio.wait(self._tasks, timeout=0.005, return_when=asyncio.FIRST_COMPLETED)
            for task in self._tasks:
                if task.done():
                    task.result()

    async def wait(self) -> None:
        """Return when it was stopped; raises what broke it."""
        await asyncio.gather(*self._tasks)

    async def stop(self) -> None:
        """End streams, finish the answers under way, close, and remove the socket's file. Harmless when stopped."""
        for app in self._apps:
            app.state.context.stopping.set()
        for server in self._servers:
            server.stopped.set()
        await asyncio.gather(*self._tasks)
        with contextlib.suppress(FileNotFoundError):
            if self._path.lstat().st_ino == self._inode:  # else it is already the next daemon's
                self._path.unlink()
        self._inode = None

    def _serve(self, own: socket.socket, tcp: Tcp | None) -> None:
        token = None if tcp is None else tcp.token
        app = make_app(
            self._service, token=token, limits=self._limits, render_metrics=self._render_metrics, clock=self._clock
        )
        config = uvicorn.Config(
            app,
            http=limited_by(self._limits),
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",  # peers can cause warnings as often as they like
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=STOP_SECONDS,
        )
        config.load()
        config.ssl = None if tcp is None else tcp.tls
        server = _Quiet(config)
        self._apps.append(app)
        self._servers.append(server)
        self._tasks.append(asyncio.create_task(server.serve([own]), name="api"))
