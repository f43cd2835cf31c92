"""docs/training-detectors.md gives every threshold with its source, and names every kind, class and mark."""

import ast
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

from watchdog.detectors import training
from watchdog.detectors.training import (
    divergence,
    drift,
    drop,
    hang,
    noise,
    nonfinite,
    offset,
    ranks,
    shift,
    spike,
    straggler,
    throughput,
)
from watchdog.detectors.training.rivals import RIVALS
from watchdog.detectors.training.words import KINDS, MarkKind

PAGE = Path(__file__).parents[4] / "docs" / "training-detectors.md"
FOLDER = Path(training.__file__).parent
MODULES = {
    "nonfinite": nonfinite.Limits,
    "spike": spike.Limits,
    "divergence": divergence.Limits,
    "noise": noise.Limits,
    "offset": offset.Limits,
    "drop": drop.Limits,
    "shift": shift.Limits,
    "drift": drift.Limits,
    "throughput": throughput.Limits,
    "straggler": straggler.Limits,
    "hang": hang.Limits,
    "ranks": ranks.RankLimits,
}


def threshold_lines():
    """The table of thresholds, as the docstrings of the code give it."""
    lines = ["| threshold | default | what it means, and its source |", "| --- | --- | --- |"]
    for name, limits in MODULES.items():
        tree = ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))
        body = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == limits.__name__).body
        texts = {
            one.target.id: " ".join(ast.literal_eval(text.value).split())
            for one, text in pairwise(body)
            if isinstance(one, ast.AnnAssign) and isinstance(text, ast.Expr)
        }
        values = {one.name: one.default for one in fields(limits) if one.name in texts}
        lines += [f"| `{name}.{key}` | {shown(value)} | {texts[key]} |" for key, value in values.items()]
    return lines


def shown(value):
    return f"{value:g}" if isinstance(value, int | float) else ", ".join(value)


def test_every_threshold_is_in_the_docs_as_the_code_has_it():
    lines = PAGE.read_text(encoding="utf-8").partition("<!-- thresholds -->")[2].split("<!-- end -->")[0]
    assert [line for line in lines.splitlines() if line] == threshold_lines()


def test_every_kind_mark_and_published_rule_is_named():
    text = PAGE.read_text(encoding="utf-8")
    missing = [word for word in (*KINDS, *MarkKind, *RIVALS) if f"`{word}`" not in text]
    assert missing == []
