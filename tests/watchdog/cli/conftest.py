"""A real ``fryer watch`` over simulated GPUs: started once a file of tests, ended with it."""

import os
from collections.abc import Iterator

import pytest
from commanded import Daemon, end, start


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Eight healthy simulated GPUs of node001 and a FIFO as their kernel log."""
    folder = tmp_path_factory.mktemp("d")
    os.mkfifo(folder / "fifo")
    started = start(folder, folder / "fifo", "--simulate", "healthy")
    yield started
    end(started)
