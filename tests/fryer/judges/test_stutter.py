"""A device that is slow again and again, which a median does not see: told by its intervals and by its total rate."""

from dataclasses import replace

import pytest

from fryer.judges import floor, history, node, stutter
from fryer.judges.limits import Limits
from fryer.steady import measure
from fryer.verdict import judge
from watchdog.vocabulary.verdicts import Verdict

LIMITS = Limits()


def stuttering(make, device="gpu0", value=725e12, factor=0.4, every=4, count=40, **more):
    """One interval in `every` at `factor` of `value`; a little noise, so that no shortfall is beyond all noise."""
    base = make.series(device, value, count=count, noise=0.003, **more)
    points = [replace(p, value=p.value * factor) if i % every == every - 1 else p for i, p in enumerate(base.series)]
    return measure(points)[0]


def test_a_gpu_slow_for_a_second_in_four_fails_though_its_median_is_good(make, codes):
    """The median is 725 TFLOP/s, above every limit; the work done is 616, below the floor of 640."""
    found = stuttering(make)
    assert found.value > 720e12
    evidence = make.node([make.gpu(0)], [found])
    assert codes(stutter.judge(evidence, LIMITS)) == {"stutter": "FAIL"}
    assert codes(floor.judge(evidence, LIMITS)) == {"below_floor": "FAIL"}
    (below,) = floor.judge(evidence, LIMITS)
    assert "over the whole time (median 72" in below.reason.message
    assert below.reason.evidence["value_is"] == "total"
    assert judge(evidence).devices[0].verdict is Verdict.FAIL


def test_it_is_held_against_its_neighbours_by_the_work_done(make, codes):
    neighbours = [make.series(f"gpu{i}", 725e12, noise=0.003, count=40) for i in range(1, 8)]
    evidence = make.node([make.gpu(i) for i in range(8)], [stuttering(make), *neighbours])
    found = node.judge(evidence, LIMITS)
    assert [(c.device, str(c.reason.verdict), c.reason.evidence["value_is"]) for c in found] == [
        ("gpu0", "FAIL", "total")
    ]


def test_it_is_held_against_its_own_past_by_the_work_done(make, codes, past):
    evidence = make.node([make.gpu(0)], [stuttering(make)], own_past=(past("GPU-0000", 725e12),))
    assert codes(history.judge(evidence, LIMITS)) == {"below_own_past": "FAIL"}


@pytest.mark.parametrize(
    ("factor", "every", "count", "expected"),
    [
        (0.80, 4, 40, {"stutter": "WARN"}),  # 5 % of the work lost
        (0.95, 4, 40, {}),  # not below 90 %
        (0.10, 40, 40, {}),  # one dip in forty
        (0.40, 4, 19, {}),  # too few to count a share
    ],
)
def test_a_share_of_slow_intervals_warns_and_what_it_costs_fails(make, codes, factor, every, count, expected):
    found = stuttering(make, factor=factor, every=every, count=count)
    found = replace(found, steady_from_seconds=None)
    assert codes(stutter.judge(make.node([make.gpu(0)], [found]), LIMITS)) == expected


def test_a_processor_only_warns(make, codes):
    evidence = make.node([make.cpu()], [stuttering(make, device="cpu0")])
    assert codes(stutter.judge(evidence, LIMITS)) == {"stutter": "WARN"}


def test_burns_that_change_their_load_are_not_asked(make):
    found = [stuttering(make, burn=burn) for burn in ("p2p", "soak")]
    assert stutter.judge(make.node([make.gpu(0)], found), LIMITS) == []


def test_a_device_that_is_not_of_the_node_is_passed_over(make):
    assert stutter.judge(make.node([], [stuttering(make)]), LIMITS) == []
