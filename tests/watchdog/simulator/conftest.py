from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from watchdog.clock import RunClock
from watchdog.simulator.library import install, uninstall
from watchdog.simulator.node import SimulatedNode

HEAD = 'seed = 7\n[fleet]\nnodes = "node[001-002]"\nnoise = 0.01\n'


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], str]:
    """Write a scenario of two nodes with these faults; returns its path."""

    def write_one(faults: str, head: str = HEAD) -> str:
        path = tmp_path / "mine.toml"
        path.write_text(head + faults)
        return str(path)

    return write_one


@pytest.fixture
def driver(write: Callable[..., str]) -> Iterator[Callable[..., None]]:
    """Start pynvml on a scenario, `at` seconds after its beginning."""
    import pynvml

    def start(faults: str = "", *, at: float = 10.0, node: str = "node001", head: str = HEAD) -> None:
        clock = RunClock.start()
        install(SimulatedNode(write(faults, head), node, RunClock(origin=clock.origin - at)))
        pynvml.nvmlInit()

    yield start
    uninstall()
