"""Arguments become a plan, or one sentence that says what is wrong."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fryer.burns import BURNS
from fryer.plan import Plan, make_plan
from watchdog.vocabulary.errors import UsageError
from watchdog.vocabulary.units import parse_duration


def plan(**changes: Any) -> Plan:
    arguments = {
        "nodes": ["n"], "seconds": 60.0, "dtypes": [], "burns": [], "seed": 1, "memory_ratio": None, "scenario": None
    }  # fmt: skip
    return make_plan(**{**arguments, **changes})


@given(st.floats(1.0, 1e6), st.sets(st.sampled_from(list(BURNS))))
def test_the_duration_is_shared_by_the_burns_in_their_order(seconds: float, burns: set[str]) -> None:
    made = plan(seconds=seconds, burns=list(burns))
    assert made.seconds == pytest.approx(seconds)
    names = [phase.burn for phase in made.phases]
    assert names == [name for name in BURNS if name in (burns or BURNS)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"nodes": []}, "--nodes localhost"),
        ({"seconds": 0.5}, "1s to 30d"),
        ({"seconds": 1e9}, "1s to 30d"),
        ({"dtypes": ["bf61"]}, "did you mean 'bf16'"),
        ({"burns": ["hmb"]}, "did you mean 'hbm'"),
        ({"memory_ratio": 1.0}, "between 0 and 1"),
        ({"memory_ratio": 0.0}, "between 0 and 1"),
    ],
)
def test_what_is_wrong_is_said_with_what_is_allowed(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        plan(**changes)


def test_the_command_that_repeats_a_burn_gives_the_same_phase() -> None:
    made = plan(dtypes=["bf16", "bf16", "fp8"], seed=7, scenario="slow_gpu")
    words = made.repeat_command("node001", "gemm").split()
    options = dict(zip(words[2::2], words[3::2], strict=True))
    again = plan(
        seconds=parse_duration(options["--duration"]), dtypes=options["--dtypes"].split(","), burns=["gemm"], seed=7
    )
    assert again.phases[0].seconds == pytest.approx(made.phases[0].seconds)
    assert again.dtypes == ("bf16", "fp8")
    assert (options["--nodes"], options["--seed"], options["--simulate"]) == ("node001", "7", "slow_gpu")
