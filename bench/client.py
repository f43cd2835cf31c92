"""What the client costs a training step, with the daemon up, down, and stopped."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.show import show
from watchdog.client import NONE, Client

STEPS = 3000
STEP_SECONDS = 0.001
"""Of other work between two steps; the client's threads run meanwhile, and in the way when it is none."""
SERVE = Path(__file__).parents[1] / "tests" / "fakes" / "serve_fake.py"


def main() -> None:
    """Microseconds of one section, one step and one poll."""
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder) / "w.sock") as process:
        up = Path(folder) / "w.sock"
        for name, path in (("up", up), ("down", Path(folder) / "nobody.sock"), ("stopped", up)):
            if name == "stopped":
                os.kill(process.pid, signal.SIGSTOP)
            show(f"client, daemon {name}: section + step + poll, us", costs(path, waits=True), "budget <= 50")
            show(f"client, daemon {name}: the same without a pause, us", costs(path, waits=False), "budget <= 50")


def costs(path: Path, *, waits: bool) -> list[float]:
    """Microseconds of each step."""
    client = Client(run="bench", socket_path=path)
    client.begin()
    values = []
    for step in range(STEPS):
        began = time.perf_counter()
        with client.section("forward"):
            pass
        client.step(step, tokens=4096, loss=2.0, grad_norm=1.0, lr=1e-4)
        assert client.poll() is NONE
        values.append((time.perf_counter() - began) * 1e6)
        if waits:
            time.sleep(STEP_SECONDS)
    client.end(wait_seconds=0.0)
    return values


@contextmanager
def serving(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The real API in a process of its own; killed at the end."""
    process = subprocess.Popen([sys.executable, SERVE, path], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process:
        try:
            assert process.stdout.readline() == b"ready\n"
            yield process
        finally:
            process.kill()
