"""docs/training-metrics.md has every record and every field."""

from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest

from trainer.metrics.phases import OTHER, PHASES
from trainer.metrics.record import Record, StepDone, type_of

PAGE = (Path(__file__).parents[3] / "docs" / "training-metrics.md").read_text()


def rows(name: str) -> str:
    """The lines of the page about one type."""
    lines = [line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |")]
    if name == type_of(StepDone):
        lines += PAGE.split("### step_done")[1].split("\n## ")[0].splitlines()
    return "\n".join(lines)


@pytest.mark.parametrize("kind", get_args(Record))
def test_each_field_of_each_record_is_documented(kind: type[Record]) -> None:
    page = rows(type_of(kind))
    assert [field.name for field in fields(kind) if field.name != "at" and f"`{field.name}`" not in page] == []


def test_all_phases_are_documented() -> None:
    assert " ".join((*PHASES, OTHER)) in PAGE
