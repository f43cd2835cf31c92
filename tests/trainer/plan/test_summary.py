"""What --plan-only tells, in figures and as it is printed."""

import json
import re

import pytest
from hypothesis import given, settings
from trainer_plans import a_plan, plans

from trainer.cli.plan_only import print_plan
from trainer.plan.identity import plan_hash
from trainer.plan.json_form import plan_from_json, to_json
from trainer.plan.parameters import num_parameters
from trainer.plan.position import lr_at
from trainer.plan.summary import lr_phases, summarize, summary_to_json
from watchdog.vocabulary.errors import UsageError


@pytest.fixture
def written(tmp_path):
    """A plan in a file, with other values as of `document`."""

    def write(**changes):
        file = tmp_path / "plan.json"
        file.write_text(json.dumps(to_json(a_plan(**changes))))
        return file

    return write


def test_tokens_of_sources_are_their_shares_of_the_stages():
    summary = summarize(a_plan())
    one, two = summary.stages
    assert [(each.source, each.tokens) for each in one.sources] == [("web", 13_824), ("code", 1536)]
    assert [(each.source, each.tokens) for each in two.sources] == [("code", 10_240)]
    assert [(each.source, each.tokens) for each in summary.sources] == [("web", 13_824), ("code", 11_776)]
    assert summary.tokens == 60 * 256 + 40 * 256


@settings(max_examples=40, deadline=None)
@given(plans())
def test_sources_have_all_tokens_between_them(plan):
    summary = summarize(plan)
    for stage in summary.stages:
        # each source is rounded to a whole token
        assert abs(sum(each.tokens for each in stage.sources) - stage.tokens) <= len(stage.sources)
    assert summary.stages[-1].last_step == plan.num_steps
    assert json.loads(json.dumps(summary_to_json(summary), allow_nan=False))["tokens"] == summary.tokens


def test_epochs_are_of_the_documents_that_are_trained_on():
    plan = a_plan(sources__web__tokens=10_000, sources__web__held_out=0.1)
    summary = summarize(plan)
    assert summary.sources[0].epochs == pytest.approx(13_824 / 9000)
    assert summary.sources[1].epochs is None


def test_a_rates_phases_are_told_with_the_steps_they_hold_for():
    plan = a_plan(stage__1__lr_end=1e-4, stage__1__decay="cosine")
    one, two = summarize(plan).stages
    assert one.lr_phases == ("steps 1-10: linear from 0 to 0.001", "steps 11-60: 0.001")
    assert two.lr_phases == ("steps 61-70: 0.001", "steps 71-100: cosine from 0.001 to 0.0001")


@settings(max_examples=40, deadline=None)
@given(plans())
def test_phases_cover_each_step_once_and_are_constant_where_they_say_so(plan):
    before, expected = 0, 1
    for stage in plan.stages:
        for phase in lr_phases(stage, before):
            first, last, told = re.fullmatch(r"steps ([\d,]+)-([\d,]+): (.*)", phase).groups()
            first, last = int(first.replace(",", "")), int(last.replace(",", ""))
            assert first == expected
            expected = last + 1
            if "from" not in told:
                assert {lr_at(plan, step) for step in range(first, last + 1)} == {stage.lr}
        before += stage.steps
    assert expected == plan.num_steps + 1


def test_the_document_says_which_plan_and_which_formula(written, capsys):
    file = written(parallel={"part": "H100-SXM5-80GB"})
    print_plan(file, as_json=True)
    found = json.loads(capsys.readouterr().out)
    plan = plan_from_json(found["plan"])
    assert (found["schema"], found["version"]) == ("fryer/plan", 1)
    assert found["hash"] == plan_hash(plan)
    assert found["parameters"] == num_parameters(plan.model)
    assert found["flops_formula"].startswith("6 N + 6 layers x hidden x sequence")
    assert found["part"] == {"name": "H100-SXM5-80GB", "memory_bytes": 85_520_809_984}
    assert found["pace"]["mfu"] == 0.3
    assert found["stages"][0]["memory"]["total"] > 0


