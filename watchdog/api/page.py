"""docs/api.md from the OpenAPI of the application: ``python -m watchdog.api.page > docs/api.md``. Pure but for main."""

import sys
from collections.abc import Iterable, Mapping
from typing import Any, cast

from watchdog.api.app import make_app
from watchdog.api.limits import ApiLimits
from watchdog.service import Service

PAGE = "docs/api.md"

_HEAD = """# The daemon's API

Written by `python -m watchdog.api.page > docs/api.md`; a test holds it. The same as OpenAPI: `GET /v1/openapi.json`.

JSON over HTTP/1.1 on a unix socket that only the daemon's user may open (`/run/fryer/watchdog.sock`, mode 0600), and on
TCP only where a token and TLS files are configured; there every request but `/healthz` needs the header
`Authorization: Bearer TOKEN`.

- Every document has `type`, `schema` (`fryer/watch`) and `version` (1). Keys and types may be added within a version;
  none is renamed, removed or given another meaning. Ignore those that you do not know.
- Units are in the names. Times (`at`, `since`, `..._at`) are Unix seconds. NaN and infinities are the strings `"NaN"`,
  `"Infinity"`, `"-Infinity"`, both ways. What could not be read is absent or null, never 0.
- Subjects are written `node001`, `node001/gpu:GPU-5f3a...`, `node001/nic:mlx5_0:1`, `node001/rank:3`.
- A POST is answered once it is on disk. Without an answer, or with 429 or 503, send it again: a record is kept once.
- Unknown fields and parameters are refused with the nearest known name.

```sh
curl --unix-socket /run/fryer/watchdog.sock http://fryer/v1/health
curl --unix-socket /run/fryer/watchdog.sock -N http://fryer/v1/stream
curl --unix-socket /run/fryer/watchdog.sock http://fryer/v1/steps --json \\
  '{"steps": [{"run": "r", "rank": 0, "step": 7, "at": 1767225600.5, "loss": "NaN"}]}'
```

Refusals are `error` documents:

| status | when |
| --- | --- |
"""


def render_page() -> str:
    """The page as Markdown."""
    limits = ApiLimits()
    # no route is called, so there is no service
    contract = make_app(cast(Service, None), token=None, limits=limits).openapi()
    schemas = contract["components"]["schemas"]
    first = next(iter(next(iter(contract["paths"].values())).values()))
    refusals = {code: text for code, text in first["responses"].items() if code != "200"}
    lines = [f"| {code} | {text['description']} |" for code, text in refusals.items()]
    lines += ["", "## Limits", "", "| per listener | |", "| --- | --- |"]
    lines += [f"| `{name}` | {getattr(limits, name):,} |" for name in limits.__slots__]
    lines += ["", "## Requests"]
    for path, operations in contract["paths"].items():
        for method, operation in operations.items():
            lines += _operation(method, path, operation)
    lines += ["", "## Documents and their parts"]
    for name, schema in schemas.items():
        lines += _schema(name, schema)
    return _HEAD + "\n".join(lines) + "\n"


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> list[str]:
    lines = ["", f"### {method.upper()} {path}", "", f"{operation['summary']}."]
    asked = operation.get("parameters", [])
    if asked:
        lines += ["", "| parameter | in | type | default | |", "| --- | --- | --- | --- | --- |"]
        lines += [f"| `{p['name']}` | {p['in']} | {_type(p['schema'])} | {_default(p)} | {_said(p)} |" for p in asked]
    body = operation.get("requestBody")
    if body:
        lines += ["", f"Body: {_type(body['content']['application/json']['schema'])}."]
    content = operation["responses"]["200"]["content"]
    answers = [_type(media["schema"]) if kind == "application/json" else f"`{kind}`" for kind, media in content.items()]
    return [*lines, "", f"Answer: {', '.join(answers)}."]


def _schema(name: str, schema: Mapping[str, Any]) -> list[str]:
    lines = ["", f"### {name}", "", _said(schema)]
    if "enum" in schema:
        return [*lines, "", _words(schema["enum"])]
    required = schema.get("required", [])
    lines += ["", "| field | type | |", "| --- | --- | --- |"]
    for field, kind in schema.get("properties", {}).items():
        note = "; ".join(filter(None, ["required" if field in required else _default({"schema": kind}), _said(kind)]))
        lines.append(f"| `{field}` | {_type(kind)} | {note} |")
    return lines


def _type(schema: Mapping[str, Any]) -> str:
    """In a few words, with its bounds."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type(choice) for choice in schema["anyOf"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return _words(schema["enum"])
    match schema.get("type"):
        case "array":
            text = f"list of {_type(schema.get('items', {}))}"
        case "object" if isinstance(schema.get("additionalProperties"), Mapping):
            text = f"object of {_type(schema['additionalProperties'])}"
        case None:
            return "any"
        case kind:
            text = str(kind)
    return text + _bounds(schema)


def _bounds(schema: Mapping[str, Any]) -> str:
    signs = {
        "minimum": "≥ ",
        "maximum": "≤ ",
        "exclusiveMaximum": "< ",
        "minLength": "length ≥ ",
        "maxLength": "length ≤ ",
        "minItems": "items ≥ ",
        "maxItems": "items ≤ ",
        "maxProperties": "keys ≤ ",
    }
    found = [f"{sign}{schema[key]:g}" for key, sign in signs.items() if key in schema]
    return f" ({', '.join(found)})" if found else ""


def _words(values: Iterable[object]) -> str:
    return " ".join(f"`{value}`" for value in values)


def _said(schema: Mapping[str, Any]) -> str:
    """Its docstring, on one line."""
    return " ".join(schema.get("description", "").split())


def _default(parameter: Mapping[str, Any]) -> str:
    if parameter.get("required"):
        return "required"
    default = parameter["schema"].get("default")
    return "" if default is None else f"`{default!r}`"


if __name__ == "__main__":
    sys.stdout.write(render_page())
