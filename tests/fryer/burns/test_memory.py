import pytest
import torch

from fryer.burns import memory
from fryer.burns.patterns import PATTERNS, Pattern
from fryer.burns.region import Region
from fryer.devices.cpu import CpuDevice
from fryer.records import Counted
from watchdog.clock import RunClock
from watchdog.vocabulary.verdicts import Verdict

SLICE = 8
NUM_SLICES = 4
INVERTED = ("moving inversions",)


class Bench:
    """Memory that we can reach into at each slice that the walk comes to."""

    def __init__(self, device, make_task):
        self.words = torch.zeros(SLICE * NUM_SLICES, dtype=torch.int64)
        self.at_step = {}
        self.step = 0
        self.walk = memory.Walk(
            device, make_task(stop=self.stop), Region((self.words,), SLICE), end_seconds=4.0, fade_seconds=0.2
        )

    def stop(self):
        self.step += 1
        return bool(self.at_step.get(self.step, lambda: False)())

    def flip(self, place, bit):
        self.words[place] ^= 1 << bit

    def records(self, name):
        self.walk.run(name, PATTERNS[name])
        return list(self.walk.results(name))


@pytest.fixture
def bench(linked_device, timeline, make_task):
    return Bench(linked_device("gpu0", timeline, scale=10), make_task)


def run(device, task):
    return list(memory.run([device], task))


def test_healthy_memory_is_covered_by_each_pattern_and_says_how_many_bytes(linked_device, timeline, make_task):
    """The time is up from the beginning, and each pattern has its turn all the same."""
    half = (1 << 19) * 1000
    assert run(linked_device("gpu0", timeline, scale=1000), make_task(seconds=0.0)) == [
        Counted(device="gpu0", burn="memory", case=name, what="bytes", count=half * (3 if name in INVERTED else 1))
        for name in PATTERNS
    ]


@pytest.mark.parametrize("name", PATTERNS)
def test_a_bit_that_changes_between_writing_and_reading_is_found_with_its_place_and_bits(bench, name):
    bench.at_step[NUM_SLICES + (2 if PATTERNS[name].is_left_alone else 1)] = lambda: bench.flip(13, 40)
    mismatch, counted = bench.records(name)
    expected = torch.empty(1, dtype=torch.int64)
    PATTERNS[name].fill(expected, 13, 7, 0)
    assert (mismatch.index, mismatch.num_wrong, mismatch.how, mismatch.reproduced) == (13, 1, "pattern", True)
    assert int(mismatch.expected, 16) == int(expected) & ((1 << 64) - 1)
    assert int(mismatch.expected, 16) ^ int(mismatch.read, 16) == 1 << 40
    assert counted.what == "bytes"


def test_all_wrong_words_of_a_pass_are_counted_in_one_mismatch(bench):
    def spoil():
        for place in (3, 4, 31):
            bench.flip(place, 0)

    bench.at_step[NUM_SLICES + 1] = spoil
    mismatch, counted = bench.records("random")
    assert (mismatch.index, mismatch.num_wrong) == (3, 3)
    assert counted.count == SLICE * NUM_SLICES * 8 * 10


def test_moving_inversions_find_what_a_write_beside_a_place_disturbs(bench):
    """The place changes after it was read and inverted, on the way up; the way down finds it."""
    bench.at_step[NUM_SLICES + 4] = lambda: bench.flip(2, 5)
    mismatch, _ = bench.records("moving inversions")
    assert mismatch.index == 2
    assert int(mismatch.expected, 16) ^ int(mismatch.read, 16) == 1 << 5


def test_a_word_that_reads_right_the_second_time_is_not_called_reproduced(bench):
    calls = []

    def fill(out, first, seed, cycle):
        """Heals the memory while the expected words are made for the second time."""
        calls.append(first)
        out.fill_(5)
        if len(calls) == NUM_SLICES + 2:
            bench.words[0] = 5

    bench.at_step[NUM_SLICES + 1] = lambda: bench.flip(0, 1)
    bench.walk.run("mine", Pattern(summary="", fill=fill))
    mismatch, _ = bench.walk.results("mine")
    assert not mismatch.reproduced


