"""Every tier gives back the state to the bit, with real ranks of Megatron-core over gloo."""

import pytest
from checkpoint_runs import run

pytestmark = pytest.mark.slow

LAYOUTS = {
    "world 1": (1, {}, {"dtype": "bf16"}),
    "two data parallel ranks": (2, {}, {"dtype": "bf16"}),
    "two data parallel ranks, optimizer on each": (2, {}, {"dtype": "bf16", "distributed": False}),
    "two tensor parallel ranks": (2, {"tensor": 2}, {"dtype": "fp32"}),
    "two pipeline stages": (2, {"pipeline": 2}, {"dtype": "fp32"}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_tier_gives_back_the_state_to_the_bit(tmp_path, layout):
    """Also to a new process that began with other weights; the asynchronous save is of the step on which it began,
    though training went on. Dropout makes the generators matter."""
    world, parallel, optimizer = LAYOUTS[layout]
    given = {"world": world, "parallel": parallel, "model": {"dropout": 0.1}, "optimizer": optimizer}
    ops = [["train", 1], ["save", False], ["move_moments"], ["train", 1], ["save", True], ["memory_put"]]
    ops += [["local_put"]]
    ops += [["train", 2], ["wait"], ["digest"], ["memory_restore", 3], ["train", 2], ["digest"], ["memory_restore", 2]]
    whole = run(tmp_path, ops, **given)

    later = [["load", "step_00000001"], ["train", 3], ["digest"], ["load", "step_00000002"], ["train", 2], ["digest"]]
    later += [["local_steps"], ["local_load", 2], ["train", 2], ["digest"]]
    resumed = run(tmp_path, later, **given | {"seed": 99})

    for one, other in zip(whole, resumed, strict=True):
        assert [(each["step"], each["problem"]) for each in one.saved()] == [(1, ""), (2, "")]
        assert one.of("memory_restore") == [{"step": 2}, None]
        assert other.of("load") == [{"step": 1}, {"step": 2}]
        assert other.of("local_steps") == [[2]]
        assert other.of("local_load") == [{"step": 2}]
        assert {each["losses"]["4"] for each in (*one.of("train")[2:], *other.of("train"))} == {
            one.of("train")[2]["losses"]["4"]
        }
        first = one.of("digest")[0]
        assert (*one.of("digest"), *other.of("digest")) == (first,) * 5
