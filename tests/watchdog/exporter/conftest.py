"""How tests read the page."""

from collections.abc import Callable

import pytest
from prometheus_client.parser import text_string_to_metric_families

from watchdog.exporter import render
from watchdog.state import State

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def _series(state: State) -> Series:
    found: Series = {}
    for family in text_string_to_metric_families(render(state)):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, "Prometheus refuses a page that has a series twice"
            found[key] = sample.value
    return found


@pytest.fixture(scope="session")
def series() -> Callable[[State], Series]:
    """Every series of a state by name and labels."""
    return _series


@pytest.fixture(scope="session")
def value() -> Callable[..., float | None]:
    """(state, name, LABEL=...) -> its value; None where there is no such series."""

    def read(state: State, name: str, /, **labels: str) -> float | None:
        return _series(state).get((name, frozenset(labels.items())))

    return read


@pytest.fixture(scope="session")
def names() -> Callable[[State], set[str]]:
    """Names of the series of a state."""
    return lambda state: {name for name, _ in _series(state)}
