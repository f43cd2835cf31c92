"""What the faults of a simulated GPU put into the records of its burns, as a real worker would have seen it. Pure."""

from collections.abc import Iterator, Sequence

from fryer.burns import BURNS
from fryer.fleet.simulated_timeline import Case, Span
from fryer.judges.xid import HARDWARE
from fryer.records import FLOPS, Mismatch, Problem
from watchdog.collectors.readings import ReaderGap
from watchdog.simulator.fault import Fault
from watchdog.vocabulary.verdicts import Verdict

_MOST_MISMATCHES = 5
"""Told of one fault and format."""
_CALL_SECONDS = 5.0
"""How long the NVML reader waits for a GPU."""


def gone_seconds(faults: Sequence[Fault], begin_seconds: float) -> tuple[float, str] | None:
    """When a GPU was lost or hung, on the run's clock, and which of the two; None when it was neither."""
    gone = [(max(0.0, f.at_seconds - begin_seconds), f.kind) for f in faults if f.kind in ("lost", "hang")]
    return min(gone, default=None)


def gone_problems(device: str, when: tuple[float, str], burns: Sequence[Span]) -> Iterator[Problem]:
    """One problem in the burn that met it, and one for each later burn of that device."""
    at_seconds, kind = when
    met = ""
    for span in burns:
        if span.end_seconds <= at_seconds or not BURNS[span.burn].is_simulated:
            continue
        if met:
            why = "it was lost in an earlier burn" if kind == "lost" else "it hung in an earlier burn"
            message = f"{span.burn} was not run on {device}: {why}"
            yield _problem(device, span.burn, Verdict.SKIPPED, "left_out", message)
            continue
        met = span.burn
        if kind == "lost":
            message = f"{device} failed under {span.burn}: CUDA error: device is lost"
            yield _problem(device, span.burn, Verdict.FAIL, "device_lost", message)
        else:
            message = f"{span.burn} on {device}: did not end in time, and its process was killed"
            yield _problem(device, span.burn, Verdict.ERROR, "deadline", message)


def _problem(device: str, burn: str, verdict: Verdict, code: str, message: str) -> Problem:
    return Problem(device=device, burn=burn, case="", verdict=verdict, code=code, message=message)


def gap(device: str, uuid: str, at_seconds: float, end_seconds: float) -> ReaderGap:
    """The silence of NVML about a GPU that hangs until the run's end."""
    return ReaderGap(
        at_seconds=at_seconds,
        for_seconds=max(end_seconds - at_seconds, _CALL_SECONDS),
        message=f"{device} ({uuid}): NVML did not answer within {_CALL_SECONDS:.0f} s",
        uuid=uuid,
    )


def mismatches(
    device: str, faults: Sequence[Fault], cases: Sequence[Case], begin_seconds: float, seed: int
) -> Iterator[Mismatch]:
    """Wrong products, found by comparing each with the same product again."""
    for fault in faults:
        if fault.kind != "wrong_bits":
            continue
        for case in cases:
            begin = max(case.begin_seconds, fault.at_seconds - begin_seconds)
            end = min(case.end_seconds, fault.end_seconds - begin_seconds)
            if case.metric != FLOPS or begin >= end:
                continue
            for number in range(_MOST_MISMATCHES):
                at = begin + (end - begin) * number / _MOST_MISMATCHES
                yield _wrong(device, fault, case, at, number, seed)


def _wrong(device: str, fault: Fault, case: Case, at_seconds: float, number: int, seed: int) -> Mismatch:
    right = 0x3F80
    return Mismatch(
        device=device,
        burn=case.burn,
        case=case.name,
        seed=seed,
        round=0,
        pair=number,
        at_seconds=at_seconds,
        index=4096 * number + 17,
        num_wrong=1,
        expected=f"{right:04x}",
        read="7fc0" if fault.nan else f"{right ^ ((1 << (fault.bits or 1)) - 1):04x}",
        is_nan=bool(fault.nan),
        reproduced=(fault.every or 1) == 1,
        how="twin",
    )


def clear_failures(node: str, faults: Sequence[Fault], at_seconds: float) -> tuple[str, ...]:
    """What a worker knows by that time (on the scenario's clock) to be wrong, whatever else comes: a sentence each."""
    words = {
        "wrong_bits": "a product differs from the same product computed again",
        "lost": "CUDA error: device is lost",
    }
    found = []
    for fault in faults:
        on = fault.unit or f"the GPUs of {node}"
        if fault.at_seconds > at_seconds or fault.step is not None or on.startswith("nic"):
            continue
        if fault.kind in words:
            found.append(f"{on}: {words[fault.kind]}")
        elif fault.kind == "xid" and fault.code in HARDWARE:
            found.append(f"{on}: the driver reported Xid {fault.code}")
    return tuple(found)
