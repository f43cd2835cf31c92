from pathlib import Path

import pytest

from trainer.ledger import Skip
from trainer.options import Options, parse_options

SMALL = Options(plan=Path("/p/plan.toml"), run=Path("/r"))
FULL = Options(
    plan=Path("/p/plan.json"),
    run=Path("/r"),
    data=Path("/d"),
    device="cpu",
    until=7,
    begin_at=3,
    rewind_after=5,
    skips=(Skip(stage="one", first=8, end=16, incident="why"),),
    trace=Path("/t/trace"),
    is_quiet=True,
    socket=Path("/s"),
)


@pytest.mark.parametrize("options", [SMALL, FULL])
def test_options_come_back_as_they_were(options: Options) -> None:
    assert parse_options(options.to_text()) == options


def test_options_are_one_line() -> None:
    assert "\n" not in FULL.to_text()
