"""plan.toml -> `Plan`. Everything that is wrong in the file is said at once."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from trainer.plan.check import check_mixture, check_names, check_rules
from trainer.plan.fields import FieldReader, read_count
from trainer.plan.json_form import FORMAT_KEY, plan_from_json
from trainer.plan.ranges import NAME, RANGES, TOP, at_least
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

SECTIONS: Mapping[str, type[Any]] = {
    "model": ModelPlan,
    "parallel": ParallelPlan,
    "optimizer": OptimizerPlan,
    "tokenizer": Tokenizer,
    "checkpoints": CheckpointPlan,
    "evaluation": EvaluationPlan,
    "metrics": MetricsPlan,
}
"""Tables that a plan has once."""
_KEYS = ("name", "seed", *SECTIONS, "sources", "stage")
STDLIB = "{stdlib}"
"""What a source's text may begin with; see `trainer.data.corpus`."""


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
    reader = FieldReader(complaints=complaints)
    sections: dict[str, Any] = {
        name: reader.read(kind, complaints.table(name, document.get(name, {})), name, ranges=RANGES[name])
        for name, kind in SECTIONS.items()
    }
    name = _required("name", document, str, reader)
    seed = _required("seed", document, int, reader)
    sources = _sources(document, reader)
    stages = _stages(document, tuple(sources), reader)
    check_rules(reader.good, len(stages), complaints)
    complaints.raise_if_any()
    return _at_home(
        Plan(
            name=name,
            seed=seed,
            sources={name: source for name, source in sources.items() if source},
            stages=tuple(stage for stage in stages if stage),
            **sections,
        ),
        home,
    )


def _required(key: str, document: Mapping[str, Any], kind: type[Any], reader: FieldReader) -> Any:
    if key in document:
        return reader.value(key, document[key], kind, TOP[key])
    return reader.complaints.missing(key, {str: "a text", int: "a whole number"}[kind])


def _sources(document: Mapping[str, Any], reader: FieldReader) -> dict[str, Source | None]:
    complaints = reader.complaints
    tables = complaints.table("sources", document.get("sources", {}))
    if not tables:
        complaints.missing("sources", "a table [sources.NAME] for each source of text")
    return {name: _source(name, value, reader) for name, value in tables.items()}


def _source(name: str, value: object, reader: FieldReader) -> Source | None:
    where = f"sources.{name}"
    if not NAME.holds(name):
        reader.complaints.add(where, name, NAME.text)
    table = reader.complaints.table(where, value)
    if ("dataset" in table) == ("text" in table):
        reader.complaints.found.append(f"{where} has {_given(table, 'dataset', 'text')}; allowed: one of the two")
    return reader.read(
        Source,
        {key: each for key, each in table.items() if key != "tokens"},
        where,
        ranges=RANGES["sources"],
        given={"name": name, "tokens": _count(f"{where}.tokens", table, reader)},
        known=("tokens",),
    )


def _stages(document: Mapping[str, Any], sources: Sequence[str], reader: FieldReader) -> list[Stage | None]:
    tables = document.get("stage", [])
    if not isinstance(tables, list):
        reader.complaints.add("stage", tables, "[[stage]] tables, with two brackets")
        return []
    if not tables:
        reader.complaints.missing("stage", "at least one [[stage]]")
    found = [_stage(value, f"stage[{number}]", sources, reader) for number, value in enumerate(tables, 1)]
    keys = (f"stage[{number}].name" for number in range(1, len(found) + 1))
    check_names([reader.good[key] for key in keys if key in reader.good], reader.complaints)
    return found


def _stage(value: object, where: str, sources: Sequence[str], reader: FieldReader) -> Stage | None:
    table = reader.complaints.table(where, value)
    if ("steps" in table) == ("tokens" in table):
        reader.complaints.found.append(f"{where} has {_given(table, 'steps', 'tokens')}; allowed: one of the two")
    mixture = _mixture(f"{where}.mixture", table, sources, reader)
    tokens = _count(f"{where}.tokens", table, reader)
    rest = {key: each for key, each in table.items() if key not in ("mixture", "tokens")}
    # steps that come from tokens are known only once batch and length are
    given: dict[str, Any] = {"mixture": mixture} | ({} if "steps" in table else {"steps": 1})
    stage = reader.read(Stage, rest, where, ranges=RANGES["stage"], given=given, known=("mixture", "tokens", "steps"))
    batch, length = (reader.good.get(f"{where}.{key}") for key in ("batch", "sequence_length"))
    if "steps" not in table and tokens and batch and length:
        reader.good[f"{where}.steps"] = steps = -(-tokens // (batch * length))
        return replace(stage, steps=steps) if stage else None
    return stage


def _given(table: Mapping[str, Any], one: str, other: str) -> str:
    return f"both {one} and {other}" if one in table else f"neither {one} nor {other}"


def _mixture(where: str, table: Mapping[str, Any], sources: Sequence[str], reader: FieldReader) -> dict[str, float]:
    if "mixture" not in table:
        reader.complaints.missing(where, "a table of sources and weights, such as { web = 0.75, code = 0.25 }")
        return {}
    weights = reader.complaints.table(where, table["mixture"])
    found = {name: reader.value(f"{where}.{name}", weight, float, at_least(0)) for name, weight in weights.items()}
    if None not in found.values():
        check_mixture(where, found, sources, reader.complaints)
    return found


def _count(where: str, table: Mapping[str, Any], reader: FieldReader) -> int | None:
    if "tokens" not in table:
        return None
    found = read_count(table["tokens"])
    if found is None:
        reader.complaints.add(where, table["tokens"], 'a whole number above 0, or a text such as "52B" or "8.14T"')
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
