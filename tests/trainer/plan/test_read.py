"""plan.toml becomes a plan, or one error that says everything that is wrong in it."""

import json
import sys
import tomllib
from pathlib import Path
from subprocess import run

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trainer_plans import HOME, a_plan, document, plans

from trainer.plan import Decay, load_plan
from trainer.plan.check import RULES
from trainer.plan.fields import read_count
from trainer.plan.json_form import plan_from_json, to_json
from trainer.plan.ranges import RANGES, TOP
from trainer.plan.read import parse_plan
from trainer.plan.toml_form import show_resolved
from watchdog.vocabulary.errors import UsageError


def complaints(found: dict) -> list[str]:
    """Everything that is said to be wrong, a line each; nothing where the plan is right."""
    try:
        parse_plan(found, file="plan.toml", home=HOME)
    except UsageError as error:
        first, *lines = str(error).splitlines()
        assert first.startswith("plan.toml: ")
        return [line.strip() for line in lines]
    return []


def test_a_plan_that_is_right_has_no_complaints():
    assert complaints(document()) == []


def test_what_is_left_out_has_its_default():
    plan = a_plan()
    assert plan.model.tied_embeddings
    assert plan.optimizer.beta2 == 0.95
    assert plan.stages[0].decay is Decay.LINEAR
    assert plan.checkpoints.is_async


