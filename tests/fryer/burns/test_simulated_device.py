"""A simulated GPU is as fast as its part, however late the machine is that simulates it."""

import random
from collections.abc import Callable
from statistics import median
from types import SimpleNamespace

import pytest
import torch

from fryer.burns import BURNS, Task
from fryer.burns.operands import raw_bits
from fryer.burns.rates import Lane, measure
from fryer.devices.simulated import SimulatedDevice
from fryer.devices.simulated_rates import typical_link_rate
from fryer.records import FLOPS, Point
from watchdog.clock import RunClock
from watchdog.simulator.fault import Fault
from watchdog.simulator.node import SimulatedNode
from watchdog.simulator.parts import PARTS

SPEED = 20.0


class LateClock:
    """A run's clock on a machine that is held up for up to `lateness` of its seconds whenever it looks at the time."""

    speed = SPEED

    def __init__(self, lateness: float) -> None:
        self.seconds = 0.0
        self._lateness = lateness
        self._random = random.Random(3)

    def now(self) -> float:
        self.seconds += self._random.random() * self._lateness
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += max(0.0, seconds)


def open_device(lateness: float) -> SimulatedDevice:
    node = SimulatedNode("healthy", "node001", RunClock.start())
    device = SimulatedDevice("gpu0", LateClock(lateness), node, 0)  # type: ignore[arg-type]
    device.open()
    return device


def healthy_rate(device: SimulatedDevice) -> float:
    return device._rate("gemm", "bf16", FLOPS)


@pytest.mark.parametrize("lateness", [0.0, 0.5, 5.0])
def test_the_rate_of_products_does_not_know_how_late_the_machine_is(
    lateness: float, make_task: Callable[..., Task]
) -> None:
    device = open_device(lateness)
    records = BURNS["gemm"].run([device], make_task(seconds=200.0, dtypes=("bf16",), memory_ratio=0.01))
    rates = [record.value for record in records if isinstance(record, Point)]
    assert rates == [pytest.approx(healthy_rate(device), rel=0.05)] * len(rates)
    assert rates


@pytest.mark.parametrize("lateness", [0.0, 0.5, 5.0])
def test_neither_does_the_rate_of_copies(lateness: float) -> None:
    device = open_device(lateness)
    source, destination = device.host_buffer(1 << 14), device.host_buffer(1 << 14)

    def queue() -> int:
        device.copy(source, destination)
        return source.nbytes * device.scale

    rates = [rate.value for rate in measure([Lane(device, 1, queue)], 20.0, lambda: False)]
    assert median(rates) == pytest.approx(typical_link_rate(PARTS["H100-SXM5-80GB"]), rel=0.02)
    assert rates == [pytest.approx(median(rates), rel=0.05)] * len(rates)


def test_a_lane_that_was_idle_goes_on_at_the_clock_and_not_where_it_stopped() -> None:
    device = open_device(0.0)
    device.clock.sleep(60.0)
    assert device.wait(device.mark()) == pytest.approx(60.0)
    device.clock.sleep(60.0)
    with device.lane(1):
        assert device.wait(device.mark()) == pytest.approx(120.0)
    assert device.wait(device.mark()) == pytest.approx(120.0)


@pytest.mark.parametrize(("num_bits", "num_flipped"), [(1, 1), (16, 16), (64, 16)])
def test_wrong_bits_may_be_any_bit_of_one_element_the_sign_among_them(num_bits: int, num_flipped: int) -> None:
    device = open_device(0.0)
    seen = 0
    for _ in range(400):
        out = torch.zeros(8, dtype=torch.bfloat16)
        device._spoil(out, Fault(on="node001/gpu0", kind="wrong_bits", bits=num_bits))
        (wrong,) = (int(bits) & 0xFFFF for bits in raw_bits(out) if bits)
        assert wrong.bit_count() == num_flipped
        seen |= wrong
    assert seen == 0xFFFF


def test_a_lost_device_does_not_answer_to_a_mark() -> None:
    device = open_device(0.0)
    device.wait(device.mark())
    device._scenario = SimpleNamespace(faults_on=lambda node, unit, at: (Fault(on="", kind="lost"),))  # type: ignore[assignment]
    with pytest.raises(RuntimeError, match="device is lost"):
        device.mark()
