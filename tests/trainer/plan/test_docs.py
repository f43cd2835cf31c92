"""docs/plan.md says what every key is: its default, what is allowed and what it means, as the code has it."""

import ast
import tomllib
import typing
from dataclasses import MISSING, fields
from itertools import pairwise
from pathlib import Path

import pytest

from trainer.plan import words
from trainer.plan.fields import allowed_by_type, key_of
from trainer.plan.ranges import RANGES
from trainer.plan.read import SECTIONS, parse_plan

PAGE = (Path(__file__).parents[3] / "docs" / "plan.md").read_text(encoding="utf-8")
KINDS = {**SECTIONS, "sources": words.Source, "stage": words.Stage}


def meanings(kind):
    """Docstrings of a dataclass's fields."""
    tree = ast.parse(Path(words.__file__).read_text(encoding="utf-8"))
    body = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == kind.__name__).body
    return {
        field.target.id: " ".join(ast.literal_eval(text.value).replace("``", "`").split())
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr)
    }


def default_of(field):
    if field.default is MISSING or field.default is None:
        return "must be given" if field.default is MISSING else "none"
    if isinstance(field.default, bool):
        return f"`{str(field.default).lower()}`"
    is_text = isinstance(field.default, str | Path)
    return f'`"{field.default}"`' if is_text else f"`{field.default:g}`"


def allowed(section, field, hint):
    found = RANGES[section].get(field.name)
    if found is None or found.words:
        return (found.text if found else allowed_by_type(hint)).replace('"', "`").replace("`` or ", "")
    return found.text if hint is str else f"{allowed_by_type(hint)}, {found.text}"


def table(section):
    """Lines of a section's table."""
    kind = KINDS[section]
    hints, told = typing.get_type_hints(kind), meanings(kind)
    lines = ["| key | default | allowed | what it means |", "| --- | --- | --- | --- |"]
    for field in fields(kind):
        if section == "sources" and field.name == "name":
            continue
        cells = (f"`{key_of(field.name)}`", default_of(field), allowed(section, field, hints[field.name]))
        # a bar would end the cell
        shown = (cell.replace("|", "\\|") for cell in (*cells, told[field.name]))
        lines.append(f"| {' | '.join(shown)} |")
    return lines


@pytest.mark.parametrize("section", KINDS)
def test_every_key_has_its_row(section):
    """Put what this prints into the page when they differ."""
    written = PAGE.partition(f"<!-- {section} -->\n")[2].partition("\n\n")[0].splitlines()
    assert written == table(section), "\n".join(table(section))


def test_the_example_is_a_plan_that_is_right(tmp_path):
    example = PAGE.partition("```toml\n")[2].partition("```")[0]
    plan = parse_plan(tomllib.loads(example), file="docs/plan.md", home=tmp_path)
    assert [stage.name for stage in plan.stages] == ["main", "decay"]
