"""Every test here drills a real daemon, which is gone afterwards."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from watched import Watched


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.drill)


@pytest.fixture
def make_watched(tmp_path: Path) -> Iterator[Callable[..., Watched]]:
    """Makes places for daemons; nothing is started yet."""
    with ExitStack() as stack:

        def make(**settings: Any) -> Watched:
            made = Watched(**{"folder": tmp_path, **settings})
            stack.callback(made.end)
            return made

        yield make


@pytest.fixture
def watched(make_watched: Callable[..., Watched]) -> Watched:
    """Eight healthy simulated GPUs, a file as kernel log, and a daemon that runs."""
    made = make_watched()
    made.start()
    return made
