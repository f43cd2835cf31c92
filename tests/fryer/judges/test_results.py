"""Wrong results, votes, problems, coverage, interruption, busy machines."""

import pytest

from fryer.judges import busy, coverage, digests, interruption, problems, results
from fryer.judges.limits import Limits
from fryer.records import Counted, Mismatch, Problem, ProductDigest
from watchdog.collectors.readings import HostReading, XidEvent
from watchdog.vocabulary.verdicts import Verdict

LIMITS = Limits()


def mismatch(**changes):
    fields = {
        "device": "gpu0",
        "burn": "gemm",
        "case": "bf16 8192x8192x8192",
        "seed": 7,
        "round": 1,
        "pair": 2,
        "at_seconds": 4.0,
        "index": 12,
        "num_wrong": 1,
        "expected": "3f80",
        "read": "3f81",
        "is_nan": False,
        "reproduced": False,
        "how": "twin",
    }
    return Mismatch(**fields | changes)


def digest(device, value, seed=7):
    return ProductDigest(device=device, case="bf16", round=0, pair=0, seed=seed, digest=value)


def problem(verdict, device="gpu0", code="deadline"):
    return Problem(device=device, burn="hbm", case="copy", verdict=verdict, code=code, message="it did not end")


def host(second, **fields):
    base = {
        "pressure_some_ratio": None,
        "others_ratio": None,
        "steal_ratio": None,
        "clock_hertz": None,
        "memory_available_bytes": None,
    }
    return HostReading(at_seconds=float(second), **base | fields)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, "wrong_result"),
        ({"how": "fp64"}, "wrong_result"),
        ({"how": "pattern", "burn": "memory"}, "wrong_result"),
        ({"is_nan": True}, "nan_result"),
        ({"how": "vote"}, "digest_minority"),
    ],
)
def test_any_wrong_result_fails(make, codes, changes, code):
    evidence = make.node([make.gpu(0)], mismatches=(mismatch(**changes),))
    assert codes(results.judge(evidence, LIMITS), "gpu0") == {code: "FAIL"}


def test_many_wrong_results_are_one_reason_with_the_first_ten_whole(make):
    counted = Counted(device="gpu0", burn="gemm", case="bf16 8192x8192x8192", what="products", count=5000)
    evidence = make.node([make.gpu(0)], mismatches=tuple(mismatch(index=i) for i in range(300)), counted=(counted,))
    (found,) = results.judge(evidence, LIMITS)
    assert found.reason.evidence["count"] == 300
    assert [row["index"] for row in found.reason.evidence["first"]] == list(range(10))
    assert "300 wrong results (of 5,000 products verified)" in found.reason.message
    assert "expected 3f80, read 3f81" in found.reason.message


def test_one_wrong_result_is_one(make):
    (found,) = results.judge(make.node([make.gpu(0)], mismatches=(mismatch(),)), LIMITS)
    assert ": 1 wrong result; the first " in found.reason.message


def test_the_outvoted_device_fails_and_nobody_else(make):
    evidence = make.node(
        [make.gpu(i) for i in range(4)],
        digests=tuple(digest(f"gpu{i}", "bad" if i == 2 else "good", seed) for i in range(4) for seed in range(5)),
    )
    (found,) = digests.judge(evidence, LIMITS)
    assert (found.device, found.reason.code, found.reason.verdict) == ("gpu2", "digest_minority", Verdict.FAIL)
    assert found.reason.evidence["count"] == 5


def test_two_devices_that_disagree_are_inconclusive(make):
    evidence = make.node([make.gpu(0), make.gpu(1)], digests=(digest("gpu0", "x"), digest("gpu1", "y")))
    assert [(c.device, c.reason.code, str(c.reason.verdict)) for c in digests.judge(evidence, LIMITS)] == [
        ("gpu0", "digest_tie", "INCONCLUSIVE"),
        ("gpu1", "digest_tie", "INCONCLUSIVE"),
    ]


@pytest.mark.parametrize(("threads", "num_found"), [((16, 16), 2), ((16, 8), 0)])
def test_processors_with_other_thread_counts_may_sum_in_another_order(make, threads, num_found):
    """Of one of two sockets a cpuset allows half of the threads."""
    evidence = make.node(
        [make.cpu(name=f"cpu{i}", uuid=f"cpu-{i}", cores=8, num_processors=n) for i, n in enumerate(threads)],
        digests=(digest("cpu0", "x"), digest("cpu1", "y")),
    )
    assert len(digests.judge(evidence, LIMITS)) == num_found


def test_processors_with_other_core_counts_may_sum_in_another_order(make):
    evidence = make.node(
        [make.cpu(cores=8), make.cpu(name="cpu1", uuid="cpu-1", cores=6)],
        digests=(digest("cpu0", "x"), digest("cpu1", "y")),
    )
    assert digests.judge(evidence, LIMITS) == []