def test_bit_fade_leaves_the_memory_alone_for_its_share_of_the_time(bench, timeline):
    before = timeline.seconds
    bench.records("bit fade ones")
    assert timeline.seconds - before == pytest.approx(0.2)


def test_too_little_memory_is_an_error_with_the_figures(linked_device, timeline, make_task, monkeypatch):
    monkeypatch.setattr(memory, "obtain", lambda wanted, device: Region((torch.empty(10**5 // 8).long(),), SLICE))
    (problem,) = run(linked_device("gpu0", timeline), make_task())
    assert (problem.verdict, problem.code) == (Verdict.ERROR, "too_little_memory")
    assert "gave 100 kB of its 1.05 MB of free memory, under the 472 kB" in problem.message


@pytest.mark.parametrize(
    ("ratio", "obtained_of_free", "is_enough"),
    [(0.95, 0.91, True), (0.95, 0.89, False), (0.9, 0.9, True), (0.9, 0.82, False), (0.5, 0.46, True)],
)
def test_nine_tenths_of_the_free_memory_must_be_covered_unless_less_was_asked_for(ratio, obtained_of_free, is_enough):
    free = 80 << 30
    wanted = int(free * ratio) // 8 * 8
    obtained = int(free * obtained_of_free) // 8 * 8
    assert (obtained >= memory.least_bytes(free, wanted)) is is_enough


def test_nothing_free_is_an_error_and_no_pass(linked_device, timeline, make_task, monkeypatch):
    device = linked_device("gpu0", timeline)
    monkeypatch.setattr(device, "free_bytes", lambda: 0)
    (problem,) = run(device, make_task())
    assert problem.code == "too_little_memory"


def test_a_stop_before_the_first_cycle_is_over_names_what_was_not_covered(linked_device, timeline, make_task):
    calls = []

    def stop():
        calls.append(None)
        return len(calls) > 3

    counted, problem = run(linked_device("gpu0", timeline), make_task(stop=stop))
    assert counted.case == "walking ones"
    assert (problem.verdict, problem.code) == (Verdict.INCONCLUSIVE, "stopped")
    assert problem.message.endswith(
        "not covered: walking zeros, own address, moving inversions, random, bit fade ones, bit fade zeros"
    )


def test_a_first_cycle_that_takes_far_too_long_says_what_was_not_covered(linked_device, timeline, make_task):
    def stop():
        """Looked at before each slice, so each takes two seconds."""
        timeline.seconds += 2.0
        return False

    *counted, problem = run(linked_device("gpu0", timeline), make_task(seconds=2.0, stop=stop))
    assert [record.case for record in counted] == ["walking ones", "walking zeros"]
    assert (problem.verdict, problem.code) == (Verdict.INCONCLUSIVE, "out_of_time")
    assert "not covered: own address, moving inversions" in problem.message


def test_host_memory_is_covered_as_far_as_the_time_allows(make_task):
    """A hundredth of a second is too short for the 64 MiB that it might use: the least is covered, and it says so."""
    device = CpuDevice("cpu0", RunClock.start())
    device.free_bytes = lambda: 64 << 20
    records = run(device, make_task(seconds=0.01, memory_ratio=1.0))
    assert {record.case for record in records} == set(PATTERNS)
    assert sum(record.count for record in records if record.case == "random") == 2 * memory.SAMPLE_BYTES


def test_a_stop_in_a_later_cycle_is_no_problem(linked_device, timeline, make_task):
    counts = []

    def stop():
        """After the first pattern of the second cycle."""
        return len(counts) > len(PATTERNS)

    for record in memory.run([linked_device("gpu0", timeline)], make_task(seconds=100.0, stop=stop)):
        assert isinstance(record, Counted)
        counts.append(record.case)
    assert counts == [*PATTERNS, "walking ones"]