WRONG_VALUES = [
    ({"name": "a/b"}, "name is 'a/b'; allowed: letters, digits, dot, dash and underscore, 64 at most: files are named"),
    ({"name": "n" * 65}, f"name is '{'n' * 65}'; allowed: letters"),
    ({"seed": -1}, "seed is -1; allowed: 0 to 2147483647"),
    ({"seed": 2**31}, "seed is 2147483648; allowed: 0 to 2147483647"),
    ({"model__layers": 0}, "model.layers is 0; allowed: at least 1"),
    ({"model__hidden": 0}, "model.hidden is 0; allowed: at least 1"),
    ({"model__heads": 0}, "model.heads is 0; allowed: at least 1"),
    ({"model__kv_heads": 0}, "model.kv_heads is 0; allowed: at least 1"),
    ({"model__mlp_hidden": 0}, "model.mlp_hidden is 0; allowed: at least 1"),
    ({"model__vocabulary": 0}, "model.vocabulary is 0; allowed: at least 1"),
    ({"model__norm_epsilon": 0}, "model.norm_epsilon is 0; allowed: above 0"),
    ({"model__init_std": -0.5}, "model.init_std is -0.5; allowed: above 0"),
    ({"model__nope_every": -1}, "model.nope_every is -1; allowed: at least 0"),
    ({"model__dropout": 1}, "model.dropout is 1; allowed: at least 0 and below 1"),
    ({"parallel__tensor": 0}, "parallel.tensor is 0; allowed: at least 1"),
    ({"parallel__pipeline": 0}, "parallel.pipeline is 0; allowed: at least 1"),
    ({"parallel__context": 0}, "parallel.context is 0; allowed: at least 1"),
    ({"parallel__micro_batch": 0}, "parallel.micro_batch is 0; allowed: at least 1"),
    ({"parallel__world": 0}, "parallel.world is 0; allowed: at least 1"),
    (
        {"parallel__recompute": "ful"},
        'parallel.recompute is \'ful\'; allowed: "none" or "selective" or "full"; did you mean \'full\'?',
    ),
    (
        {"parallel__part": "H100-SXM5"},
        'parallel.part is \'H100-SXM5\'; allowed: "" or "H100-SXM5-80GB" or "H200-SXM" or "A100-SXM4-80GB"',
    ),
    ({"parallel__rank_tokens_per_second": -1}, "parallel.rank_tokens_per_second is -1; allowed: at least 0"),
    ({"optimizer__beta1": 1.0}, "optimizer.beta1 is 1.0; allowed: at least 0 and below 1"),
    ({"optimizer__beta2": -0.1}, "optimizer.beta2 is -0.1; allowed: at least 0 and below 1"),
    ({"optimizer__epsilon": 0}, "optimizer.epsilon is 0; allowed: above 0"),
    ({"optimizer__weight_decay": -1}, "optimizer.weight_decay is -1; allowed: at least 0"),
    ({"optimizer__clip": -1}, "optimizer.clip is -1; allowed: at least 0"),
    ({"optimizer__z_loss": -1}, "optimizer.z_loss is -1; allowed: at least 0"),
    ({"optimizer__dtype": "fp16"}, "optimizer.dtype is 'fp16'; allowed: \"bf16\" or \"fp32\"; did you mean 'bf16'?"),
    ({"tokenizer__kind": "bep"}, "tokenizer.kind is 'bep'; allowed: \"bytes\" or \"bpe\"; did you mean 'bpe'?"),
    ({"tokenizer__kind": "x"}, 'tokenizer.kind is \'x\'; allowed: "bytes" or "bpe"'),
    ({"tokenizer__vocabulary": 256}, "tokenizer.vocabulary is 256; allowed: at least 257"),
    ({"tokenizer__end_of_document": ""}, "tokenizer.end_of_document is ''; allowed: a text that isn't empty"),
    ({"sources__web__held_out": 1}, "sources.web.held_out is 1; allowed: at least 0 and below 1"),
    ({"stage__0__name": "../a"}, "stage[1].name is '../a'; allowed: letters"),
    ({"stage__0__steps": 0}, "stage[1].steps is 0; allowed: at least 1"),
    ({"stage__1__sequence_length": 0}, "stage[2].sequence_length is 0; allowed: at least 1"),
    ({"stage__1__batch": 0}, "stage[2].batch is 0; allowed: at least 1"),
    ({"stage__1__lr": 0}, "stage[2].lr is 0; allowed: above 0"),
    ({"stage__1__warmup_steps": -1}, "stage[2].warmup_steps is -1; allowed: at least 0"),
    ({"stage__1__decay_steps": -1}, "stage[2].decay_steps is -1; allowed: at least 0"),
    ({"stage__1__lr_start": -1}, "stage[2].lr_start is -1; allowed: at least 0"),
    ({"stage__1__lr_end": -1}, "stage[2].lr_end is -1; allowed: at least 0"),
    ({"stage__1__rope_theta": 1}, "stage[2].rope_theta is 1; allowed: above 1"),
    ({"checkpoints__every_steps": -1}, "checkpoints.every_steps is -1; allowed: at least 0"),
    ({"checkpoints__keep_every_steps": -1}, "checkpoints.keep_every_steps is -1; allowed: at least 0"),
    ({"checkpoints__good_after_steps": -1}, "checkpoints.good_after_steps is -1; allowed: at least 0"),
    ({"checkpoints__local_every_steps": -1}, "checkpoints.local_every_steps is -1; allowed: at least 0"),
    ({"checkpoints__memory_every_steps": -1}, "checkpoints.memory_every_steps is -1; allowed: at least 0"),
    ({"checkpoints__keep_last": 0}, "checkpoints.keep_last is 0; allowed: at least 1"),
    ({"checkpoints__local_keep": 0}, "checkpoints.local_keep is 0; allowed: at least 1"),
    ({"checkpoints__memory_keep": 0}, "checkpoints.memory_keep is 0; allowed: at least 1"),
    ({"evaluation__every_steps": -1}, "evaluation.every_steps is -1; allowed: at least 0"),
    ({"evaluation__batches": 0}, "evaluation.batches is 0; allowed: at least 1"),
    ({"evaluation__command": "eval 'x"}, 'evaluation.command is "eval \'x"; allowed: words as a shell would split'),
    ({"evaluation__command": "eval {run}"}, "evaluation.command is 'eval {run}'; allowed: words as a shell would"),
    ({"metrics__peak_flops": -1}, "metrics.peak_flops is -1; allowed: at least 0"),
]