def test_problems_say_themselves_what_they_are(make):
    evidence = make.node(
        [make.gpu(0)],
        problems=(
            problem(Verdict.ERROR),
            problem(Verdict.FAIL, code="device_lost"),
            problem(Verdict.SKIPPED, device="gpu7"),
        ),
    )
    assert [(c.device, c.reason.code, c.reason.verdict) for c in problems.judge(evidence, LIMITS)] == [
        ("gpu0", "deadline", Verdict.ERROR),
        ("gpu0", "device_lost", Verdict.FAIL),
        ("", "deadline", Verdict.SKIPPED),
    ]


def test_a_device_that_nothing_is_known_of_is_an_error(make):
    evidence = make.node(
        [make.gpu(0), make.gpu(1), make.gpu(2)],
        [make.series("gpu0", 1.0)],
        problems=(problem(Verdict.SKIPPED, device="gpu2"),),
    )
    assert [(c.device, c.reason.code, str(c.reason.verdict)) for c in coverage.judge(evidence, LIMITS)] == [
        ("gpu1", "nothing_measured", "ERROR")
    ]


def test_a_node_without_devices_is_an_error(make):
    assert [(c.device, c.reason.code, str(c.reason.verdict)) for c in coverage.judge(make.node([]), LIMITS)] == [
        ("", "nothing_measured", "ERROR")
    ]


def test_verified_bytes_count_as_measured(make):
    counted = Counted(device="gpu0", burn="memory", case="random", what="bytes", count=10**9)
    assert coverage.judge(make.node([make.gpu(0)], counted=(counted,)), LIMITS) == []
    nothing = Counted(device="gpu0", burn="memory", case="random", what="bytes", count=0)
    assert len(coverage.judge(make.node([make.gpu(0)], counted=(nothing,)), LIMITS)) == 1


def test_an_interruption_concerns_the_node_and_each_device(make):
    evidence = make.h100s([729e12, 729e12], interrupted="SIGTERM")
    assert [(c.device, str(c.reason.verdict)) for c in interruption.judge(evidence, LIMITS)] == [
        ("", "INCONCLUSIVE"),
        ("gpu0", "INCONCLUSIVE"),
        ("gpu1", "INCONCLUSIVE"),
    ]


@pytest.mark.parametrize(
    ("fields", "is_busy"),
    [
        ({"others_ratio": 0.4}, True),
        ({"others_ratio": 0.02}, False),
        ({"steal_ratio": 0.2}, True),
        ({"others_ratio": 0.02, "pressure_some_ratio": 0.9}, False),
        ({"pressure_some_ratio": 0.9}, True),
        ({}, False),
    ],
)
def test_a_busy_machine_is_known_by_what_others_take(make, codes, fields, is_busy):
    """Pressure alone may be our own: a burn with a thread on every core makes its neighbours wait."""
    evidence = make.node(
        [make.cpu()], [make.series("cpu0", 1e11)], host_readings=tuple(host(i, **fields) for i in range(30))
    )
    assert codes(busy.judge(evidence, LIMITS)) == ({"busy_host": "WARN"} if is_busy else {})


def test_a_gpu_is_not_excused_by_a_busy_host(make):
    evidence = make.h100s([600e12], host_readings=tuple(host(i, others_ratio=0.9) for i in range(30)))
    assert busy.judge(evidence, LIMITS) == []


CRASH = "gemm on gpu0 broke: AcceleratorError: CUDA error: an illegal memory access was encountered"


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ({}, {"crashed": "ERROR"}),
        ({"xids": (XidEvent(uuid="GPU-0000", code=31, at_seconds=3.0),)}, {"crashed": "ERROR"}),
        ({"xids": (XidEvent(uuid="GPU-0001", code=79, at_seconds=3.0),)}, {"crashed": "ERROR"}),
        ({"xids": (XidEvent(uuid="GPU-0000", code=79, at_seconds=3.0),)}, {"device_lost": "FAIL"}),
    ],
)
def test_an_illegal_access_fails_the_device_only_where_the_driver_agrees(make, codes, seen, expected):
    crashed = Problem(device="gpu0", burn="gemm", case="", verdict=Verdict.ERROR, code="crashed", message=CRASH)
    evidence = make.node([make.gpu(0), make.gpu(1)], problems=(crashed,), **seen)
    assert codes(problems.judge(evidence, LIMITS)) == expected


def test_an_illegal_access_on_a_gpu_that_nvml_lost_is_the_loss(make, codes):
    crashed = Problem(device="gpu0", burn="gemm", case="", verdict=Verdict.ERROR, code="crashed", message=CRASH)
    lost = {"gpu0": make.readings("GPU-0000", lost=lambda i: i > 3)}
    found = problems.judge(make.node([make.gpu(0)], problems=(crashed,), gpu_readings=lost), LIMITS)
    assert codes(found) == {"device_lost": "FAIL"}
    assert found[0].reason.message.endswith("; and NVML lost it")
