import json
import subprocess
import sys
import threading
from functools import partial
from math import inf
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fryer.burns import soak, soak_lanes
from fryer.burns.collective import joined
from fryer.burns.soak_lanes import HEAT_SHARE, MOST_SUMS, SUMS_SECONDS, next_count
from fryer.devices import Shape, UnsupportedDtypeError
from fryer.devices.cpu import CpuDevice
from fryer.records import BYTES, FLOPS, Counted, Mismatch, Point, Problem
from watchdog.clock import RunClock
from watchdog.vocabulary.verdicts import Verdict

RANK = Path(__file__).with_name("soak_rank.py")


class SmallDevice(CpuDevice):
    """Small products; may look as if it had a link, or spoil the result of one product."""

    spoiled_product = 0
    num_products = 0

    def real_shape(self, dtype):
        return Shape(m=128, n=128, k=128)

    def multiply(self, dtype, a, b, out):
        super().multiply(dtype, a, b, out)
        self.num_products += 1
        if self.num_products == self.spoiled_product:
            out.view(torch.int32)[3, 4] ^= 1 << 7


class SmallLinkedDevice(SmallDevice):
    host_is_device = False
    scale = 1 << 10


@pytest.fixture
def device():
    return SmallDevice("cpu0", RunClock.start())


@pytest.fixture
def start_rank(tmp_path):
    processes = []

    def start(rank, num_ranks=2, seconds=12.0, stop_after=0.0):
        words = [
            sys.executable,
            RANK,
            str(rank),
            str(num_ranks),
            f"file://{tmp_path}/ranks",
            str(seconds),
            str(stop_after),
        ]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def records_of(process):
    output, _ = process.communicate(timeout=60)
    return [json.loads(line) for line in output.splitlines()]


class WorkClock:
    """A millisecond a product: how busy the machine is does not matter."""

    def __init__(self):
        self.device = None

    def now(self):
        return self.device.num_products * 1e-3


def test_one_device_without_a_link_soaks_in_products_alone(make_task):
    clock = WorkClock()
    clock.device = SmallDevice("cpu0", clock)
    records = list(soak.run([clock.device], make_task(seconds=10.0, dtypes=("fp32",))))
    points = [record for record in records if isinstance(record, Point)]
    assert {(point.case, point.metric) for point in points} == {("gemm fp32 (soak)", FLOPS)}
    assert {round(point.value) for point in points} == {2048**3 * 2 * 1000}
    assert points[0].at_seconds > HEAT_SHARE * 10.0
    (counted,) = [record for record in records if not isinstance(record, Point)]
    assert (counted.case, counted.what) == ("gemm fp32 (soak)", "products")
    assert counted.count == clock.device.num_products


def test_a_device_with_a_link_copies_at_the_same_time(make_task):
    records = list(soak.run([SmallLinkedDevice("gpu0", RunClock.start())], make_task(seconds=3.0, dtypes=("fp32",))))
    assert {(point.case, point.metric) for point in records if isinstance(point, Point)} == {
        ("gemm fp32 (soak)", FLOPS),
        ("h2d (soak)", BYTES),
    }
    assert {(record.case, record.what) for record in records if isinstance(record, Counted)} == {
        ("gemm fp32 (soak)", "products"),
        ("h2d (soak)", "bytes"),
    }


def test_a_wrong_product_among_many_is_found(device, make_task):
    device.spoiled_product = 50
    records = list(soak.run([device], make_task(seconds=0.6, dtypes=("fp32",))))
    (mismatch,) = [record for record in records if isinstance(record, Mismatch)]
    assert (mismatch.pair, mismatch.num_wrong, mismatch.reproduced, mismatch.how) == (49 % 4, 1, False, "twin")
    assert int(mismatch.read, 16) != int(mismatch.expected, 16)


def test_the_first_format_that_the_device_has_is_used(device, make_task):
    records = list(soak.run([device], make_task(seconds=0.4, dtypes=("tf32", "fp32"))))
    assert {record.case for record in records} == {"gemm fp32 (soak)"}