@pytest.mark.parametrize(("changes", "line"), WRONG_VALUES, ids=lambda value: str(value)[:40])
def test_a_value_out_of_its_range_is_named_with_what_is_allowed(changes, line):
    (found,) = complaints(document(**changes))
    assert found.startswith(line)


def test_every_range_has_been_broken_by_a_test():
    broken = {
        ".".join(part for part in path.split("__") if not part.isdigit()) for [path], _ in map(_sides, WRONG_VALUES)
    }
    broken = {key.replace("sources.web.", "sources.") for key in broken}
    assert broken == {*TOP, *(f"{section}.{key}" for section, ranges in RANGES.items() for key in ranges)}


def _sides(case):
    return list(case[0]), case[1]


WRONG_TYPES = [
    ({"name": 3}, "name is 3; allowed: a text"),
    ({"seed": "6"}, "seed is '6'; allowed: a whole number"),
    ({"seed": True}, "seed is True; allowed: a whole number"),
    ({"model__layers": 4.0}, "model.layers is 4.0; allowed: a whole number"),
    ({"model__init_std": "0.02"}, "model.init_std is '0.02'; allowed: a number"),
    ({"model__init_std": float("nan")}, "model.init_std is nan; allowed: a number"),
    ({"model__tied_embeddings": 1}, "model.tied_embeddings is 1; allowed: true or false"),
    ({"checkpoints__async": "no"}, "checkpoints.async is 'no'; allowed: true or false"),
    ({"checkpoints__directory": ""}, "checkpoints.directory is ''; allowed: a path"),
    ({"tokenizer__file": 5}, "tokenizer.file is 5; allowed: a path"),
    ({"evaluation__command": ["a"]}, "evaluation.command is ['a']; allowed: a text"),
    ({"stage__1__decay": "sine"}, 'stage[2].decay is \'sine\'; allowed: "linear" or "cosine" or "minus_sqrt"'),
    ({"stage__0__mixture__web": "0.9"}, "stage[1].mixture.web is '0.9'; allowed: a number"),
    ({"stage__0__mixture__web": -0.9}, "stage[1].mixture.web is -0.9; allowed: at least 0"),
    ({"stage__0__mixture": [1]}, "stage[1].mixture is [1]; allowed: a table"),
    ({"metrics": 3}, "metrics is 3; allowed: a table"),
    ({"sources__web": "web"}, "sources.web is 'web'; allowed: a table"),
    ({"sources": 1}, "sources is 1; allowed: a table"),
    ({"stage": {"name": "a"}}, "stage is {'name': 'a'}; allowed: [[stage]] tables, with two brackets"),
    ({"stage__0": "one"}, "stage[1] is 'one'; allowed: a table"),
    ({"sources__web__tokens": "8X"}, "sources.web.tokens is '8X'; allowed: a whole number above 0, or a text such as"),
]


@pytest.mark.parametrize(("changes", "line"), WRONG_TYPES, ids=lambda value: str(value)[:40])
def test_a_value_of_another_type_is_named_with_what_is_allowed(changes, line):
    assert any(found.startswith(line) for found in complaints(document(**changes)))


MISSING = [
    ("name", "name is missing; give a text"),
    ("seed", "seed is missing; give a whole number"),
    ("model__layers", "model.layers is missing; give a whole number"),
    ("sources", "sources is missing; give a table [sources.NAME] for each source of text"),
    ("stage", "stage is missing; give at least one [[stage]]"),
    ("stage__0__name", "stage[1].name is missing; give a text"),
    ("stage__0__batch", "stage[1].batch is missing; give a whole number"),
    ("stage__0__lr", "stage[1].lr is missing; give a number"),
    ("stage__0__mixture", "stage[1].mixture is missing; give a table of sources and weights, such as { web = 0.75, "),
    ("stage__0__steps", "stage[1] has neither steps nor tokens; allowed: one of the two"),
    ("sources__web__text", "sources.web has neither dataset nor text; allowed: one of the two"),
]


