import pytest
import torch

from fryer.burns import pcie
from fryer.devices.cpu import CpuDevice
from fryer.records import Counted, Mismatch, Point
from watchdog.clock import RunClock
from watchdog.vocabulary.verdicts import Verdict

SCALE = 1 << 10
"""So that the 256 MiB buffers are really 256 KiB."""


def test_directions_are_measured_alone_and_both_at_once_as_their_sum(linked_device, timeline, make_task):
    records = list(pcie.run([linked_device("gpu0", timeline, 50e9, scale=SCALE)], make_task(seconds=6.0)))
    by_case = {
        case: [record.value for record in records if isinstance(record, Point) and record.case == case]
        for case in pcie.CASES
    }
    assert {case: pytest.approx(values[0]) for case, values in by_case.items()} == {
        "h2d": 50e9,
        "d2h": 50e9,
        "both": 100e9,
    }
    assert all(len(values) >= 3 for values in by_case.values())


def test_what_arrived_is_verified_in_each_direction(linked_device, timeline, make_task):
    records = list(pcie.run([linked_device("gpu0", timeline, scale=SCALE)], make_task()))
    assert [(record.case, record.count) for record in records if isinstance(record, Counted)] == [
        (case, pcie.BUFFER_BYTES) for case in ("h2d", "d2h", "both", "both")
    ]
    assert {type(record) for record in records} == {Point, Counted}


def test_a_bit_that_the_link_spoils_is_found(linked_device, timeline, make_task):
    def spoil(destination):
        destination.view(torch.int64)[5] ^= 1 << 63

    records = list(pcie.run([linked_device("gpu0", timeline, scale=SCALE, spoil=spoil)], make_task()))
    found = [record for record in records if isinstance(record, Mismatch)]
    assert {(record.case, record.index, record.num_wrong, record.reproduced) for record in found} == {
        (case, 5, 1, True) for case in pcie.CASES
    }


def test_a_device_in_host_memory_has_no_link_and_is_skipped(make_task):
    (problem,) = pcie.run([CpuDevice("cpu0", RunClock.start())], make_task())
    assert (problem.verdict, problem.code) == (Verdict.SKIPPED, "no_link")


def test_a_stop_names_each_direction_that_was_not_measured(linked_device, timeline, make_task):
    task = make_task(seconds=9.0, stop=lambda: timeline.seconds > 5.5)
    records = list(pcie.run([linked_device("gpu0", timeline, scale=SCALE)], task))
    problems = [record for record in records if not isinstance(record, Point | Counted)]
    assert [(problem.case, problem.verdict, problem.code) for problem in problems] == [
        ("both", Verdict.INCONCLUSIVE, "stopped")
    ]
