"""What the burns that move data share: random bytes to move, the rate at which they move, and proof that they arrived.

It chooses no sizes and knows no links.
"""

from collections.abc import Callable, Iterator, Sequence

import torch

from fryer.burns import Task
from fryer.burns.operands import show_digest
from fryer.burns.patterns import fill_random
from fryer.burns.rates import Lane, measure
from fryer.burns.region import Region, slice_words
from fryer.devices import Device
from fryer.records import BYTES, Counted, Mismatch, Point, Problem, Record
from watchdog.vocabulary.verdicts import Verdict

Expect = Callable[[torch.Tensor, int], object]
"""(words, first): fill int64 `words` with what belongs at the places first, first + 1, ..."""


def fill(buffer: torch.Tensor, seed: int) -> None:
    """Fill a flat buffer of a multiple of 8 bytes with random words, equal for equal seeds on every device."""
    for part in _words(buffer).slices():
        fill_random(part.words, part.first, seed, 0)


def timed(device: Device, burn: str, case: str, lanes: Sequence[Lane], seconds: float, task: Task) -> Iterator[Record]:
    """Repeat the lanes' work and report its rate as a case of `device`; a stop before the first rate is a problem."""
    is_measured = False
    for rate in measure(lanes, seconds, task.stop):
        is_measured = True
        yield Point(
            device=device.name, burn=burn, case=case, metric=BYTES, at_seconds=rate.at_seconds, value=rate.value
        )
    if not is_measured:
        yield stopped(device, burn, case)


def stopped(device: Device, burn: str, case: str) -> Problem:
    """The run ended before this case was measured."""
    return Problem(
        device=device.name,
        burn=burn,
        case=case,
        verdict=Verdict.INCONCLUSIVE,
        code="stopped",
        message=f"{burn} {case} on {device.name} was not measured: the run ended before it",
    )


def skipped(device: Device, burn: str, code: str, message: str) -> Problem:
    """This device has nothing that the burn could measure."""
    return Problem(device=device.name, burn=burn, case="", verdict=Verdict.SKIPPED, code=code, message=message)


def verified(
    device: Device,
    burn: str,
    case: str,
    arrived: torch.Tensor,
    task: Task,
    *,
    again: Callable[[], object],
    expect: Expect | None = None,
) -> Iterator[Record]:
    """Compare a flat buffer with what `fill` makes of the task's seed; yields how many bytes were compared.

    `again` queues on `device` what filled the buffer, to see whether it comes out wrong once more. `expect` makes other
    words than `fill` does. Indices in a mismatch are of 64-bit words.
    """
    expect = expect or _random_of(task.seed)
    wrong = _wrong(arrived, expect)
    if wrong:
        index, expected, read, num_wrong = wrong
        again()
        device.wait(device.mark())
        yield Mismatch(
            device=device.name,
            burn=burn,
            case=case,
            seed=task.seed,
            round=0,
            pair=0,
            at_seconds=device.clock.now(),
            index=index,
            num_wrong=num_wrong,
            expected=show_digest(expected),
            read=show_digest(read),
            is_nan=False,
            reproduced=_wrong(arrived, expect) is not None,
            how="pattern",
        )
    yield Counted(device=device.name, burn=burn, case=case, what="bytes", count=arrived.nbytes * device.scale)


def _random_of(seed: int) -> Expect:
    return lambda words, first: fill_random(words, first, seed, 0)


def _words(buffer: torch.Tensor) -> Region:
    return Region((buffer.view(torch.int64),), slice_words(buffer.device))


def _wrong(arrived: torch.Tensor, expect: Expect) -> tuple[int, int, int, int] | None:
    """(index, expected, read, number) of the words that differ; None when all are right."""
    first: tuple[int, int, int] | None = None
    num_wrong = 0
    for part in _words(arrived).slices():
        expected = torch.empty_like(part.words)
        expect(expected, part.first)
        differs = torch.ne(part.words, expected)
        wrong_here = int(differs.sum())
        if wrong_here and first is None:
            at = int(differs.nonzero()[0])
            first = part.first + at, int(expected[at]), int(part.words[at])
        num_wrong += wrong_here
    return (*first, num_wrong) if first else None