@pytest.mark.parametrize(("key", "line"), MISSING)
def test_a_key_that_must_be_there_is_asked_for(key, line):
    assert any(found.startswith(line) for found in complaints(document(**{key: None})))


UNKNOWN = [
    ({"sed": 1}, "sed is no key here; did you mean 'seed'?"),
    ({"zzz": 1}, "zzz is no key here; known: checkpoints, evaluation, metrics, model, name, optimizer, parallel, seed"),
    ({"model__hiden": 1}, "model.hiden is no key here; did you mean 'hidden'?"),
    ({"checkpoints__is_async": True}, "checkpoints.is_async is no key here; did you mean 'async'?"),
    ({"sources__web__txt": "x"}, "sources.web.txt is no key here; did you mean 'text'?"),
    ({"sources__web__name": "x"}, "sources.web.name is no key here"),
    ({"stage__1__step": 3}, "stage[2].step is no key here; did you mean 'steps'?"),
    ({"stage__1__token": 3}, "stage[2].token is no key here; did you mean 'tokens'?"),
    ({"stage__1__mixture": {"coed": 1.0}}, "stage[2].mixture.coed is no source of this plan; did you mean 'code'?"),
]


@pytest.mark.parametrize(("changes", "line"), UNKNOWN, ids=lambda value: str(value)[:40])
def test_a_key_that_nobody_knows_is_refused_with_the_nearest_one(changes, line):
    (found,) = complaints(document(**changes))
    assert found.startswith(line)


BROKEN_RULES = [
    ({"model__hidden": 60}, "model.hidden is 60; allowed: a multiple of 2 x 4 heads: rotary pairs fill a head"),
    ({"model__kv_heads": 3}, "model.kv_heads is 3; allowed: a divisor of heads, 4"),
    ({"model__vocabulary": 520}, "model.vocabulary is 520; allowed: a multiple of 128 x parallel.tensor, such as 640"),
    ({"model__vocabulary": 384}, "model.vocabulary is 384; allowed: at least the tokenizer's 500"),
    ({"tokenizer": {}, "model__vocabulary": 256}, "model.vocabulary is 256; allowed: at least the tokenizer's 257"),
    (
        {"parallel__tensor": 4, "parallel__world": 4},
        "parallel.tensor is 4; allowed: a divisor of heads, 4, of kv_heads, 2, and of mlp_hidden, 128",
    ),
    (
        {"parallel__tensor": 2, "parallel__world": 2, "model__mlp_hidden": 127},
        "parallel.tensor is 2; allowed: a divisor of heads, 4, of kv_heads, 2, and of mlp_hidden, 127",
    ),
    ({"parallel__pipeline": 3, "parallel__world": 3}, "parallel.pipeline is 3; allowed: a divisor of layers, 4"),
    ({"parallel__sequence": True}, "parallel.sequence is True; allowed: true only with tensor above 1"),
    (
        {"parallel__tensor": 2, "parallel__world": 3},
        "parallel.world is 3; allowed: a multiple of tensor x pipeline x context: 2",
    ),
    ({"tokenizer": {"file": "t.json"}}, "tokenizer.file is 't.json'; allowed: a file only with kind = \"bpe\""),
    (
        {"checkpoints__keep_every_steps": 700, "checkpoints__every_steps": 200},
        "checkpoints.keep_every_steps is 700; allowed: 0, or a multiple of every_steps, 200: other steps have no",
    ),
    (
        {"checkpoints__keep_every_steps": 700, "checkpoints__every_steps": 0},
        "checkpoints.keep_every_steps is 700; allowed: 0, or a multiple of every_steps, 0: other steps have no",
    ),
    (
        {"checkpoints__local_every_steps": 5},
        "checkpoints.local_directory is None; allowed: a directory, best in /dev/shm, or no local_every_steps",
    ),
    (
        {"stage__1__warmup_steps": 11},
        "stage[2].decay_steps is 30; allowed: with warmup_steps, 11, at most the stage's 40 steps",
    ),
    ({"stage__0__lr_start": 2e-3}, "stage[1].lr_start is 0.002; allowed: at most lr, 0.001"),
    ({"stage__1__lr_end": 2e-3}, "stage[2].lr_end is 0.002; allowed: at most lr, 0.001"),
    (
        {"parallel__world": 2, "parallel__micro_batch": 3},
        "stage[1].batch is 8; allowed: a multiple of data parallel size x micro_batch: 2 x 3",
    ),
    (
        {"parallel__context": 3, "parallel__world": 3},
        "stage[1].sequence_length is 32; allowed: a multiple of 2 x context: 6",
    ),
    (
        {
            "parallel__tensor": 2,
            "parallel__world": 2,
            "parallel__sequence": True,
            "stage__0__sequence_length": 33,
        },
        "stage[1].sequence_length is 33; allowed: a multiple of tensor x context with sequence = true: 2",
    ),
    (
        {"stage__0__mixture": {"web": 0.9, "code": 0.2}},
        "stage[1].mixture sums to 1.1; allowed: weights that sum to 1 exactly",
    ),
    (
        {"stage__0__mixture": {"web": 0.3333333, "code": 0.6666666}},
        "stage[1].mixture sums to 0.9999999; allowed: weights that sum to 1 exactly",
    ),
    ({"stage__1__name": "one"}, "stage.name is 'one' 2 times; allowed: once, as stages go by their names"),
    ({"sources__web__dataset": "d"}, "sources.web has both dataset and text; allowed: one of the two"),
    ({"stage__0__tokens": 5}, "stage[1] has both steps and tokens; allowed: one of the two"),
    ({"sources__a b": {"text": "x"}}, "sources.a b is 'a b'; allowed: letters, digits, dot, dash and underscore"),
]


