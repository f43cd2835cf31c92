"""A GPU that another process uses proves nothing by being slow."""

import pytest

from fryer.judges import busy_gpu
from fryer.judges.limits import Limits
from fryer.verdict import judge
from watchdog.vocabulary.verdicts import Verdict

LIMITS = Limits()
OTHERS = {"gpu0": ("4711 python 8589934592",)}


@pytest.mark.parametrize(
    ("value", "others", "expected"),
    [
        (729e12, {}, Verdict.PASS),
        (729e12, OTHERS, Verdict.WARN),
        (500e12, {}, Verdict.FAIL),
        (500e12, OTHERS, Verdict.INCONCLUSIVE),
        (500e12, {"gpu1": OTHERS["gpu0"]}, Verdict.FAIL),
    ],
)
def test_a_busy_gpu_is_told_apart_from_a_slow_one(make, value, others, expected):
    assert judge(make.h100s([value], gpu_processes=others)).devices[0].verdict is expected


def test_what_was_excused_is_still_told(make):
    (device,) = judge(make.h100s([500e12], gpu_processes=OTHERS)).devices
    reason = device.reasons[0]
    assert (reason.code, reason.evidence["instead_of"]) == ("busy_gpu", "below_floor")
    assert reason.message.endswith("but 1 other process was at work: (4711 python 8589934592)")


def test_a_busy_gpu_excuses_no_wrong_memory(make):
    evidence = make.h100s(
        [729e12],
        gpu_processes=OTHERS,
        gpu_readings={"gpu0": make.readings("GPU-0000", ecc_uncorrected_total=lambda i: i)},
    )
    assert judge(evidence).devices[0].verdict is Verdict.FAIL


def test_many_processes_are_counted_and_the_first_named(make):
    (found,) = busy_gpu.judge(make.h100s([729e12], gpu_processes={"gpu0": tuple(f"{i} x 1" for i in range(5))}), LIMITS)
    assert found.reason.message == (
        "5 other processes were at work: (0 x 1), (1 x 1), (2 x 1) ... on gpu0: its figures are lower bounds"
    )
