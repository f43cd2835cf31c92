"""Our parser against Prometheus' own client library, and by properties."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from watchdog.collectors.exposition import Sample, samples
from watchdog.vocabulary.errors import SourceFailed

PAGE = Path(__file__).parents[3] / "../shared/data/dcgm/netdata_metrics_valid.prom"
NAMES = st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,8}", fullmatch=True)
LABELS = st.dictionaries(st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,8}", fullmatch=True), st.text(max_size=8), max_size=3)


def escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


@given(NAMES, LABELS, st.floats(allow_nan=False))
def test_what_is_written_is_read_back(name: str, labels: dict[str, str], value: float) -> None:
    inside = ",".join(f'{key}="{escaped(text)}"' for key, text in labels.items())
    line = f"{name}{{{inside}}} {value}\n" if labels else f"{name} {value}\n"
    assert list(samples(line)) == [Sample(name, labels, value)]


def test_it_reads_as_prometheus_own_parser_does() -> None:
    """Which puts ``_total`` behind the name of every counter."""
    if not PAGE.exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{PAGE} is needed here")
        pytest.skip(f"{PAGE} is not here")
    text = PAGE.read_text(encoding="utf-8")
    theirs = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert [shown(one.name, one.labels, one.value) for one in samples(text)] == [
        shown(one.name.removesuffix("_total"), one.labels, one.value) for one in theirs
    ]


def shown(name: str, labels: Mapping[str, str], value: float) -> tuple[str, dict[str, str], float]:
    return name, dict(labels), float(value)


def test_times_blanks_and_comments_are_passed_over() -> None:
    text = '# TYPE a gauge\n\n a{b="c",} 1 1700000000000\na 2\n'
    assert list(samples(text)) == [Sample("a", {"b": "c"}, 1.0), Sample("a", {}, 2.0)]


def test_a_last_line_without_its_end_was_cut_off() -> None:
    with pytest.raises(SourceFailed, match="ends in the middle of a line: 'a 1\\\\na 2'"):
        list(samples("a 1\na 2"))
