"""The detectors over what the real reader of NVML gives of simulated GPUs: names and units fit, from end to end."""

import time

import pytest

from watchdog.clock import RunClock
from watchdog.collectors.gpus import Gpus
from watchdog.detectors import DETECTORS
from watchdog.simulator.node import SimulatedNode
from watchdog.vocabulary.findings import Severity
from watchdog.vocabulary.samples import window_of

SPEED = 100.0
"""Simulated seconds in a real one: 150 of them are enough for every duration here."""
SIMULATED_SECONDS = 150.0
EPOCH = 1_755_000_000.0


def found(scenario):
    """(GPU's index, code, severity) of every finding after `SIMULATED_SECONDS` of a scenario's first node."""
    clock = RunClock.start(speed=SPEED)
    gpus = Gpus("node001", None, SimulatedNode(scenario, "node001", clock))
    rows, events, facts = [], [], {}
    begun = None
    try:
        for _ in range(2000):
            now = EPOCH + clock.now()
            collected = gpus.collect(now)
            rows += [row for row in collected.rows if row.subject.kind == "gpu"]
            events += collected.events
            facts |= collected.facts
            begun = now if begun is None and rows else begun
            if begun is not None and now - begun >= SIMULATED_SECONDS:
                break
            time.sleep(0.02)
    finally:
        gpus.close()
    window = window_of(now, rows, tuple(events), facts)
    findings = [finding for one in DETECTORS.values() for finding in one.detect(window, one.limits())]
    return {(facts[f.subject]["index"], f.code, f.severity) for f in findings}


def test_a_healthy_node_is_well():
    assert found("healthy") == set()


@pytest.mark.parametrize(
    ("scenario", "index", "code", "severity"),
    [
        ("hot_hbm", 6, "hbm_hot", Severity.WARN),
        ("row_remap_pending", 7, "row_remap_pending", Severity.WARN),
        ("narrow_pcie", 1, "pcie_narrow", Severity.FAIL),
        ("lost_gpu", 3, "gpu_lost", Severity.FAIL),
        ("power_brake", 4, "power_brake", Severity.FAIL),
    ],
)
def test_each_fault_is_found_and_no_other_gpu_is_blamed(scenario, index, code, severity):
    seen = found(scenario)
    assert (index, code, severity) in seen
    assert {where for where, _, _ in seen} == {index}
