"""Settings say everything that is wrong at once, and where each value comes from."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from watchdog.settings import read_settings, resolve, show_settings
from watchdog.vocabulary.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    margin_celsius: float = 2.0
    for_seconds: float = 60.0
    codes: tuple[int, ...] = (79,)
    mount: Path | None = None
    is_on: bool = True


SECTIONS = {"detectors.thermal_margin": Limits, "policy": Limits}


def test_defaults_hold_where_no_file_is_given() -> None:
    settings = resolve({}, SECTIONS, file="")
    assert settings.watchdog.judge_seconds == 5.0
    assert settings.sections["detectors.thermal_margin"] == Limits()


def test_a_file_fills_its_sections(tmp_path: Path) -> None:
    file = tmp_path / "fryer.toml"
    file.write_text(
        '[watchdog]\nnode = "n1"\njudge_seconds = "2s"\n[watchdog.detectors.thermal_margin]\nmargin_celsius = 5\n'
        'for_seconds = "2m"\ncodes = [48, 79]\nmount = "/scratch"\nis_on = false\n[trainer]\nanything = 1\n'
    )
    settings = read_settings(file, SECTIONS)
    assert (settings.watchdog.node, settings.watchdog.judge_seconds) == ("n1", 2.0)
    assert settings.sections["detectors.thermal_margin"] == Limits(
        margin_celsius=5.0, for_seconds=120.0, codes=(48, 79), mount=Path("/scratch"), is_on=False
    )
    shown = show_settings(settings)
    assert "margin_celsius = 5  # file" in shown
    assert "window_seconds = 900  # default" in shown


def test_everything_wrong_is_said_at_once_with_file_key_and_nearest_name() -> None:
    document = {
        "watchdog": {
            "judge_secods": 1,
            "judge_seconds": 0.1,
            "slurm": "yes",
            "detectors": {"thermal_margin": {"margin_celsius": "hot"}, "thermal_margn": {}},
            "tcp": {"listen": "0.0.0.0:9"},
        },
        "watchdogs": {},
    }
    with pytest.raises(UsageError) as caught:
        resolve(document, SECTIONS, file="my.toml")
    text = str(caught.value)
    assert text.startswith("my.toml: ")
    for part in (
        "did you mean 'judge_seconds'",
        "watchdog.slurm is 'yes'; allowed: true or false",
        "margin_celsius is 'hot'; allowed: a number",
        "did you mean 'thermal_margin'",
        "token",
        "did you mean 'watchdog'",
    ):
        assert part in text


def test_a_file_that_is_no_toml_or_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text("[watchdog")
    for file in (bad, tmp_path / "none.toml"):
        with pytest.raises(UsageError, match=str(file)):
            read_settings(file, SECTIONS)
