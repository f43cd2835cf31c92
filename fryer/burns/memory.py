"""Patterns over the free memory: written everywhere, then read back and compared, word by word.

    write all slices ──▶ (wait, for bit fade) ──▶ make what is expected of a slice, compare on the device, count
                                                   a difference -> first wrong place, its bits, and read it once more

It covers `Task.memory_ratio` of what is free; less than nine tenths of the free memory is an ERROR and never a pass,
unless less was asked for. Patterns are repeated until the time is over, and each has its turn at least once, or the
result is INCONCLUSIVE. Host memory is slow to walk and shared with everybody, so there it covers no more than it can
within the time, and says how much that was.
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace

import torch

from fryer.burns import Task
from fryer.burns.operands import show_digest
from fryer.burns.patterns import PATTERNS, Pattern
from fryer.burns.region import Region, Slice, obtain
from fryer.devices import Device
from fryer.records import Counted, Mismatch, Problem, Record
from watchdog.vocabulary.units import show_quantity
from watchdog.vocabulary.verdicts import Verdict

LEAST_OBTAINED = 0.9
"""Share of the free memory, or of what was asked for where that is less, below which the test would say too little. A
test that covers what little it gets and
passes is a known trap: DCGM's memory test passed when its allocation failed (NVIDIA/DCGM issue 284)."""
FADE_SHARE = 0.05
"""Part of the duration for which each bit fade pattern leaves the memory alone."""
SAMPLE_BYTES = 16 << 20
"""Host memory that is walked first, to find how much can be covered within the time."""
AFFORDABLE_SHARE = 0.4
"""Part of the time that the first cycle may take by that sample. Below one half, since a sample is partly cached."""
OVERTIME_SECONDS = 8.0
"""So much longer than asked the first cycle may take; below the time at which a worker is taken for hung."""
_POLL_SECONDS = 0.25
_SHORTEST_SECONDS = 1e-3


class _Over(Exception):  # noqa: N818 - an end, not an error
    """The run is to end, or the time is up."""


def run(devices: Sequence[Device], task: Task) -> Iterator[Record]:
    """Cycle through `PATTERNS`; yields the bytes verified after each, and one mismatch for each pass that found any."""
    (device,) = devices
    end = device.clock.now() + task.seconds
    free = device.free_bytes()
    wanted = int(free * task.memory_ratio) // 8 * 8
    if device.host_is_device:
        began = device.clock.now()
        sample = Walk(device, task, obtain(min(wanted, SAMPLE_BYTES), device.torch_device), end, fade_seconds=0.0)
        yield from _cycle(sample, set())
        bytes_per_second = min(wanted, SAMPLE_BYTES) / max(device.clock.now() - began, _SHORTEST_SECONDS)
        affordable = int(bytes_per_second * AFFORDABLE_SHARE * task.seconds) // 8 * 8
        wanted = min(wanted, max(affordable, SAMPLE_BYTES))
    region = obtain(wanted, device.torch_device)
    least = least_bytes(free, wanted)
    if not region.num_bytes or region.num_bytes < least:
        yield _too_little(device, region.num_bytes, least, free)
        return
    walk = Walk(device, task, region, end, fade_seconds=FADE_SHARE * task.seconds)
    covered: set[str] = set()
    while (yield from _cycle(walk, covered)):
        walk.cycle += 1
    if len(covered) < len(PATTERNS):
        yield _uncovered(device, covered, is_stopped=task.stop())


def least_bytes(free: int, wanted: int) -> int:
    """Bytes without which nothing is tested: `LEAST_OBTAINED` of what is free, or of `wanted` where that is less."""
    if wanted < LEAST_OBTAINED * free - 8:  # `wanted` is rounded down to a word
        return int(LEAST_OBTAINED * wanted)
    return min(wanted, int(LEAST_OBTAINED * free))


def _cycle(walk: "Walk", covered: set[str]) -> Generator[Record, None, bool]:
    """Run each pattern once and add those that ran whole to `covered`; returns False when it is over."""
    for name, pattern in PATTERNS.items():
        if pattern.is_left_alone and name in covered:
            continue  # waiting again would take time from the patterns that read
        is_whole = walk.run(name, pattern)
        yield from walk.results(name)
        if not is_whole:
            return False
        covered.add(name)
    return True


