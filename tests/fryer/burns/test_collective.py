import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fryer.burns.collective import RankMissingError, fill_addends, joined, wrong_sums
from fryer.devices.cpu import CpuDevice
from watchdog.clock import RunClock


def sums(num_ranks, length=100):
    total = torch.zeros(length)
    for rank in range(num_ranks):
        addends = torch.empty(length)
        fill_addends(addends, rank)
        total += addends
    return total


@given(num_ranks=st.integers(1, 64), length=st.integers(1, 60))
def test_the_sum_of_all_ranks_is_what_is_expected(num_ranks, length):
    assert wrong_sums(sums(num_ranks, length), num_ranks) is None


def test_each_rank_adds_another_share_of_small_integers():
    first, second = torch.empty(9), torch.empty(9)
    fill_addends(first, 0)
    fill_addends(second, 5)
    assert first.tolist() == [0, 1, 2, 3, 4, 5, 6, 0, 1]
    assert second.tolist() == [5, 6, 0, 1, 2, 3, 4, 5, 6]


def test_a_sum_that_lacks_a_rank_is_wrong_almost_everywhere():
    index, _, _, count = wrong_sums(sums(3), 4)
    assert index <= 6
    assert count > 80


def test_a_wrong_element_is_named_with_both_values():
    total = sums(4)
    right = float(total[42])
    total[42] += 1
    assert wrong_sums(total, 4) == (42, right, right + 1, 1)


def test_a_nan_is_wrong():
    total = sums(4)
    total[7] = float("nan")
    assert wrong_sums(total, 4)[0] == 7


def test_a_rank_that_never_starts_is_an_error_with_the_wait(tmp_path):
    device = CpuDevice("cpu0", RunClock.start())
    with (
        pytest.raises(RankMissingError, match=r"^rank 0 of 2 waited up to 1 s at file:"),
        joined(device, rendezvous=f"file://{tmp_path}/ranks", rank=0, num_ranks=2, join_seconds=1.0),
    ):
        pass


def test_a_single_rank_agrees_with_itself_and_sums_to_its_own(tmp_path):
    device = CpuDevice("cpu0", RunClock.start())
    with joined(device, rendezvous=f"file://{tmp_path}/ranks", rank=0, num_ranks=1) as group:
        assert group.agree([1, 0, 2.5], at="the test") == [1.0, 0.0, 2.5]
        buffer = torch.arange(5.0)
        group.sum_all([buffer], device.mark, at="the test")
        assert buffer.tolist() == [0, 1, 2, 3, 4]