@pytest.mark.parametrize(("changes", "line"), BROKEN_RULES, ids=lambda value: str(value)[:40])
def test_values_that_do_not_go_together_are_named_with_what_would(changes, line):
    assert any(found.startswith(line) for found in complaints(document(**changes)))


def test_every_rule_has_been_broken_by_a_test():
    lines = [line for _, line in BROKEN_RULES]
    for rule in RULES:
        blamed = rule.keys[0].replace("stage.", "", 1)
        assert any(blamed in line for line in lines), rule.keys


def test_ten_tenths_are_1_though_their_sum_of_floats_is_not():
    weights = {f"s{number}": 0.1 for number in range(10)}
    assert sum(weights.values()) != 1.0
    sources = {name: {"text": "x"} for name in [*weights, "code"]}
    assert complaints(document(sources=sources, stage__0__mixture=weights)) == []


def test_everything_wrong_is_said_at_once_and_one_wrong_key_hides_no_other():
    changes = {"sed": 1, "model__layers": "4", "model__kv_heads": 3, "stage__0__lr": None, "stage__1__mixture__code": 2}
    assert complaints(document(**changes)) == [
        "sed is no key here; did you mean 'seed'?",
        "model.layers is '4'; allowed: a whole number",
        "stage[1].lr is missing; give a number",
        "stage[2].mixture sums to 2.0; allowed: weights that sum to 1 exactly",
        "model.kv_heads is 3; allowed: a divisor of heads, 4",
    ]


def test_rules_are_not_judged_with_a_value_that_is_wrong_by_itself():
    assert complaints(document(model__heads=0)) == ["model.heads is 0; allowed: at least 1"]


