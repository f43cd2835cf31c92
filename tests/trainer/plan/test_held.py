"""What a plan says that a rank holds is what it holds, with Megatron's own model and optimizer."""

import pytest
from trainer_ranks import run_ranks

pytestmark = pytest.mark.slow
LAYOUTS = ["dp2", "tp2", "pp2", "pp2 untied", "dp2 bf16", "tp2 whole"]


@pytest.fixture(scope="module")
def held():
    return run_ranks(2, "plan_facts:held")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_rank_has_exactly_as_many_parameters_as_its_plan_says(held, layout):
    for rank in held:
        assert rank[layout]["parameters"] == rank[layout]["told"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_ranks_own_state_is_about_as_large_as_its_plan_says(held, layout):
    """The largest rank's; the optimizer's shards are padded to whole buckets, and each group has a count of steps."""
    largest = max(rank[layout]["bytes"] for rank in held)
    assert largest == pytest.approx(held[0][layout]["told_bytes"], rel=0.02)