def test_a_device_that_has_none_of_the_formats_is_skipped(device, make_task, monkeypatch):
    def refuse(*_):
        raise UnsupportedDtypeError("not this one")

    monkeypatch.setattr(device, "multiply", refuse)
    (problem,) = soak.run([device], make_task(dtypes=("fp32",)))
    assert (problem.verdict, problem.code, problem.message) == (Verdict.SKIPPED, "unsupported", "not this one")


def test_a_stop_while_heating_says_what_was_not_measured(device, make_task):
    begin = device.clock.now()
    task = make_task(seconds=1000.0, dtypes=("fp32",), stop=lambda: device.clock.now() - begin > 0.3)
    *_, problem = soak.run([device], task)
    assert (problem.case, problem.verdict, problem.code) == ("gemm fp32 (soak)", Verdict.INCONCLUSIVE, "stopped")


def test_a_lane_that_breaks_ends_the_burn_with_its_error(make_task, monkeypatch):
    device = SmallLinkedDevice("gpu0", RunClock.start())

    def lose(*_, **__):
        raise RuntimeError("CUDA error: device is lost")

    monkeypatch.setattr(device, "copy", lose)
    with pytest.raises(RuntimeError, match="device is lost"):
        list(soak.run([device], make_task(seconds=1.0, dtypes=("fp32",))))


def test_two_ranks_sum_what_is_known_and_leave_together(start_rank):
    for process in [start_rank(0), start_rank(1)]:
        records = records_of(process)
        assert process.returncode == 0
        assert {record["case"] for record in records if record["kind"] == "Point"} == {
            "gemm fp32 (soak)",
            "all_reduce (soak)",
        }
        assert {record["kind"] for record in records} == {"Point", "Counted"}
        (counted,) = [record for record in records if record.get("what") == "bytes"]
        assert counted["count"] > 0


def test_a_rank_that_stops_takes_the_others_with_it(start_rank):
    patient, leaver = start_rank(0, seconds=1000.0), start_rank(1, seconds=1000.0, stop_after=2.0)
    assert all(
        record["kind"] != "Problem" or record["code"] == "stopped"
        for process in (patient, leaver)
        for record in records_of(process)
    )
    assert (patient.returncode, leaver.returncode) == (0, 0)


def test_a_rank_that_dies_is_an_error_of_the_others_and_not_a_hang(start_rank):
    survivor, victim = start_rank(0, seconds=4.0), start_rank(1, seconds=4.0)
    victim.stdout.readline()
    victim.kill()
    (problem,) = [record for record in records_of(survivor) if record.get("code") == "collective_timeout"]
    assert (problem["verdict"], problem["case"]) == ("ERROR", "all_reduce (soak)")
    assert problem["message"].startswith("rank 0 of 2 lost the others at ")


def test_a_rank_whose_others_never_start_ends_all_the_same_and_says_so(device, make_task, tmp_path, monkeypatch):
    monkeypatch.setattr(soak, "JOIN_SECONDS", 0.5)
    monkeypatch.setattr(soak, "LATE_SECONDS", 0.5)
    monkeypatch.setattr(soak_lanes, "joined", partial(joined, join_seconds=2.5))
    task = make_task(seconds=0.5, dtypes=("fp32",), num_ranks=2, rendezvous=f"file://{tmp_path}/ranks")
    problems = {record.case: record for record in soak.run([device], task) if isinstance(record, Problem)}
    assert problems["all_reduce (soak)"].code == "collective_timeout"
    assert problems["all_reduce (soak)"].verdict is Verdict.ERROR
    for thread in threading.enumerate():  # the lane that still waits to join would meet the next test's group
        if thread.name == "all_reduce (soak)":
            thread.join(20)


@given(num_sums=st.integers(1, MOST_SUMS), took=st.floats(0, 1e6))
def test_a_batch_of_sums_has_a_bounded_number_and_about_the_wanted_length(num_sums, took):
    count = next_count(num_sums, took)
    assert 1 <= count <= MOST_SUMS
    assert count == 1 or count * took / num_sums <= SUMS_SECONDS * (1 + 1e-9)


def test_the_first_batch_is_a_single_sum_and_an_endless_one_too():
    assert (next_count(1, 0.0), next_count(8, inf), next_count(1, 0.001)) == (1, 1, MOST_SUMS)
