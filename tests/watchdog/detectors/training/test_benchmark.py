"""The benchmark's page is written by its command, and made-up curves are as their names say."""

import re
from pathlib import Path

import pytest

from bench import detectors as bench
from bench.detector_curves import DATA
from bench.detector_generator import KINDS, generated
from bench.detector_scores import Score, add, ours
from watchdog.detectors.training.rivals import RIVALS

PAGE = Path(__file__).parents[4] / "docs" / "detector-benchmark.md"


def structure(text):
    """Headings and first cells, without figures."""
    lines = [line for line in text.splitlines() if line.startswith(("#", "| ", "<!--"))]
    return [re.sub(r" \|.*", "", line) for line in lines]


def test_the_page_says_which_command_writes_it():
    assert "<!-- Written by `python -m bench.detectors`. Do not edit: run it again. -->" in PAGE.read_text()


@pytest.mark.slow
@pytest.mark.skipif(not (DATA / "curves").is_dir(), reason=f"no captured curves in {DATA}")
def test_the_command_makes_the_same_tables(capsys):
    bench.main(["--seeds", "1", "--print"])
    assert structure(capsys.readouterr().out) == structure(PAGE.read_text())


def test_every_published_rule_has_its_row():
    text = PAGE.read_text()
    assert [name for name in RIVALS if f"| `{name}` |" not in text] == []


def test_a_seed_gives_the_same_curves_again():
    first, second = generated(7), generated(7)
    assert [repr(curve.points) for curve in first] == [repr(curve.points) for curve in second]
    assert [curve.name for curve in first] == [*KINDS, "stragglers"]


def test_on_made_up_curves_of_a_new_seed_all_is_found_and_nothing_made_up():
    score = Score()
    for curve in generated(424242):
        add(score, curve, *ours(curve))
    assert score.missed == []
    assert score.made_up == []
