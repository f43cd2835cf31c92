"""What holds for every collector, and that docs/collectors.md says what is."""

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import pytest

from watchdog.collectors.registry import COLLECTORS
from watchdog.settings import fill
from watchdog.vocabulary.complaints import Complaints
from watchdog.vocabulary.units import parse_duration

PAGE = Path(__file__).parents[3] / "docs" / "collectors.md"
NAMES = sorted(COLLECTORS)


def table(first: str) -> list[list[str]]:
    """Rows of the page's table whose first column is called so."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    begin = lines.index(next(line for line in lines if line.startswith(f"| {first} |"))) + 2
    rows = []
    for line in lines[begin:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def test_the_page_has_a_row_for_each_collector_with_its_summary_and_pace() -> None:
    rows = {row[0].strip("`"): row[1:] for row in table("collector")}
    assert set(rows) == {*COLLECTORS, "kmsg"}
    for name, spec in COLLECTORS.items():
        summary, period, deadline, _ = rows[name]
        assert summary == spec.summary
        assert (parse_duration(period.replace(" ", "")), parse_duration(deadline.replace(" ", ""))) == (
            spec.period_seconds,
            spec.deadline_seconds,
        )


def test_the_page_has_a_row_for_each_setting_with_its_default() -> None:
    rows = {row[0].strip("`"): row[1] for row in table("key")}
    settings = {
        f"{name}.{field.name}": field.default
        for name, spec in COLLECTORS.items()
        for field in dataclasses.fields(spec.settings)
    }
    assert set(rows) == set(settings)
    for key, default in settings.items():
        shown = (
            f"{default:g}s" if key.endswith("_seconds") else str(default).lower() if default is False else str(default)
        )
        assert rows[key] == ("empty" if default in ("", ()) else f"`{shown}`")


@pytest.mark.parametrize("name", NAMES)
def test_settings_are_frozen_documented_and_can_stand_in_a_file(name: str) -> None:
    kind = COLLECTORS[name].settings
    complaints = Complaints("test")
    assert fill(kind, {}, name, complaints) == kind()
    assert complaints.found == []
    assert kind.__dataclass_params__.frozen
    assert kind.__doc__ == f"`[watchdog.collectors.{name}]`."
    assert set(map(str, get_type_hints(kind).values())) <= {
        "<class 'str'>",
        "<class 'int'>",
        "<class 'float'>",
        "<class 'bool'>",
        "<class 'pathlib.Path'>",
        "tuple[str, ...]",
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_collector_is_made_without_touching_anything_and_closes_twice(name: str) -> None:
    spec = COLLECTORS[name]
    collector = spec.make(spec.settings(), "node001", None)
    collector.close()
    collector.close()


@pytest.mark.parametrize("name", NAMES)
def test_the_deadline_leaves_room_for_what_the_settings_allow(name: str) -> None:
    spec = COLLECTORS[name]
    assert spec.deadline_for(spec.settings()) >= spec.deadline_seconds
    fields = {field.name for field in dataclasses.fields(spec.settings)}
    if "deadline_seconds" in fields:
        longest = 60.0
        assert spec.deadline_for(dataclasses.replace(spec.settings(), deadline_seconds=longest)) > longest


def test_the_registry_is_light() -> None:
    """The daemon's own process needs none of these to read a machine."""
    code = (
        "import sys, watchdog.collectors.registry; "
        "sys.exit(any(m in sys.modules for m in ('torch', 'pynvml', 'sqlmodel', 'prometheus_client', 'psutil')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
