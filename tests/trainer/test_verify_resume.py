"""The proof that a resume is exact: that it finds what differs, and a run of it on a small plan."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from small_plan import plan as small_plan
from small_plan import stage
from trained import Trained, tiny_plan

from trainer.plan import CheckpointPlan
from trainer.trace import Traced
from trainer.verify_resume import Case, cases_of, close_enough, compare, layouts_of, show, verify
from watchdog.vocabulary.errors import UsageError

CASE = Case(name="durable, sync", begin=1, stop=2, end=4, checkpoints=CheckpointPlan())
Traces = dict[tuple[int, int], Traced]


def traces(losses: tuple[float, ...] = (4.0, 3.0, 2.0, 1.0), num_ranks: int = 2) -> Traces:
    found = {}
    for rank in range(num_ranks):
        for step, loss in enumerate(losses, 1):
            is_last = step == len(losses)
            found[rank, step] = Traced(
                rank=rank,
                step=step,
                loss=loss.hex(),
                grad_norm="0x1p0",
                batch="b",
                rng="r",
                weights="w" if is_last else "",
                optimizer="o" if is_last else "",
            )
    return found


def test_equal_traces_are_equal() -> None:
    found = compare(CASE, "plan", traces(), traces())
    assert (found.is_equal, found.steps, found.differences) == (True, 4, ())


@pytest.mark.parametrize(
    ("field", "value"),
    [("loss", "0x1.0000000000001p+1"), ("grad_norm", "0x1.8p0"), ("batch", "c"), ("rng", "q")],
)
def test_one_bit_in_one_step_of_one_rank_is_a_difference(field: str, value: str) -> None:
    other = traces()
    other[1, 3] = replace(other[1, 3], **{field: value})
    found = compare(CASE, "plan", traces(), other)
    assert not found.is_equal
    assert found.differences == (f"rank 1, step 3: {field} {getattr(traces()[1, 3], field)} and {value}",)


@pytest.mark.parametrize("field", ["weights", "optimizer"])
def test_other_weights_or_moments_at_the_end_are_a_difference(field: str) -> None:
    other = traces()
    other[0, 4] = replace(other[0, 4], **{field: "x"})
    assert not compare(CASE, "plan", traces(), other).is_equal


def test_a_step_that_is_missing_is_a_difference() -> None:
    other = traces()
    del other[0, 2]
    assert compare(CASE, "plan", traces(), other).differences == ("rank 0, step 2: only in one of them",)


def test_a_run_that_left_no_weights_proves_nothing() -> None:
    without = {key: replace(each, weights="") for key, each in traces().items()}
    assert compare(CASE, "plan", without, without).differences == ("no weights at step 4",)


def test_losses_after_a_change_of_layout_may_differ_by_a_thousandth() -> None:
    near, far = traces((4.0, 3.0, 2.001, 1.0)), traces((4.0, 3.0, 2.003, 1.0))
    assert close_enough("to tp2", "tp2", traces(), near, CASE).is_equal
    assert close_enough("to tp2", "tp2", traces(), far, CASE).differences == ("step 3: loss 2.000000 and 2.003000",)


def test_nan_after_a_change_of_layout_is_not_close() -> None:
    assert not close_enough("to tp2", "tp2", traces(), traces((4.0, 3.0, float("nan"), 1.0)), CASE).is_equal


def test_each_tier_a_skip_and_a_border_are_among_the_cases(tmp_path: Path) -> None:
    cases = cases_of(small_plan(stage("one", steps=10), stage("two", steps=10)), tmp_path)
    assert [(case.name, case.begin, case.stop, case.end) for case in cases] == [
        ("durable, sync", 1, 3, 6),
        ("durable, async", 1, 3, 6),
        ("node-local", 1, 3, 6),
        ("memory, in place", 1, 3, 6),
        ("inside a skipped range", 1, 3, 6),
        ("border of stages", 8, 10, 13),
    ]
    assert [(skip.first, skip.end) for skip in cases[4].skips] == [(16, 32)]


def test_an_unknown_layout_is_named_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="--layouts names 'tp3'; known: plan, dp2, tp2, pp2, cp2"):
        layouts_of(small_plan(), ["tp3"])


@pytest.mark.slow
def test_a_small_plan_resumes_to_the_bit_in_every_case(tmp_path: Path) -> None:
    plan = tiny_plan(tmp_path, steps=12)
    said: list[str] = []
    found = verify(plan, Trained(tmp_path, plan).options(), ["plan"], print_line=said.append)
    assert [each.case for each in found if not each.is_equal] == []
    assert len(said) == len(found) == 6
    out = io.StringIO()
    show(found, out, as_json=True)
    assert len(json.loads(out.getvalue())["cases"]) == 6
