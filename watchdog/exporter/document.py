"""docs/metrics.md, made from the catalogue."""

from collections.abc import Iterator

from watchdog.exporter.metrics import SECTIONS, Family

_HEAD = """# Metrics

What `/metrics` of `fryer watch` gives. Made from the code: `python -m watchdog.exporter >docs/metrics.md`.

- Base units, unit last; ratios are 0 to 1; times are Unix seconds. `_info` families and state sets (`..._state`,
  `..._limited`, `..._action`, `..._active`) are 0 or 1: `fryer_health_state{component="node",state="fail"} == 1`.
- **A reading that failed, or that is older than three periods of its collector (at least a minute), is an absent
  series**, never 0 and never the last value. Write alerts for absence too.
- Only `run_loss` and its like may be NaN: then the run said so.
- `gpu` is the index, for people; `uuid` is for joins, since indices move when a GPU falls off. There is no node label:
  give `instance` the node's name when scraping (`deploy/prometheus/prometheus.example.yml`).
- **A counter whose series begins at 1 has no `increase()`**: the first Xid of its kind would be missed. Use its
  last-seen timestamp: `time() - fryer_gpu_xid_last_timestamp_seconds < 300`.
- Labels never hold a pid, a message or a step.
- A counter of the daemon that is not listed here yet appears under its own name.
"""


def document() -> str:
    """The whole file."""
    return "\n".join((_HEAD, *(line for title, families in SECTIONS for line in _section(title, families))))


def _section(title: str, families: tuple[Family, ...]) -> Iterator[str]:
    yield f"## {title}\n"
    yield "| metric | kind | labels | meaning |"
    yield "| --- | --- | --- | --- |"
    for family in families:
        labels = ", ".join(f"`{label}`" for label in family.labels)
        yield f"| `{family.name}` | {family.kind} | {labels} | {family.help} |"
    yield ""
