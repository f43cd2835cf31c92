"""Rows of memory that were replaced, or could not be."""

import pytest

from watchdog.detectors.row_remap import Limits, detect
from watchdog.vocabulary.findings import Severity

FAIL, WARN = Severity.FAIL, Severity.WARN


def found(make, **values):
    return {f.code: (f.severity, f.action) for f in detect(make.node_of(2, {1: values}), Limits())}


def test_a_failed_remapping_fails_and_a_pending_one_waits_for_the_end_of_the_job(make):
    assert found(make, remap_failed=1) == {"row_remap_failed": (FAIL, "contact_support")}
    assert found(make, remap_pending=1) == {"row_remap_pending": (WARN, "reset_gpu")}


def test_spares_that_run_out_are_the_early_sign(make):
    assert found(make, remap_banks_none=1) == {"row_remap_no_spares": (WARN, "contact_support")}
    assert found(make, remap_banks_low=3) == {"row_remap_few_spares": (WARN, "inspect")}


@pytest.mark.parametrize(
    ("corrected", "uncorrected", "expected"),
    [
        (10, 0, {}),
        (0, 10, {}),
        (6, 5, {"row_remap_many": (WARN, "inspect")}),
        (0, 511, {"row_remap_many": (WARN, "inspect")}),
        (0, 512, {"row_remap_many": (FAIL, "contact_support")}),
        (600, 0, {"row_remap_many": (WARN, "inspect")}),
    ],
)
def test_many_rows_are_counted_together_and_uncorrectable_ones_apart(make, corrected, uncorrected, expected):
    assert found(make, remapped_rows_corrected=corrected, remapped_rows_uncorrected=uncorrected) == expected


def test_it_began_when_the_flag_was_first_seen(make):
    window = make.node_of(1, {0: {"remap_pending": lambda age: 1 if age <= 200 else 0}})
    (finding,) = detect(window, Limits())
    assert finding.since == make.NOW - 200
    assert finding.message.startswith("gpu0 has a row remapping pending; running work is safe")


def test_a_flag_that_went_away_after_a_reset_is_well(make):
    assert found(make, remap_pending=lambda age: 0 if age < 50 else 1) == {}


def test_rows_read_at_every_tenth_look_only_are_enough(make):
    sparse = {"remap_banks_none": lambda age: 2 if age % 100 == 0 else None}
    assert found(make, **sparse) == {"row_remap_no_spares": (WARN, "contact_support")}
