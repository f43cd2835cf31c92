"""What a column holds, by its name."""

import pytest

from fryer.replay.columns import FIELDS, layout_of, parse_map, plain, unknown
from watchdog.vocabulary.errors import UsageError


def fields(*columns: str, **wanted: str) -> dict[str, str]:
    return {place.field: place.column for place in layout_of(columns, wanted).numbers}


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        (("_step", "train/loss"), {"step": "_step", "loss": "train/loss"}),
        (("trainer/global_step", "Train Loss"), {"step": "trainer/global_step", "loss": "Train Loss"}),
        (
            ("iteration", "lm loss", "elapsed time per iteration (ms)"),
            {"step": "iteration", "loss": "lm loss", "seconds": "elapsed time per iteration (ms)"},
        ),
        (("step", "tok/sec"), {"step": "step", "tokens_per_second": "tok/sec"}),
        (("step", "eval_loss"), {"step": "step"}),
        (("a", "b"), {}),
    ],
)
def test_names_are_compared_without_case_and_signs(columns: tuple[str, ...], found: dict[str, str]) -> None:
    assert fields(*columns) == found


def test_of_several_columns_the_better_name_is_taken() -> None:
    assert fields("value", "train_loss", "loss", "step")["loss"] == "loss"


def test_a_mapping_goes_before_the_names_and_its_column_serves_no_other_field() -> None:
    assert fields("step", "loss", "tokens", loss="tokens") == {"step": "step", "loss": "tokens"}


def test_milliseconds_are_turned_into_seconds() -> None:
    assert [place.factor for place in layout_of(["dt_ms", "dt"]).numbers] == [1.0]
    assert [place.factor for place in layout_of(["dt_ms"]).numbers] == [0.001]


def test_losses_by_source_and_times_by_phase_are_told_from_the_loss() -> None:
    layout = layout_of(["step", "loss", "loss/web", "losses/code", "times/data"])
    assert [place.field for place in layout.sources] == ["web", "code"]
    assert [place.field for place in layout.times] == ["data"]


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        (
            ("a", "b"),
            "it has no column that is known; name them: --map step=COLUMN --map loss=COLUMN; its columns: 'a', 'b'",
        ),
        (
            ("loss", "b"),
            (
                "it has no column of progress (step, iteration, tokens, ...); name it: --map step=COLUMN; "
                "its columns: 'loss', 'b'"
            ),
        ),
        (
            ("step", "b"),
            (
                "it has no column that is judged (loss, grad_norm, throughput, ...); name one: --map loss=COLUMN; "
                "its columns: 'step', 'b'"
            ),
        ),
    ],
)
def test_a_table_of_which_too_little_is_known_lists_its_columns(columns: tuple[str, ...], sentence: str) -> None:
    assert str(unknown(columns, layout_of(columns))) == sentence


def test_every_name_is_in_the_form_in_which_names_are_compared() -> None:
    assert all(plain(name) == name for names in FIELDS.values() for name in names)


@pytest.mark.parametrize(
    ("pair", "sentence"),
    [
        ("loss", "--map 'loss' is no FIELD=COLUMN, as in --map loss=train/nll"),
        ("los=x", "--map 'los=x': there is no field 'los'; did you mean 'loss'?"),
    ],
)
def test_a_mapping_that_is_none_is_refused(pair: str, sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_map([pair])
    assert str(refused.value) == sentence
