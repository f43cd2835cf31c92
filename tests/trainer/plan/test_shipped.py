"""The plans that are shipped."""

from pathlib import Path

import pytest

from trainer.plan import load_plan
from trainer.plan.identity import changes, resharded
from trainer.plan.parameters import num_parameters
from trainer.plan.parts import PARTS
from trainer.plan.position import last_step_of, lr_at
from trainer.plan.summary import summarize

PLANS = Path(__file__).parents[3] / "plans"
FILES = sorted(PLANS.glob("*.toml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_shipped_plan_is_right_and_fits_its_gpu(file):
    summary = summarize(load_plan(file))
    if summary.part_bytes:
        assert max(stage.memory.total for stage in summary.stages) < 0.9 * summary.part_bytes


def test_these_are_shipped():
    assert {file.stem for file in FILES} == {"smoke", "smollm3-3b", "smollm3-3b-long"}


def test_smollm3s_stages_begin_and_end_where_the_published_ones_do():
    plan = load_plan(PLANS / "smollm3-3b.toml")
    assert [last_step_of(plan, index) for index in range(3)] == [3_450_000, 4_198_000, 4_720_000]
    assert {stage.batch * stage.sequence_length for stage in plan.stages} == {2_359_296}
    assert lr_at(plan, 2000) == lr_at(plan, 4_198_000) == 2e-4
    assert lr_at(plan, 4_198_001) < 2e-4
    assert lr_at(plan, 4_720_000) == 0.0
    summary = summarize(plan)
    assert round(summary.tokens / 1e12, 2) == 11.14
    assert [round(stage.tokens / 1e12, 2) for stage in summary.stages] == [8.14, 1.76, 1.23]
    assert (plan.parallel.world, summary.data_parallel, summary.part_bytes) == (
        384,
        192,
        PARTS["H100-SXM5-80GB"].memory_bytes,
    )


def test_smollm3s_extensions_go_on_where_its_stages_end():
    main, longer = (load_plan(PLANS / f"{name}.toml") for name in ("smollm3-3b", "smollm3-3b-long"))
    assert changes(main, longer, main.num_steps) == []
    assert [line.split()[1] for line in resharded(main, longer)] == ["context", "micro_batch"]
    first, second = longer.stages[3:]
    assert (first.steps, first.sequence_length, first.rope_theta) == (20_000, 32_768, 2e6)
    assert (second.steps, second.sequence_length, second.rope_theta) == (22_000, 65_536, 5e6)
    assert {stage.batch * stage.sequence_length for stage in (first, second)} == {2_359_296}
    assert [round(stage.tokens / 1e9, 1) for stage in summarize(longer).stages[3:]] == [47.2, 51.9]


def test_the_smoke_plan_is_small_and_has_every_kind_of_stage_and_tier():
    plan = load_plan(PLANS / "smoke.toml")
    assert 4.5e6 < num_parameters(plan.model) < 5.5e6
    assert sum(stage.num_tokens for stage in plan.stages) < 800_000
    assert len(plan.stages) == 4
    last = plan.stages[-1]
    assert last.sequence_length > plan.stages[0].sequence_length
    assert last.rope_theta > plan.stages[0].rope_theta
    assert last.fresh_optimizer
    found = plan.checkpoints
    assert found.every_steps
    assert found.local_every_steps
    assert found.memory_every_steps
    assert all(source.text and source.text.startswith("{stdlib}/") for source in plan.sources.values())