def test_what_is_printed_begins_with_the_plan_itself_and_can_be_read_again(tmp_path, written, capsys):
    file = written()
    print_plan(file, as_json=False)
    printed = capsys.readouterr().out
    resolved, _, figures = printed.partition("\nparameters  ")
    again = tmp_path / "again.toml"
    again.write_text(resolved)
    print_plan(again, as_json=False)
    assert capsys.readouterr().out == printed
    assert resolved.splitlines()[0] == f"# plan {plan_hash(a_plan())}, resolved"
    assert figures.startswith(f"{num_parameters(a_plan().model):,} (181k)\n")


def rows(printed, title):
    """Cells of a printed table."""
    lines = printed.partition(f"{title}\n")[2].partition("\n\n")[0].splitlines()
    return [re.split(r"  +", line.strip()) for line in lines]


def test_stages_sources_and_memory_are_tables(written, capsys):
    changes = {"parallel": {"rank_tokens_per_second": 0.1, "part": "A100-SXM4-80GB"}}
    print_plan(written(**changes, sources__web__tokens=1000, checkpoints__memory_every_steps=5), as_json=False)
    printed = capsys.readouterr().out
    assert rows(printed, "stages")[1:] == [
        ["one", "60", "1", "60", "32", "8", "256", "8", "15.4k", "1.78"],
        ["two", "40", "61", "100", "32", "8", "256", "8", "10.2k", "1.19"],
    ]
    assert rows(printed, "tokens of sources, and times that all of a source is gone through") == [
        ["source", "one", "two", "all"],
        ["web", "13.8k, 13.96x", "-", "13.8k, 13.96x"],
        ["code", "1.54k", "10.2k", "11.8k"],
    ]
    header, one, _ = rows(printed, "memory of a rank by formula, without CUDA's and NCCL's own 1 to 3 GB")
    assert header[-1] == "share of A100-SXM4-80GB"
    assert one[-1] == "0%"
    assert "  durable  2.53 MB each; every 1,000 steps, 29.6 days; about 4 are kept: 10.1 MB\n" in printed
    assert "  memory   5.06 MB a rank of host memory (2 states); every 5 steps\n" in printed
    assert "  local" not in printed
    assert "  in all            3.0 days on 1 rank, without start-up, evaluation and failures\n" in printed


def test_what_does_not_fit_a_gpu_is_said(written, capsys):
    wide = {"hidden": 16_384, "layers": 64, "heads": 128, "kv_heads": 8, "mlp_hidden": 53_248, "vocabulary": 512}
    print_plan(written(model=wide, parallel={"part": "H100-SXM5-80GB"}), as_json=False)
    assert ", does not fit\n" in re.sub(r" +\n", "\n", capsys.readouterr().out)


def test_without_a_rate_and_a_gpu_days_are_unknown_and_said_to_be(written, capsys):
    print_plan(written(checkpoints__every_steps=0), as_json=False)
    printed = capsys.readouterr().out
    assert "  days              unknown: give parallel.rank_tokens_per_second, or parallel.part\n" in printed
    assert "  durable  2.53 MB each; at stages' ends only\n" in printed


def test_a_split_model_tells_what_a_rank_has(written, capsys):
    layout = {"pipeline": 2, "tensor": 2, "world": 8}
    print_plan(written(parallel=layout), as_json=False)
    printed = capsys.readouterr().out
    assert re.search(r"^a rank      [\d,]+, [\d,]+$", printed, re.MULTILINE)
    assert "layout      8 ranks = 2 data x 2 tensor x 2 pipeline x 1 context\n" in printed


def test_a_plan_that_is_wrong_prints_nothing(tmp_path, capsys):
    file = tmp_path / "plan.toml"
    file.write_text("name = 3\n")
    with pytest.raises(UsageError, match="name is 3; allowed: a text"):
        print_plan(file, as_json=False)
    assert capsys.readouterr().out == ""
