"""A second opinion."""

import pytest

from watchdog.detectors.dcgm_health import Limits, detect
from watchdog.vocabulary.findings import Severity
from watchdog.vocabulary.samples import Event


def graded(window):
    return [(str(f.subject), f.severity) for f in detect(window, Limits())]


@pytest.mark.parametrize(
    ("level", "seconds", "is_found"), [(0, 600, False), (1, 50, False), (1, 60, True), (2, 600, True)]
)
def test_it_never_fails_a_part_by_itself(make, level, seconds, is_found):
    window = make.node_of(1, {0: {"dcgm_health": lambda age: level if age <= seconds else 0}})
    assert graded(window) == [("node001/gpu:GPU-0000", Severity.WARN)] * is_found


def test_the_node_is_named_only_where_no_gpu_is(make):
    node = make.rows(make.NODE, dcgm_health=2)
    assert graded(make.window(node)) == [("node001", Severity.WARN)]
    assert graded(make.window(node, make.rows(make.gpu(3), dcgm_health=1))) == [("node001/gpu:GPU-0003", Severity.WARN)]


def test_it_repeats_what_dcgm_said(make):
    said = Event(kind="dcgm_health", subject=make.gpu(0), at=make.NOW - 60, message="DCGM, GPU 0: replays")
    (found,) = detect(make.node_of(1, {0: {"dcgm_health": 2}}, events=[said]), Limits())
    assert found.message == "DCGM's health watch says Failure of gpu0: DCGM, GPU 0: replays"
    assert (found.evidence["level"], found.evidence["said"]) == (2, ["DCGM, GPU 0: replays"])
