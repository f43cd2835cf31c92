"""docs/detectors.md says what the code does: one row a detector, one row a threshold with its source."""

import ast
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

from watchdog import detectors
from watchdog.detectors import DETECTORS

PAGE = Path(__file__).parents[3] / "docs" / "detectors.md"
FOLDER = Path(detectors.__file__).parent
HEADER = ["| threshold | default | what it means, and its source |", "| --- | --- | --- |"]


def rows():
    """Cells of each row of the first table."""
    lines = PAGE.read_text(encoding="utf-8").partition("<!-- thresholds -->")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| `")]


def threshold_lines():
    """The second table, as the docstrings of the code give it."""
    lines = [*HEADER]
    for name, detector in DETECTORS.items():
        tree = ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))
        body = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Limits").body
        texts = {
            field.target.id: " ".join(ast.literal_eval(text.value).split())
            for field, text in pairwise(body)
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr)
        }
        lines += [f"| `{name}.{one.name}` | {one.default:g} | {texts[one.name]} |" for one in fields(detector.limits)]
    return lines


def test_every_detector_has_its_row_in_order():
    assert [row[0] for row in rows()] == [f"`{name}`" for name in DETECTORS]
    assert [row[1] for row in rows()] == [detector.summary for detector in DETECTORS.values()]


def test_every_code_is_in_its_row():
    for row, (name, detector) in zip(rows(), DETECTORS.items(), strict=True):
        assert [code for code in detector.codes if f"`{code}`" not in row[2]] == [], name
        assert row[3], f"{name}: the row says nothing of evidence"


def test_every_threshold_has_its_default_and_source():
    """Put what this prints into the page when they differ."""
    written = PAGE.read_text(encoding="utf-8").partition("<!-- thresholds -->\n")[2].splitlines()
    assert written == threshold_lines(), "\n".join(threshold_lines())
