"""Memory errors, remapped rows and retired pages of one GPU, as ``nvidia-smi -q`` has them."""

from collections.abc import Iterable, Mapping

from fryer.imports.conclusions import conclude
from fryer.imports.facts import Device, Value
from fryer.judges.conclusion import Conclusion, count_of
from watchdog.vocabulary.verdicts import Verdict

_REMAPPED_FAIL = 512
"""DCGM_LIMIT_MAX_ROW_REMAP_UNCORRECTABLE."""
_RETIRED_FAIL = 60
"""DCGM_LIMIT_MAX_RETIRED_PAGES_SOFT_LIMIT is 60 of 64 pages."""
_CORRECTED_WARN = 10_000
"""azurehpc-health-checks' limit for SRAM, the lower one of its two; a count since the driver was loaded has no rate."""
_RESET = "reset the GPU before the node takes work, then run fryer run --burns memory"
_REPLACE = "replace the GPU: it is a ground for return"


def memory(device: Device, known: Mapping[str, Value]) -> Iterable[Conclusion]:
    """Everything about the memory that is wrong, or worth a look."""
    yield from _flags(device, known)
    yield from _counts(device, known)
    yield from _mode(device, known)


def _flags(device: Device, known: Mapping[str, Value]) -> Iterable[Conclusion]:
    rules = (
        (
            "remap_failed",
            "row_remap_failed",
            Verdict.FAIL,
            "a bad row could not be remapped: no spare is left",
            _REPLACE,
        ),
        ("remap_pending", "row_remap_pending", Verdict.WARN, "a row remapping waits for a reset", _RESET),
        ("retirement_pending", "page_retirement_pending", Verdict.WARN, "a page retirement waits for a reset", _RESET),
        (
            "sram_threshold_exceeded",
            "sram_threshold",
            Verdict.FAIL,
            "uncorrectable SRAM errors are over NVIDIA's threshold",
            _REPLACE,
        ),
    )
    for metric, code, verdict, message, remedy in rules:
        if known.get(metric) is True:
            yield conclude(code, verdict, message, device=device.name, remedy=remedy)


def _counts(device: Device, known: Mapping[str, Value]) -> Iterable[Conclusion]:
    new, ever = _count(known, "ecc_uncorrected_volatile"), _count(known, "ecc_uncorrected_aggregate")
    if new:
        yield conclude(
            "ecc_uncorrected",
            Verdict.FAIL,
            f"{count_of(new, 'uncorrectable memory error')} since the driver was loaded",
            device=device.name,
            remedy="reset the GPU so that rows are remapped, and run the memory burn; if it returns, replace it",
            figures={"volatile": new, "aggregate": ever},
        )
    elif ever:
        yield conclude(
            "ecc_uncorrected",
            Verdict.WARN,
            f"{count_of(ever, 'uncorrectable memory error')} in its life, none since the driver was loaded",
            device=device.name,
            remedy="run fryer run --burns memory before trusting it",
            figures={"volatile": 0, "aggregate": ever},
        )
    corrected = _count(known, "ecc_corrected_volatile")
    if corrected > _CORRECTED_WARN:
        yield conclude(
            "ecc_corrected",
            Verdict.WARN,
            f"{corrected:,} corrected memory errors since the driver was loaded",
            device=device.name,
            remedy="watch it: a stream of corrected errors precedes row remapping",
            figures={"volatile": corrected, "warn": _CORRECTED_WARN},
        )
    rows = _count(known, "remapped_rows_uncorrected")
    if rows:
        verdict = Verdict.FAIL if rows >= _REMAPPED_FAIL else Verdict.WARN
        message = f"{count_of(rows, 'row')} remapped after uncorrectable errors, limit {_REMAPPED_FAIL}"
        remedy = _REPLACE if verdict is Verdict.FAIL else "watch whether it grows"
        yield conclude("rows_remapped", verdict, message, device=device.name, remedy=remedy, figures={"rows": rows})
    pages = _count(known, "retired_pages_single") + _count(known, "retired_pages_double")
    if pages >= _RETIRED_FAIL:
        message = f"{pages} pages retired, of 64 that are possible"
        yield conclude("pages_retired", Verdict.FAIL, message, device=device.name, remedy=_REPLACE)


def _mode(device: Device, known: Mapping[str, Value]) -> Iterable[Conclusion]:
    if known.get("ecc_mode") is False:
        yield conclude(
            "ecc_off",
            Verdict.WARN,
            "ECC is switched off, so memory errors go unseen into the results",
            device=device.name,
            remedy="nvidia-smi -e 1, then reset",
        )


def _count(known: Mapping[str, Value], metric: str) -> int:
    value = known.get(metric)
    return int(value) if isinstance(value, float) else 0
