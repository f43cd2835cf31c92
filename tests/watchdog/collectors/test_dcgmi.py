"""dcgmi's words: captured reports, reports made after its source (3.3.9 and 4.6.0), and a program that plays it."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from watchdog.collectors.dcgmi import Dcgmi, Settings, run_diag
from watchdog.collectors.dcgmi_diag import DiagTest, parse_diag
from watchdog.collectors.dcgmi_health import Incident, parse_discovery, parse_health
from watchdog.vocabulary.errors import SourceFailed, SourceMissing
from watchdog.vocabulary.subjects import Subject
from watchdog.vocabulary.verdicts import Verdict

CAPTURED = Path(__file__).parents[3] / "../shared/data/dcgm"
REPORTS = ["dcgm4_8gpu_diag_truncated_info.json", "dcgm4_a10g_diag_r2_pass.txt", "v100_diag_r3_verbose_pass.txt"]
UUIDS = ("GPU-34bf77d1-c686-6821-79a8-32d326c5039c", "GPU-f5046fa5-3db4-45e8-870a-dc1376becaa5")
DISCOVERY = f"""2 GPUs found.
+--------+----------------------------------------------------------------------+
| GPU ID | Device Information                                                   |
+--------+----------------------------------------------------------------------+
| 0      | Name: NVIDIA H800                                                    |
|        | PCI Bus ID: 00000000:18:00.0                                         |
|        | Device UUID: {UUIDS[0]}                |
+--------+----------------------------------------------------------------------+
| 1      | Name: NVIDIA H800                                                    |
|        | PCI Bus ID: 00000000:3E:00.0                                         |
|        | Device UUID: {UUIDS[1]}                |
+--------+----------------------------------------------------------------------+
0 NvSwitches found.
+-----------+
| Switch ID |
+-----------+
+-----------+
"""
HEALTHY = {"body": {"Overall Health": {"value": "Healthy"}}, "header": ["Health Monitor Report"]}
Program = Callable[..., str]


def captured(name: str) -> str:
    path = CAPTURED / name
    if not path.exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{path} is needed here")
        pytest.skip(f"{path} is not here")
    return path.read_text(encoding="utf-8")


def v4(*tests: dict[str, object], gpus: int = 2) -> dict[str, object]:
    """A report as DCGM 4 makes it, all tests in one category."""
    entities = [{"entity_id": gpu, "device_id": "2330"} for gpu in range(gpus)]
    return {
        "DCGM Diagnostic": {"test_categories": [{"category": "Hardware", "tests": list(tests)}]},
        "entity_groups": [{"entity_group": "GPU", "entity_group_id": 1, "entities": entities}],
        "metadata": {"version": "4.6.0", "Driver Version Detected": "580.105.08"},
    }


def on_gpus(name: str, *words: str, summary: str = "", **of_first: object) -> dict[str, object]:
    results: list[dict[str, object]] = [
        {"entity_group": "GPU", "entity_group_id": 1, "entity_id": gpu, "status": word}
        for gpu, word in enumerate(words)
    ]
    results[0] |= of_first
    return {"name": name, "results": results, **({"test_summary": {"status": summary}} if summary else {})}


def v3(word: str, *words: str) -> dict[str, object]:
    """A report as DCGM 3 makes it: a software test of the whole, and a test of each GPU."""
    software = {"name": "Denylist", "results": [{"status": word}]}
    of_gpus = [{"gpu_id": str(gpu), "status": one} for gpu, one in enumerate(words)]
    categories = [
        {"category": "Deployment", "tests": [software]},
        {"category": "Hardware", "tests": [{"name": "GPU Memory", "results": of_gpus}]},
    ]
    return {"DCGM GPU Diagnostic": {"test_categories": categories}, "version": "3.3.9"}


def verdict(document: object, num_gpus: int | None = None) -> Verdict:
    return parse_diag(json.dumps(document), num_gpus).verdict


@pytest.mark.parametrize("name", REPORTS)
def test_captured_reports_pass_as_they_did(name: str) -> None:
    report = parse_diag(captured(name))
    assert (report.verdict, report.reason) == (Verdict.PASS, "")


@pytest.mark.parametrize("name", REPORTS)
def test_a_captured_report_cut_anywhere_never_passes(name: str) -> None:
    text = captured(name).rstrip()
    assert {parse_diag(text[:at]).verdict for at in range(len(text))} == {Verdict.INCONCLUSIVE}


def test_the_report_without_later_infos_has_every_gpus_result() -> None:
    report = parse_diag(captured(REPORTS[0]), num_gpus=8)
    assert report.verdict is Verdict.PASS
    assert [test.gpu for test in report.tests] == [0, 1, 2, 3, 4, 5, 6, 7, None]
    assert parse_diag(captured(REPORTS[0]), num_gpus=9).reason == "dcgmi diag reports on 8 GPUs of 9"


def test_tables_are_read_to_the_last_test() -> None:
    report = parse_diag(captured(REPORTS[2]))
    assert len(report.tests) == 16
    assert report.tests[0] == DiagTest(name="Denylist", verdict=Verdict.PASS)
    assert report.tests[-1] == DiagTest(name="EUD Test", verdict=Verdict.SKIPPED)
    assert DiagTest(name="pcie", verdict=Verdict.PASS, gpu=0) in parse_diag(captured(REPORTS[1])).tests


def test_a_failed_row_of_a_table_is_a_failure() -> None:
    text = captured(REPORTS[2]).replace(
        "| Targeted Stress           | Pass - All ", "| Targeted Stress           | Fail - GPU: 0"
    )
    report = parse_diag(text)
    assert (report.verdict, report.reason) == (Verdict.FAIL, "Targeted Stress: FAIL")


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (v4(on_gpus("memory", "Pass", "Pass", summary="Pass")), Verdict.PASS),
        (v4(on_gpus("memory", "Pass", "Skip")), Verdict.PASS),
        (v4(on_gpus("memory", "Pass", "Warn")), Verdict.WARN),
        (v4(on_gpus("memory", "Pass", "Fail", summary="Fail")), Verdict.FAIL),
        (v4(on_gpus("memory", "Pass", "Pass", summary="Fail")), Verdict.FAIL),
        (v4(on_gpus("memory", "Pass")), Verdict.INCONCLUSIVE),
        (v4(on_gpus("memory", "Pass", "Pass"), on_gpus("pcie", "Pass")), Verdict.INCONCLUSIVE),
        (v4(on_gpus("memory", "Pass", "")), Verdict.INCONCLUSIVE),
        (v4(on_gpus("memory", "Pass", "Great")), Verdict.INCONCLUSIVE),
        (v4(on_gpus("memory", "Skip", "Skip")), Verdict.INCONCLUSIVE),
        (v4({"name": "memory"}), Verdict.INCONCLUSIVE),
        (v4(), Verdict.INCONCLUSIVE),
        ({}, Verdict.INCONCLUSIVE),
        ({"DCGM Diagnostic": {"runtime_error": "no GPUs"}}, Verdict.ERROR),
        (v3("Pass", "Pass", "Pass"), Verdict.PASS),
        (v3("Fail", "Pass", "Pass"), Verdict.FAIL),
        (v3("Pass", "Pass", "Fail"), Verdict.FAIL),
        ({"iterations": [v3("Pass", "Pass"), v3("Pass", "Pass")], "Overall Result": "Pass"}, Verdict.PASS),
        ({"iterations": [v3("Pass", "Pass"), v3("Pass", "Fail")], "Overall Result": "Fail"}, Verdict.FAIL),
        ({"iterations": [v3("Pass", "Pass")]}, Verdict.INCONCLUSIVE),
    ],
)
def test_only_a_whole_report_that_says_pass_is_a_pass(document: object, expected: Verdict) -> None:
    assert verdict(document) is expected


def test_a_reason_names_test_gpu_and_warning() -> None:
    warnings = [{"warning": "HBM temperature 97 C", "error_id": 25}]
    report = parse_diag(json.dumps(v4(on_gpus("memory", "Fail", "Pass", warnings=warnings))))
    assert report.reason == "memory: FAIL on GPU 0; HBM temperature 97 C"
    missing = parse_diag(json.dumps(v4(on_gpus("memory", "Pass", "Pass"), on_gpus("pcie", "Pass"))))
    assert missing.reason == "pcie: GPU 1 has no result"


@pytest.mark.parametrize("text", ["", "  \n", "Segmentation fault\n", "{}} {", '{"a": 1} and more'])
def test_anything_else_settles_nothing(text: str) -> None:
    report = parse_diag(text)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.reason.startswith(("the report of dcgmi diag is cut off or strange", "dcgmi diag printed nothing"))


def sick(level: str = "Failure") -> dict[str, object]:
    """A health report with one watch of GPU 1 that found something, in pieces as dcgmi breaks it."""
    error = {"value": level, "overflow": ["Detected 3 row remap", "failures in GPU 1."]}
    part = {"value": level, "children": {"Errors": {"children": {"Memory system": error}}}}
    body = {"Overall Health": {"value": level}, "GPU": {"children": {"1": part}}}
    return {"body": body, "header": ["Health Monitor Report"]}


def test_a_health_report_gives_levels_and_incidents_with_their_whole_text() -> None:
    health = parse_health(json.dumps(sick()))
    incident = Incident(
        group="GPU", id=1, system="Memory system", level=2, message="Detected 3 row remap failures in GPU 1."
    )
    assert (health.level, health.levels, health.incidents) == (2, {("GPU", 1): 2}, (incident,))
    assert parse_health(json.dumps(HEALTHY)).level == 0


def test_a_health_report_cut_anywhere_is_a_failure() -> None:
    text = json.dumps(sick(), indent=3)
    for at in range(len(text)):
        with pytest.raises(SourceFailed, match="printed no report"):
            parse_health(text[:at])


@pytest.mark.parametrize(
    "text",
    [
        "Error: unable to establish a connection to the specified host: localhost\n",
        json.dumps({"body": {"Overall Health": {"value": "Internal error"}}}),
        json.dumps({"body": {}}),
        "[]",
    ],
)
def test_another_word_than_a_report_is_a_failure_and_no_health(text: str) -> None:
    with pytest.raises(SourceFailed, match="printed no report"):
        parse_health(text)


def test_without_watches_there_is_no_such_source() -> None:
    with pytest.raises(SourceMissing, match="dcgmi health -s a"):
        parse_health("Error: Health watches not enabled. Please enable watches. \n")


def test_discovery_gives_uuids_by_id() -> None:
    assert parse_discovery(DISCOVERY) == dict(enumerate(UUIDS))
    assert parse_discovery("Error: unable to establish a connection") == {}


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """A dcgmi that prints what it is given; returns its path."""

    def make(health: str = "", diag: str = "", code: int = 0, wait_seconds: int = 0) -> str:
        for name, text in (("health", health), ("diag", diag), ("discovery", DISCOVERY)):
            (tmp_path / name).write_text(text, encoding="utf-8")
        path = tmp_path / "dcgmi"
        path.write_text(f'#!/bin/sh\nsleep {wait_seconds}\ncat {tmp_path}/"$1"\nexit {code}\n', encoding="utf-8")
        path.chmod(0o755)
        return str(path)

    return make


def test_health_is_a_value_of_node_and_gpus_and_new_incidents_are_events(program: Program) -> None:
    collector = Dcgmi("node001", Settings(program=program(health=json.dumps(sick("Warning")))))
    collected = collector.collect(5.0)
    assert [(str(row.subject), row.values) for row in collected.rows] == [
        ("node001", {"dcgm_health": 1}),
        (f"node001/gpu:{UUIDS[0]}", {"dcgm_health": 0}),
        (f"node001/gpu:{UUIDS[1]}", {"dcgm_health": 1}),
    ]
    (event,) = collected.events
    assert (event.kind, event.severity, event.subject) == (
        "dcgm_health",
        "warning",
        Subject("node001", "gpu", UUIDS[1]),
    )
    assert event.message == "DCGM, GPU 1, Memory system: Detected 3 row remap failures in GPU 1."
    assert collector.collect(6.0).events == ()
    program(health=json.dumps(HEALTHY))
    assert collector.collect(7.0).rows[0].values == {"dcgm_health": 0}


def test_no_program_is_no_such_source() -> None:
    with pytest.raises(SourceMissing, match="no program '/nonexistent/dcgmi'"):
        Dcgmi("node001", Settings(program="/nonexistent/dcgmi")).collect(0.0)
    with pytest.raises(SourceMissing):
        run_diag(1, program="/nonexistent/dcgmi")


def test_a_program_that_hangs_is_a_failure(program: Program) -> None:
    with pytest.raises(SourceFailed, match=r"did not end within 0\.2 s"):
        Dcgmi("node001", Settings(program=program(wait_seconds=60), deadline_seconds=0.2)).collect(0.0)


def test_a_program_that_prints_nothing_is_a_failure(program: Program) -> None:
    with pytest.raises(SourceFailed, match="but nothing"):
        Dcgmi("node001", Settings(program=program())).collect(0.0)


def test_a_diagnostic_that_ends_badly_or_never_is_no_pass(program: Program) -> None:
    whole = json.dumps(v4(on_gpus("memory", "Pass", "Pass")))
    assert run_diag(1, program(diag=whole), num_gpus=2).verdict is Verdict.PASS
    assert run_diag(1, program(diag=whole, code=226)).reason.startswith("dcgmi diag ended with code 226")
    assert run_diag(1, program(diag="")).verdict is Verdict.INCONCLUSIVE
    late = run_diag(1, program(diag=whole, wait_seconds=60), deadline_seconds=0.2)
    assert (late.verdict, "did not end within 0.2 s" in late.reason) == (Verdict.INCONCLUSIVE, True)
    with pytest.raises(ValueError, match="level is 5"):
        run_diag(5)
