import pytest
import torch

from fryer.burns import hbm
from fryer.burns.hbm import CACHE_MULTIPLE, DEVICE_ARRAY_BYTES, array_bytes
from fryer.caches import last_level_cache_bytes
from fryer.devices.cpu import CpuDevice
from fryer.records import BYTES, Counted, Mismatch, Point
from watchdog.clock import RunClock


def values(records, case):
    return [record.value for record in records if isinstance(record, Point) and record.case == case]


def test_copy_counts_its_bytes_twice_and_triad_its_array_three_times(linked_device, timeline, make_task):
    """Each of the double's arrays takes a second a gigabyte, whatever is done with it."""
    records = list(hbm.run([linked_device("gpu0", timeline, 1e9, scale=1000)], make_task()))
    assert values(records, "copy") == pytest.approx([2e9] * len(values(records, "copy")))
    assert values(records, "triad") == pytest.approx([3e9] * len(values(records, "triad")))
    assert len(values(records, "copy")) >= 3
    assert len(values(records, "triad")) >= 3


def test_results_are_verified_and_say_how_many_bytes(linked_device, timeline, make_task):
    device = linked_device("gpu0", timeline, scale=1000)
    num_bytes = array_bytes(device, 0.5) * 1000
    records = list(hbm.run([device], make_task()))
    assert [record for record in records if not isinstance(record, Point)] == [
        Counted(device="gpu0", burn="hbm", case=case, what="bytes", count=num_bytes) for case in ("copy", "triad")
    ]


@pytest.mark.parametrize("case", ["copy", "triad"])
def test_a_wrong_word_is_found_with_its_bits(linked_device, timeline, make_task, case):
    def spoil(destination):
        if case == ("triad" if bool((destination.view(torch.float32) == 7.0).any()) else "copy"):
            destination.view(torch.int64)[21] ^= 1 << 3

    records = list(hbm.run([linked_device("gpu0", timeline, spoil=spoil)], make_task()))
    (mismatch,) = [record for record in records if isinstance(record, Mismatch)]
    assert (mismatch.case, mismatch.index, mismatch.num_wrong, mismatch.reproduced) == (case, 21, 1, True)
    assert int(mismatch.expected, 16) ^ int(mismatch.read, 16) == 1 << 3


def test_a_stop_in_copy_leaves_triad_unmeasured_and_says_so(linked_device, timeline, make_task):
    records = list(hbm.run([linked_device("gpu0", timeline)], make_task(stop=lambda: timeline.seconds > 1.0)))
    assert [(record.case, record.code) for record in records if not isinstance(record, Point | Counted)] == [
        ("triad", "stopped")
    ]


def test_arrays_are_well_beyond_the_caches_where_memory_allows(linked_device, timeline, monkeypatch):
    device = linked_device("gpu0", timeline)
    monkeypatch.setattr(device, "free_bytes", lambda: 80 << 30)
    assert array_bytes(device, 0.9) == DEVICE_ARRAY_BYTES
    cpu = CpuDevice("cpu0", RunClock.start())
    monkeypatch.setattr(cpu, "free_bytes", lambda: 1 << 50)
    assert array_bytes(cpu, 0.5) == CACHE_MULTIPLE * last_level_cache_bytes() // 4096 * 4096


def test_arrays_never_take_more_than_the_share_of_free_memory(linked_device, timeline):
    assert 3 * array_bytes(linked_device("gpu0", timeline), 0.5) <= (1 << 20) // 2


def test_host_memory_is_measured_on_the_cpu(make_task, monkeypatch):
    device = CpuDevice("cpu0", RunClock.start())
    monkeypatch.setattr(device, "free_bytes", lambda: 30 << 20)
    records = list(hbm.run([device], make_task(seconds=0.3)))
    assert {(record.case, record.metric) for record in records if isinstance(record, Point)} == {
        ("copy", BYTES),
        ("triad", BYTES),
    }
    assert not [record for record in records if isinstance(record, Mismatch)]
