"""Counters of links and of replaced rows that grow while the node is burnt."""

import pytest

from fryer.judges import links, remap
from fryer.judges.limits import Limits
from fryer.judges.links import growth

LIMITS = Limits()


def read(make, **fields):
    return make.node([make.gpu(0)], gpu_readings={"gpu0": make.readings("GPU-0000", **fields)})


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        (lambda i: 7, {}),  # from before the run
        (lambda i: None, {}),
        (lambda i: int(i > 10), {"nvlink_errors": "WARN"}),
        (lambda i: 90 * i, {"nvlink_errors": "WARN"}),
        (lambda i: 150 * i, {"nvlink_errors": "FAIL"}),
        (lambda i: min(2000, 400 * max(0, i - 20)), {"nvlink_errors": "FAIL"}),  # 5 seconds of 30
    ],
)
def test_nvlink_errors_warn_and_fail_by_their_rate(make, codes, total, expected):
    assert codes(links.judge(read(make, nvlink_errors_total=total), LIMITS)) == expected


@pytest.mark.parametrize(
    ("total", "link", "expected"),
    [
        (3, (5, 16), {}),
        (lambda i: 3 + (i > 5), (5, 16), {"pcie_replays": "WARN"}),
        (lambda i: i, (5, 16), {"pcie_replays": "WARN"}),  # 29 of the 31 that Gen5 x16 may have in a minute
        (lambda i: 2 * i, (5, 16), {"pcie_replays": "FAIL"}),
        (lambda i: i, (3, 16), {"pcie_replays": "FAIL"}),  # of 8
        (lambda i: 2 * i, (None, None), {"pcie_replays": "WARN"}),
    ],
)
def test_pcie_replays_are_held_against_what_generation_and_width_allow(make, codes, total, link, expected):
    evidence = read(make, pcie_replays_total=total, pcie_generation=link[0], pcie_width=link[1])
    assert codes(links.judge(evidence, LIMITS)) == expected


def test_growth_counts_across_gaps_and_resets_and_in_the_worst_window(make):
    values = [5, None, 6, 2, 2, 12]
    readings = make.readings("GPU-0000", 6, nvlink_errors_total=lambda i: values[i])
    assert growth(readings, "nvlink_errors_total", 100.0) == (13, 13, 5.0)
    assert growth(readings, "nvlink_errors_total", 1.0) == (13, 10, 5.0)
    assert growth((), "nvlink_errors_total", 1.0) == (0, 0, 0.0)


@pytest.mark.parametrize(
    ("field", "expected"), [("remapped_rows_uncorrected", "FAIL"), ("remapped_rows_corrected", "WARN")]
)
def test_a_row_that_is_replaced_during_the_run_is_told(make, codes, field, expected):
    assert codes(remap.judge(read(make, **{field: lambda i: 4 + (i > 3)}), LIMITS)) == {"rows_remapped": expected}
    assert remap.judge(read(make, **{field: 4}), LIMITS) == []