@pytest.mark.parametrize(
    ("value", "tokens"),
    [(1, 1), (1_000_000, 10**6), ("52B", 52 * 10**9), ("8.14T", 8_140_000_000_000), ("3k", 3000), ("1.5m", 1_500_000)]
    + [(value, None) for value in (0, -1, True, 1.5, "", "B", "1.5", "-2B", "1X", "0.0001K", "1e400T", "nan", None)],
)
def test_tokens_are_whole_numbers_or_texts_with_a_unit(value, tokens):
    assert read_count(value) == tokens


def test_tokens_are_rounded_up_to_whole_steps():
    changes = {"stage__1__steps": None, "stage__1__tokens": "10.1K", "stage__1__decay_steps": None}
    assert a_plan(**changes).stages[1].steps == 40  # of 256 tokens: 39 would be 9,984


def test_a_decay_longer_than_the_steps_that_tokens_give_is_found():
    changes = {"stage__1__steps": None, "stage__1__tokens": 2560}
    assert complaints(document(**changes)) == [
        "stage[2].decay_steps is 30; allowed: with warmup_steps, 0, at most the stage's 10 steps"
    ]


def test_paths_begin_where_the_plan_is_and_the_standard_library_stays_itself(tmp_path):
    found = document(
        sources__web__text="{stdlib}/*.py",
        sources__code__dataset="/absolute/code",
        sources__more={"text": "texts/*.md"},
        tokenizer__file="t.json",
    )
    plan = parse_plan(found, file="p", home=tmp_path)
    assert plan.sources["web"].text == "{stdlib}/*.py"
    assert plan.sources["code"].dataset == Path("/absolute/code")
    assert plan.sources["more"].text == f"{tmp_path}/texts/*.md"
    assert plan.tokenizer.file == tmp_path / "t.json"
    assert plan.checkpoints.directory == Path("checkpoints")


def test_a_file_that_cannot_be_read_is_said(tmp_path):
    with pytest.raises(UsageError, match=r"the plan .*none.toml can't be read: .*No such file"):
        load_plan(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    with pytest.raises(UsageError, match=r"the plan .*latin.toml can't be read: .*utf-8"):
        load_plan(tmp_path / "latin.toml")
    (tmp_path / "no.toml").write_text("name = ")
    with pytest.raises(UsageError, match=r"no.toml is no TOML: Invalid value"):
        load_plan(tmp_path / "no.toml")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "Expecting property name"),
        ("[]", "'list' object has no attribute 'get'"),
        ("{}", "it has no 'fryer_plan'"),
        ('{"fryer_plan": 99}', "its fryer_plan is 99, and this version of Fryer reads 1"),
        ('{"fryer_plan": 1}', "'name'"),
    ],
)
def test_a_resolved_plan_that_is_none_is_said(tmp_path, text, problem):
    file = tmp_path / "plan.json"
    file.write_text(text)
    with pytest.raises(UsageError, match=r"plan\.json is no resolved plan: ") as error:
        load_plan(file)
    assert problem in str(error.value)


@settings(max_examples=40, deadline=None)
@given(plans())
def test_a_resolved_plan_is_read_again_as_it_was_from_json_and_from_toml(plan):
    assert plan_from_json(json.loads(json.dumps(to_json(plan)))) == plan
    resolved = tomllib.loads(show_resolved(plan))
    assert parse_plan(resolved, file="resolved", home=HOME) == plan


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["name", "seed", "model", "stage", "sources", "parallel", "x"]),
        st.from_type(type(None))
        | st.integers()
        | st.text()
        | st.lists(st.dictionaries(st.text(), st.integers()))
        | st.dictionaries(st.text(), st.integers() | st.dictionaries(st.text(), st.integers())),
    )
)
def test_no_document_is_more_than_wrong(found):
    """Whatever is in it, the answer is one error, and not a crash."""
    assert complaints(found)


def test_plans_are_read_without_torch():
    program = "import sys; import trainer.plan.summary, trainer.cli.plan_only; print('torch' in sys.modules)"
    found = run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout == "False\n"
