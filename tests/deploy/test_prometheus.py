"""Alert rules, with the real promtool, Prometheus and Alertmanager."""

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from watchdog.exporter import render
from watchdog.exporter.metrics import METRICS
from watchdog.state import State
from watchdog.vocabulary.findings import Severity
from watchdog.vocabulary.samples import Row
from watchdog.vocabulary.subjects import Subject
from watchdog.xids import xids

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "prometheus"
RULES = (FOLDER / "fryer.rules.yml").read_text(encoding="utf-8")
ALERTS = {block.split("\n", 1)[0]: block for block in RULES.split("- alert: ")[1:]}
GPU = Subject("node007", "gpu", "GPU-3")
Need = Callable[[str, str], str]


def run(*arguments: str) -> str:
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False, cwd=FOLDER)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_reads_the_rules_and_each_case_of_their_test_holds(need: Need) -> None:
    promtool = need("promtool", "prometheus")
    assert f"SUCCESS: {len(ALERTS)} rules found" in run(promtool, "check", "rules", "fryer.rules.yml")
    assert "SUCCESS" in run(promtool, "test", "rules", "fryer.rules.test.yml")


def test_the_examples_are_read_by_the_programs_that_they_are_for(need: Need) -> None:
    run(need("promtool", "prometheus"), "check", "config", "--syntax-only", "prometheus.example.yml")
    run(need("amtool", "prometheus-alertmanager"), "check-config", "alertmanager.example.yml")


def test_rules_name_only_metrics_that_the_exporter_has() -> None:
    known = {family.name for family in METRICS}
    cases = (FOLDER / "fryer.rules.test.yml").read_text(encoding="utf-8")
    assert set(re.findall(r"\bfryer_\w+", RULES + cases)) - known == set()


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_an_alert_has_severity_texts_a_runbook_and_a_case(name: str) -> None:
    block = ALERTS[name]
    assert len(re.findall(r"labels: \{severity: (critical|warning)\}", block)) == 1
    assert [len(re.findall(rf"^ +{key}: ", block, re.MULTILINE)) for key in ("summary", "description")] == [1, 1]
    assert f"runbook: docs/alerts.md#{name.lower()}\n" in block
    assert f"### {name}\n" in (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
    assert f'alertname="{name}"' in (FOLDER / "fryer.rules.test.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_an_alert_s_text_names_only_labels_that_its_metrics_have(name: str) -> None:
    labels = {family.name: set(family.labels) for family in METRICS}
    block = ALERTS[name]
    had = set().union({"instance", "job"}, *(labels[one] for one in re.findall(r"\bfryer_\w+", block)))
    assert set(re.findall(r"\$labels\.(\w+)", block)) - had == set()


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_an_alert_s_expression_names_only_labels_that_its_metric_has(name: str) -> None:
    labels = {family.name: set(family.labels) for family in METRICS}
    for metric, selector in re.findall(r"(fryer_\w+)\{([^}]*)\}", ALERTS[name]):
        assert set(re.findall(r"(\w+)\s*(?:!?=~?|!~)", selector)) - labels[metric] == set()


def test_the_codes_that_wake_somebody_and_those_that_alert_nobody_are_the_catalogue_s() -> None:
    wake, wake_again, quiet = re.findall(r'xid(?:=~|!~)"([\d|]+)"', RULES)
    gone = ("reset_gpu", "reboot_node", "drain_reset")
    grave = [one.code for one in xids().values() if one.severity in ("critical", "fatal") and one.action in gone]
    nobodys = [one.code for one in xids().values() if one.severity == "info" or one.group == "application"]
    assert wake == wake_again == "|".join(map(str, grave))
    assert quiet == "|".join(map(str, nobodys))


def page(**came: float) -> str:
    """A node with one GPU; `came`: when each Xid did."""
    now = time.time()
    return render(
        State(
            node="node007",
            at=now,
            started_at=now - 60,
            version="0.1.0",
            severity=Severity.FAIL if came else Severity.OK,
            rows={GPU: Row(subject=GPU, at=now, values={"power_watts": 500.0})},
            facts={GPU: {"index": 3, "pci_bus_id": "0000:1b:00.0"}},
            xid_counts={(GPU.name, int(code.removeprefix("xid"))): (1, at) for code, at in came.items()},
        )
    )


def test_a_fault_reaches_a_webhook_through_prometheus_and_alertmanager_and_so_does_its_end(monitoring: Any) -> None:
    monitoring.page = page
    monitoring.wait_for_samples("fryer_gpu_power_watts", 2)
    assert monitoring.query('ALERTS{severity="critical"}') == []
    at = time.time()
    monitoring.page = lambda: page(xid79=at, xid13=at)
    alert = monitoring.wait_for_alert("FryerGpuXidFatal", "firing")
    labels = {key: alert["labels"][key] for key in ("instance", "gpu", "uuid", "pci", "xid", "severity")}
    assert labels == {
        "instance": "node007",
        "gpu": "3",
        "uuid": "GPU-3",
        "pci": "0000:1b:00.0",
        "xid": "79",
        "severity": "critical",
    }
    assert alert["annotations"]["summary"] == "Xid 79 on gpu 3 of node007"
    monitoring.page = page
    assert monitoring.wait_for_alert("FryerGpuXidFatal", "resolved")["labels"] == alert["labels"]
    assert {one["labels"].get("xid") for one in monitoring.alerts} == {"79"}
