"""A resolved plan as TOML, with no default left out: what --plan-only prints, and what `load_plan` reads again."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from trainer.plan.fields import key_of
from trainer.plan.json_form import FORMAT_KEY, to_json
from trainer.plan.words import Plan


def show_resolved(plan: Plan) -> str:
    """The whole plan. Keys without a value are left out; the number of a stage's steps is given, not of its tokens."""
    document = to_json(plan)
    del document[FORMAT_KEY]
    sources, stages = document.pop("sources"), document.pop("stages")
    lines = [f"{key} = {_value(value)}" for key, value in document.items() if not isinstance(value, dict)]
    for name, section in document.items():
        if isinstance(section, dict):
            lines += ["", f"[{name}]", *_pairs(section)]
    for name, source in sources.items():
        lines += ["", f"[sources.{_key(name)}]", *_pairs({key: each for key, each in source.items() if key != "name"})]
    for stage in stages:
        lines += ["", "[[stage]]", *_pairs(stage)]
    return "\n".join(lines) + "\n"


def _pairs(table: Mapping[str, Any]) -> Iterator[str]:
    for name, value in table.items():
        if value is not None:
            yield f"{_key(key_of(name))} = {_value(value)}"


def _key(name: str) -> str:
    return name if name.replace("-", "").replace("_", "").isalnum() and name.isascii() else _text(name)


def _text(value: str) -> str:
    # as in JSON, but for one control character that JSON lets stand
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: object) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_value(each)}" for key, each in value.items()) + " }"
    return str(value).lower() if isinstance(value, bool) else repr(value)
