"""plan.toml -> `Plan`. Everything that is wrong in the file is said at once."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from trainer.plan.check import check
from trainer.plan.fields import read_count, read_fields, read_value
from trainer.plan.json_form import FORMAT_KEY, plan_from_json
from trainer.plan.words import (
    CheckpointPlan,
    EvaluationPlan,
    MetricsPlan,
    ModelPlan,
    OptimizerPlan,
    ParallelPlan,
    Plan,
    Source,
    Stage,
    Tokenizer,
)
from watchdog.vocabulary.complaints import Complaints
from watchdog.vocabulary.errors import UsageError

_SECTIONS: Mapping[str, type[Any]] = {
    "model": ModelPlan,
    "parallel": ParallelPlan,
    "optimizer": OptimizerPlan,
    "tokenizer": Tokenizer,
    "checkpoints": CheckpointPlan,
    "evaluation": EvaluationPlan,
    "metrics": MetricsPlan,
}
_KEYS = ("name", "seed", *_SECTIONS, "sources", "stage")
STDLIB = "{stdlib}"


def load_plan(path: Path) -> Plan:
    """The plan in `path`: TOML, or a resolved one in JSON. Paths in it are relative to its directory. Raises
    `UsageError` with all that is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the plan {path} can't be read: {error}") from error
    if path.suffix == ".json":
        return _resolved(text, path)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is no TOML: {error}") from error
    return parse_plan(document, file=str(path), home=path.parent)


def _resolved(text: str, path: Path) -> Plan:
    try:
        document = json.loads(text)
        if document.get(FORMAT_KEY) is None:
            raise ValueError(f"it has no {FORMAT_KEY!r}")
        return plan_from_json(document)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is no resolved plan: {error}") from error


def parse_plan(document: Mapping[str, Any], *, file: str, home: Path) -> Plan:
    """The plan in a parsed document; `home` is where its relative paths begin."""
    complaints = Complaints(file)
    complaints.unknown("", document, _KEYS)
    sections: dict[str, Any] = {
        name: read_fields(kind, complaints.table(name, document.get(name, {})), name, complaints)
        for name, kind in _SECTIONS.items()
    }
    sources = _sources(document, complaints)
    stages = _stages(document, complaints)
    name = _required("name", document, str, complaints)
    seed = _required("seed", document, int, complaints)
    complaints.raise_if_any()
    assert None not in sections.values()
    plan = Plan(name=name, seed=seed, sources=sources, stages=stages, **sections)
    check(plan, complaints)
    complaints.raise_if_any()
    return _at_home(plan, home)


def _required(key: str, document: Mapping[str, Any], kind: type[Any], complaints: Complaints) -> Any:
    if key in document:
        return read_value(key, document[key], kind, complaints)
    return complaints.missing(key, {str: "a text", int: "a whole number"}[kind])


def _sources(document: Mapping[str, Any], complaints: Complaints) -> dict[str, Source]:
    tables = complaints.table("sources", document.get("sources", {}))
    found = {}
    for name, value in tables.items():
        where = f"sources.{name}"
        table = complaints.table(where, value)
        source = read_fields(
            Source,
            {key: each for key, each in table.items() if key != "tokens"},
            where,
            complaints,
            given={"name": name, "tokens": _count(f"{where}.tokens", table, complaints)},
            known=("tokens",),
        )
        if source:
            found[name] = source
    return found


def _stages(document: Mapping[str, Any], complaints: Complaints) -> tuple[Stage, ...]:
    tables = document.get("stage", [])
    if not isinstance(tables, list) or not tables:
        complaints.missing("stage", "at least one [[stage]]")
        return ()
    found = [_stage(value, f"stage[{number}]", complaints) for number, value in enumerate(tables, 1)]
    return tuple(stage for stage in found if stage)


def _stage(value: object, where: str, complaints: Complaints) -> Stage | None:
    table = complaints.table(where, value)
    mixture = _mixture(f"{where}.mixture", table, complaints)
    tokens = _count(f"{where}.tokens", table, complaints)
    if ("steps" in table) == ("tokens" in table):
        complaints.found.append(f"{where} needs steps or tokens, one of them")
    rest = {key: each for key, each in table.items() if key not in ("mixture", "tokens")}
    # steps that come from tokens are known only once batch and length are
    stage = read_fields(
        Stage,
        rest if "steps" in rest else rest | {"steps": 1},
        where,
        complaints,
        given={"mixture": mixture},
        known=("mixture", "tokens"),
    )
    if stage is None or tokens is None:
        return stage
    step_tokens = max(1, stage.batch * stage.sequence_length)
    return replace(stage, steps=-(-tokens // step_tokens))


def _mixture(where: str, table: Mapping[str, Any], complaints: Complaints) -> dict[str, float]:
    if "mixture" not in table:
        complaints.missing(where, "a table of sources and weights")
        return {}
    weights = complaints.table(where, table["mixture"])
    return {name: read_value(f"{where}.{name}", weight, float, complaints) for name, weight in weights.items()}


def _count(where: str, table: Mapping[str, Any], complaints: Complaints) -> int | None:
    if "tokens" not in table:
        return None
    found = read_count(table["tokens"])
    if found is None:
        complaints.add(where, table["tokens"], 'a whole number above 0, or a text such as "52B" or "8.14T"')
    return found


def _at_home(plan: Plan, home: Path) -> Plan:
    """Paths of inputs begin where the plan is; those of outputs in the run's directory, which the plan doesn't know."""
    sources = {name: _source_at(source, home) for name, source in plan.sources.items()}
    file = plan.tokenizer.file
    return replace(
        plan, sources=sources, tokenizer=replace(plan.tokenizer, file=(home / file).absolute() if file else None)
    )


def _source_at(source: Source, home: Path) -> Source:
    text, dataset = source.text, source.dataset
    if text and not text.startswith((STDLIB, "/")):
        text = str(home.absolute() / text)
    return replace(source, text=text, dataset=(home / dataset).absolute() if dataset else None)
