"""A bar on a terminal while something long is made; nothing elsewhere."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import track

Item = TypeVar("Item")


def shown(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    """Go through `items`; on a terminal with a bar on standard error, gone at the end."""
    console = Console(stderr=True)
    yield from track(
        items, total=total, description=what, console=console, transient=True, disable=not console.is_terminal
    )
