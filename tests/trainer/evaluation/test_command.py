from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.evaluation.command import words_of
from watchdog.vocabulary.errors import UsageError


def test_words_are_split_as_a_shell_does_and_places_filled() -> None:
    found = words_of("sbatch --export='A=1 2' eval.sh {checkpoint} --step={step}", checkpoint=Path("/c/step_5"), step=5)
    assert found == ["sbatch", "--export=A=1 2", "eval.sh", "/c/step_5", "--step=5"]


@given(st.text("ab {}'\"$;step", min_size=1))
def test_a_path_stays_one_word_whatever_is_in_it(name: str) -> None:
    path = Path("/c") / name
    assert words_of("run {checkpoint} {step}", checkpoint=path, step=7) == ["run", str(path), "7"]


def test_other_braces_are_the_commands_own() -> None:
    assert words_of("awk '{print}' {step}", checkpoint=Path("c"), step=1) == ["awk", "{print}", "1"]


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("sh -c 'half", "can't be split into words: No closing quotation"),
        ("  ", "has no words; leave it out for none"),
    ],
)
def test_a_command_without_words_is_told(command: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        words_of(command, checkpoint=Path("c"), step=1)
