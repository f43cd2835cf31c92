import pytest
import torch

from fryer.burns import p2p
from fryer.devices.cpu import CpuDevice
from fryer.records import Counted, Mismatch, Point
from watchdog.clock import RunClock
from watchdog.vocabulary.verdicts import Verdict

SCALE = 1 << 12


class Ordered:
    """Copies between devices as torch orders them: both sides' current queues wait for each other.

    torch copies in the sender's current queue, behind what the receiver's current queue holds, and that one then waits
    for the copy. Outside of a lane the current queue is queue 0.
    """

    def __init__(self, linked_device, timeline, monkeypatch):
        self.receivers = {}
        make_side = p2p._side

        def side(device, seed):
            made = make_side(device, seed)
            self.receivers[made.incoming.data_ptr()] = device
            return made

        monkeypatch.setattr(p2p, "_side", side)
        receivers = self.receivers

        class OrderedDevice(linked_device):
            def copy(self, source, destination, *, to_peer=False):
                if not to_peer:
                    return super().copy(source, destination)
                receiver = receivers[destination.data_ptr()]
                theirs = receiver.done_at[receiver.lane_index]
                self.done_at[self.lane_index] = max(self.done_at[self.lane_index], theirs)
                super().copy(source, destination, to_peer=True)
                receiver.done_at[receiver.lane_index] = self.done_at[self.lane_index]
                return None

        self.devices = [OrderedDevice(f"gpu{index}", timeline, 100e9, scale=SCALE) for index in range(2)]


def test_both_directions_overlap_although_torch_orders_a_copy_with_both_sides_current_queues(
    linked_device, timeline, make_task, monkeypatch
):
    devices = Ordered(linked_device, timeline, monkeypatch).devices
    found = rates(p2p.run(devices, make_task(seconds=6.0)))
    assert found == {
        ("gpu0", "to gpu1"): pytest.approx(100e9),
        ("gpu1", "to gpu0"): pytest.approx(100e9),
        ("gpu0", "both gpu1"): pytest.approx(200e9),
    }


@pytest.fixture
def three(linked_device, timeline):
    """Three devices; the one in the middle sends at half the rate of the others."""
    return [linked_device(f"gpu{index}", timeline, 100e9 if index != 1 else 50e9, scale=SCALE) for index in range(3)]


def rates(records):
    return {(record.device, record.case): record.value for record in records if isinstance(record, Point)}


def test_each_ordered_pair_is_a_case_of_the_device_that_sends(three, make_task):
    found = rates(p2p.run(three, make_task(seconds=9.0)))
    assert {key: pytest.approx(value) for key, value in found.items() if key[1].startswith("to")} == {
        ("gpu0", "to gpu1"): 100e9,
        ("gpu0", "to gpu2"): 100e9,
        ("gpu1", "to gpu0"): 50e9,
        ("gpu1", "to gpu2"): 50e9,
        ("gpu2", "to gpu0"): 100e9,
        ("gpu2", "to gpu1"): 100e9,
    }


def test_both_directions_of_a_pair_are_measured_once_at_twice_the_slower(three, make_task):
    found = rates(p2p.run(three, make_task(seconds=9.0)))
    assert {key: pytest.approx(value) for key, value in found.items() if key[1].startswith("both")} == {
        ("gpu0", "both gpu1"): 100e9,
        ("gpu0", "both gpu2"): 200e9,
        ("gpu1", "both gpu2"): 100e9,
    }


def test_what_arrived_is_verified(three, make_task):
    counted = [record for record in p2p.run(three, make_task(seconds=9.0)) if isinstance(record, Counted)]
    assert len(counted) == 6 + 2 * 3
    assert {record.count for record in counted} == {p2p.BUFFER_BYTES}


def test_a_link_that_spoils_bits_is_named_by_its_sender(linked_device, timeline, make_task):
    def spoil(destination):
        destination.view(torch.int64)[0] ^= 1

    pair = [linked_device("gpu0", timeline, scale=SCALE, spoil=spoil), linked_device("gpu1", timeline, scale=SCALE)]
    found = [record for record in p2p.run(pair, make_task()) if isinstance(record, Mismatch)]
    assert ("gpu0", "to gpu1") in {(record.device, record.case) for record in found}
    assert ("gpu1", "to gpu0") not in {(record.device, record.case) for record in found}
    assert all(record.reproduced for record in found)


def test_a_single_device_has_no_peer(linked_device, timeline, make_task):
    (problem,) = p2p.run([linked_device("gpu0", timeline)], make_task())
    assert (problem.device, problem.verdict, problem.code) == ("gpu0", Verdict.SKIPPED, "no_peer")
    assert "only device" in problem.message


def test_sockets_share_memory_and_are_each_skipped(make_task):
    sockets = [CpuDevice(f"cpu{index}", RunClock.start()) for index in range(2)]
    assert [(problem.device, problem.verdict, problem.code) for problem in p2p.run(sockets, make_task())] == [
        ("cpu0", Verdict.SKIPPED, "no_peer"),
        ("cpu1", Verdict.SKIPPED, "no_peer"),
    ]


def test_a_stop_names_the_pairs_that_were_not_measured(three, timeline, make_task):
    records = list(p2p.run(three, make_task(seconds=9.0, stop=lambda: timeline.seconds > 6.5)))
    assert [(record.device, record.case) for record in records if not isinstance(record, Point | Counted)] == [
        ("gpu0", "both gpu2"),
        ("gpu1", "both gpu2"),
    ]