class Walk:
    """One pattern after the other over one region."""

    def __init__(self, device: Device, task: Task, region: Region, end_seconds: float, fade_seconds: float) -> None:
        """`end_seconds` on the run's clock; the first cycle may take longer. `fade_seconds`: the wait of bit fade."""
        self.cycle = 0
        self._device = device
        self._task = task
        self._region = region
        self._end = end_seconds
        self._fade_seconds = fade_seconds
        self._verified_bytes = 0
        self._found: list[Mismatch] = []
        self._expected = torch.empty(region.slice_words, dtype=torch.int64, device=device.torch_device)

    def run(self, name: str, pattern: Pattern) -> bool:
        """All passes of one pattern; False when the run's end came before they were done."""
        try:
            for part in self._slices():
                pattern.fill(part.words, part.first, self._task.seed, self.cycle)
            if pattern.is_left_alone:
                self._leave_alone()
            if pattern.is_inverted_after:
                self._check(name, pattern, inverts_after=True)
                self._check(name, pattern, is_inverted=True, inverts_after=True, is_downwards=True)
            self._check(name, pattern)
        except _Over:
            return False
        return True

    def results(self, name: str) -> Iterator[Record]:
        """What was found and how much was verified since the last call."""
        yield from self._found
        if self._verified_bytes:
            yield Counted(
                device=self._device.name,
                burn="memory",
                case=name,
                what="bytes",
                count=self._verified_bytes * self._device.scale,
            )
        self._found.clear()
        self._verified_bytes = 0

    def _slices(self, *, is_downwards: bool = False) -> Iterator[Slice]:
        for part in self._region.slices(is_downwards=is_downwards):
            self._go_on_or_raise()
            yield part

    def _go_on_or_raise(self) -> None:
        end = self._end if self.cycle else self._end + OVERTIME_SECONDS
        if self._task.stop() or self._device.clock.now() >= end:
            raise _Over

    def _leave_alone(self) -> None:
        until = self._device.wait(self._device.mark()) + self._fade_seconds
        while (left := until - self._device.clock.now()) > 0:
            self._go_on_or_raise()
            self._device.clock.sleep(min(left, _POLL_SECONDS))

    def _check(
        self,
        name: str,
        pattern: Pattern,
        *,
        is_inverted: bool = False,
        inverts_after: bool = False,
        is_downwards: bool = False,
    ) -> None:
        """One pass over all places; keeps its first mismatch, with the number of wrong words in the whole pass."""
        first: Mismatch | None = None
        num_wrong = 0
        try:
            for part in self._slices(is_downwards=is_downwards):
                expected = self._expect(pattern, part, is_inverted=is_inverted)
                differs = torch.ne(part.words, expected)
                wrong_here = int(differs.sum())
                if wrong_here and first is None:
                    index = int(differs.nonzero()[0])
                    read = int(part.words[index])  # what the caches hold of the read that was compared
                    self._expect(pattern, part, is_inverted=is_inverted)
                    first = self._mismatch(
                        name, part.first + index, int(expected[index]), (read, int(part.words[index]))
                    )
                num_wrong += wrong_here
                self._verified_bytes += part.words.nbytes
                if inverts_after:
                    torch.bitwise_not(expected, out=part.words)
        finally:
            if first:
                self._found.append(replace(first, num_wrong=num_wrong))

    def _expect(self, pattern: Pattern, part: Slice, *, is_inverted: bool) -> torch.Tensor:
        """What belongs into a slice, in the same buffer each time. Making it drives the slice out of a GPU's caches."""
        expected = self._expected[: part.words.numel()]
        pattern.fill(expected, part.first, self._task.seed, self.cycle)
        return expected.bitwise_not_() if is_inverted else expected

    def _mismatch(self, name: str, place: int, expected: int, reads: tuple[int, int]) -> Mismatch:
        """`reads`: the word as it was read, and as it was read once more."""
        return Mismatch(
            device=self._device.name,
            burn="memory",
            case=name,
            seed=self._task.seed,
            round=self.cycle,
            pair=0,
            at_seconds=self._device.clock.now(),
            index=place,
            num_wrong=None,
            expected=show_digest(expected),
            read=show_digest(reads[0]),
            is_nan=False,
            reproduced=reads[1] != expected,
            how="pattern",
        )


def _too_little(device: Device, obtained: int, least: int, free: int) -> Problem:
    return Problem(
        device=device.name,
        burn="memory",
        case="",
        verdict=Verdict.ERROR,
        code="too_little_memory",
        message=f"{device.name} gave {show_quantity(obtained, 'B')} of its {show_quantity(free, 'B')} of free memory, "
        f"under the {show_quantity(least, 'B')} that a test must cover, so nothing was tested: end what else uses "
        f"this memory, or ask for less with --memory",
    )


def _uncovered(device: Device, covered: set[str], *, is_stopped: bool) -> Problem:
    missing = ", ".join(name for name in PATTERNS if name not in covered)
    why = (
        "stopped"
        if is_stopped
        else (f"the time and {OVERTIME_SECONDS:g} s more were over (give it a longer --duration, or less --memory)")
    )
    return Problem(
        device=device.name,
        burn="memory",
        case="",
        verdict=Verdict.INCONCLUSIVE,
        code="stopped" if is_stopped else "out_of_time",
        message=f"{why} before each pattern had covered the memory of {device.name} once; not covered: {missing}",
    )
