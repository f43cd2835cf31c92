"""Measured without being watched, or without being verified: no pass."""

from dataclasses import replace

import pytest

from fryer.judges import unseen
from fryer.judges.limits import Limits
from fryer.records import Counted, Problem
from fryer.verdict import judge
from watchdog.vocabulary.verdicts import Verdict

LIMITS = Limits()


@pytest.mark.parametrize("kind", ["cuda", "simulated"])
def test_a_gpu_that_nobody_watched_does_not_pass(make, codes, kind):
    evidence = make.node([make.gpu(0, kind=kind)], [make.series("gpu0", 729e12)])
    assert judge(evidence).devices[0].verdict is Verdict.PASS
    blind = replace(evidence, gpu_readings={})
    assert codes(unseen.judge(blind, LIMITS)) == {"no_telemetry": "INCONCLUSIVE"}
    assert judge(blind).devices[0].verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("count", "num_readings", "expected"),
    [
        (1, 0, {"no_telemetry": "INCONCLUSIVE"}),
        (1, 1, {}),
        (600, 28, {"no_telemetry": "INCONCLUSIVE"}),
        (600, 60, {}),
    ],
)
def test_readings_are_needed_for_the_length_of_the_burn(make, codes, count, num_readings, expected):
    evidence = make.node(
        [make.gpu(0)],
        [make.series("gpu0", 729e12, count=count)],
        gpu_readings={"gpu0": make.readings("GPU-0000", num_readings)},
    )
    assert codes(unseen.judge(evidence, LIMITS)) == expected


def test_readings_that_say_nothing_are_none(make, codes):
    readings = make.readings("GPU-0000", 30, temperature_celsius=None)
    evidence = make.h100s([729e12], gpu_readings={"gpu0": readings})
    assert codes(unseen.judge(evidence, LIMITS)) == {"no_telemetry": "INCONCLUSIVE"}


def test_a_processor_and_a_lost_gpu_need_no_readings(make):
    assert unseen.judge(make.node([make.cpu()], [make.series("cpu0", 1e11)]), LIMITS) == []
    lost = make.readings("GPU-0000", 1, temperature_celsius=None, lost=True)
    assert unseen.judge(make.h100s([729e12], gpu_readings={"gpu0": lost}), LIMITS) == []


def products(make, count, case=None):
    return Counted(device="gpu0", burn="gemm", case=case or make.BF16, what="products", count=count)


def test_a_rate_of_products_that_nobody_verified_is_an_error(make, codes):
    for counted in ((), (products(make, 0),), (products(make, 9, "fp8 8192x8192x8192"),)):
        evidence = make.h100s([729e12], counted=counted)
        assert codes(unseen.judge(evidence, LIMITS)) == {"nothing_verified": "ERROR"}
        assert judge(evidence).devices[0].verdict is Verdict.ERROR
    assert unseen.judge(make.h100s([729e12], counted=(products(make, 1),)), LIMITS) == []


def test_bandwidth_has_no_products_to_verify(make):
    found = make.series("gpu0", 3e12, burn="hbm", case="copy", metric=make.BYTES)
    assert unseen.judge(make.node([make.gpu(0)], [found], counted=()), LIMITS) == []


def test_where_a_burn_was_ended_or_broke_that_is_what_is_told(make, codes):
    assert unseen.judge(make.h100s([729e12], counted=(), interrupted="Ctrl-C"), LIMITS) == []
    broke = Problem(device="gpu0", burn="gemm", case="", verdict=Verdict.ERROR, code="crashed", message="x")
    assert unseen.judge(make.h100s([729e12], counted=(), problems=(broke,)), LIMITS) == []
    skipped = replace(broke, verdict=Verdict.SKIPPED, case="fp64")
    found = unseen.judge(make.h100s([729e12], counted=(), problems=(skipped,)), LIMITS)
    assert codes(found) == {"nothing_verified": "ERROR"}
