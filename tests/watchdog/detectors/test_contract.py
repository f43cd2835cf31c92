"""What every detector keeps to, whichever failure mode is its own."""

import ast
import json
import random
from dataclasses import fields, is_dataclass, replace
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchdog import detectors
from watchdog.detectors import DETECTORS
from watchdog.vocabulary.findings import Severity
from watchdog.vocabulary.samples import Series, Window

FOLDER = Path(detectors.__file__).parent
SHARED = {"__init__", "reading", "held", "counters"}
ACTIONS = {
    "none", "restart_app", "reset_gpu", "reboot_node", "drain_reset", "inspect", "contact_support", "save", "stop_job",
}  # fmt: skip
NAMES = pytest.mark.parametrize("name", DETECTORS)


def run(name, window):
    return list(DETECTORS[name].detect(window, DETECTORS[name].limits()))


def test_every_file_is_listed_and_has_a_test():
    files = {path.stem for path in FOLDER.glob("*.py")}
    tests = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}
    assert files - SHARED == set(DETECTORS)
    assert files - {"__init__"} <= tests  # one each, and those over all of them


def test_every_detector_has_a_sick_window(sick):
    assert set(sick) == set(DETECTORS)


@NAMES
def test_its_fault_is_found_under_its_own_name(name, sick):
    found = run(name, sick[name])
    assert found
    assert {finding.source for finding in found} == {name}


@NAMES
def test_a_healthy_node_gives_nothing(name, make):
    assert run(name, make.node_of(8)) == []


@NAMES
def test_an_empty_window_gives_nothing(name, make):
    assert run(name, Window(now=make.NOW)) == []


@NAMES
def test_the_same_window_gives_the_same_findings(name, sick):
    window = sick[name]
    before = (window.now, {m: dict(s) for m, s in window.columns.items()}, tuple(window.events), dict(window.facts))
    assert run(name, window) == run(name, window)
    after = (window.now, {m: dict(s) for m, s in window.columns.items()}, tuple(window.events), dict(window.facts))
    assert before == after


@NAMES
def test_it_takes_now_from_the_window(name, sick):
    """The same window a year later, every time in it shifted, gives the same findings a year later."""
    window, year = sick[name], 365 * 86400.0
    later = shifted(window, year)
    found = [(f.key, f.severity, f.since + year) for f in run(name, window)]
    assert [(f.key, f.severity, f.since) for f in run(name, later)] == found


def shifted(window, seconds):
    return Window(
        now=window.now + seconds,
        columns={
            metric: {s: Series([at + seconds for at in one.at], list(one.values)) for s, one in subjects.items()}
            for metric, subjects in window.columns.items()
        },
        events=[replace(event, at=event.at + seconds) for event in window.events],
        facts=window.facts,
    )


@NAMES
def test_findings_are_ready_for_scripts(name, sick):
    for finding in run(name, sick[name]):
        assert finding.action in ACTIONS
        assert any(fnmatchcase(finding.code, code) for code in DETECTORS[name].codes), finding.code
        assert finding.severity is not Severity.OK
        assert finding.since <= sick[name].now
        assert finding.message
        assert "\n" not in finding.message
        assert finding.evidence
        assert json.loads(json.dumps(dict(finding.evidence), allow_nan=False)) == dict(finding.evidence)


@NAMES
def test_one_finding_a_key(name, sick):
    keys = [finding.key for finding in run(name, sick[name])]
    assert len(keys) == len(set(keys))


@NAMES
@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32))
def test_the_order_of_subjects_changes_nothing(name, sick, seed):
    window, shuffle = sick[name], random.Random(seed)

    def mixed(mapping):
        items = list(mapping.items())
        shuffle.shuffle(items)
        return dict(items)

    other = Window(
        now=window.now,
        columns=mixed({metric: mixed(subjects) for metric, subjects in window.columns.items()}),
        events=window.events,
        facts=mixed(window.facts),
    )
    assert run(name, other) == run(name, window)


@NAMES
@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32))
def test_metrics_that_are_missing_never_make_it_worse(name, sick, seed):
    """Whatever is absent, a detector neither fails nor finds what it did not find with everything there."""
    window, choose = sick[name], random.Random(seed)
    kept = {metric: subjects for metric, subjects in window.columns.items() if choose.random() < 0.7}
    found = run(name, Window(now=window.now, columns=kept, events=window.events, facts=window.facts))
    whole = {finding.key: finding.severity for finding in run(name, window)}
    assert all(f.severity <= Severity.UNKNOWN or f.severity <= whole.get(f.key, Severity.OK) for f in found)


@NAMES
def test_one_reading_alone_is_no_fail_unless_it_is_certain(name, sick):
    """What NVML or a path says of itself in one look is certain: lost, failed, asks for a recovery, silent, full."""
    certain = {"gpu_lost", "row_remap_failed", "recovery_action", "nvml_unresponsive", "disk_full", "storage_silent"}
    window = sick[name]
    columns = {
        metric: {subject: series.since(series.at[-1]) for subject, series in subjects.items()}
        for metric, subjects in window.columns.items()
    }
    found = run(name, Window(now=window.now, columns=columns, facts=window.facts))
    assert {f.code for f in found if f.severity is Severity.FAIL} <= certain


@NAMES
def test_limits_are_frozen_documented_and_refuse_what_is_no_number(name):
    limits = DETECTORS[name].limits
    assert is_dataclass(limits)
    assert limits.__dataclass_params__.frozen
    assert "__slots__" in limits.__dict__
    assert set(documented(name)) == {member.name for member in fields(limits)}
    for member in fields(limits):
        if isinstance(member.default, float):
            with pytest.raises(ValueError, match=f"{member.name} is nan; it must be a finite number"):
                limits(**{member.name: float("nan")})


def documented(name):
    """Field -> docstring, as the source has it."""
    tree = ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))
    body = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Limits").body
    return {
        field.target.id: text.value.value
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
    }


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_no_clock_no_io_no_log_no_state(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add((node.module or "").partition(".")[0])
        assert not isinstance(node, ast.Global | ast.Nonlocal)
        called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
        assert called not in {"open", "print", "input"}
    assert modules <= {
        "watchdog", "collections", "dataclasses", "types", "typing", "statistics", "math", "itertools", "bisect",
    }  # fmt: skip


def test_the_list_cannot_be_changed():
    assert isinstance(DETECTORS, MappingProxyType)
    assert all(detector.summary and not detector.summary.endswith(".") for detector in DETECTORS.values())
