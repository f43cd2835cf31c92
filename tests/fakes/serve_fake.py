"""Serve the real API over a fake service on the unix socket that is named, until the process is killed."""

import asyncio
import sys
from pathlib import Path

from fake_service import FakeService

from watchdog.api.server import ApiServer


async def serve(path: Path) -> None:
    """Says ``ready`` on stdout once it listens."""
    server = ApiServer(FakeService(), path)
    await server.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await server.wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
