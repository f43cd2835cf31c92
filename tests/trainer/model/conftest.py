"""The facts of `model_facts`, found once a session: starting ranks costs more than what they do."""

from pathlib import Path
from typing import Any

import pytest
from trainer_ranks import run_ranks


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where one rank leaves a checkpoint of two steps."""
    return tmp_path_factory.mktemp("model") / "start"


@pytest.fixture(scope="session")
def alone(start: Path) -> dict[str, Any]:
    """Of one rank."""
    return run_ranks(1, "model_facts:alone", directory=str(start))[0]


@pytest.fixture(scope="session")
def pair(alone: dict[str, Any], start: Path) -> list[dict[str, Any]]:
    """Of each of two ranks."""
    assert alone
    return run_ranks(2, "model_facts:pair", start=str(start))


@pytest.fixture(scope="session")
def four(alone: dict[str, Any], start: Path) -> list[dict[str, Any]]:
    """Of each of four ranks."""
    assert alone
    return run_ranks(4, "model_facts:four", start=str(start))
