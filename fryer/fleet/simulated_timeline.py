"""What a plan measures on a simulated GPU, and when: the cases of each burn with the rate of a healthy part. Pure.

Names, formats and rates are those of a single simulated node (`fryer.devices.simulated`). One thing is less: a GPU
copies to its two neighbours only and not to every other, because pairs grow with the square of a node's GPUs and a
fleet has thousands of nodes. Two are the fewest from which a GPU that sends slowly is told from a slow pair.
"""

from dataclasses import dataclass

from fryer.burns import BURNS
from fryer.devices.simulated_rates import DEFAULT_DTYPES, multiplies, typical_link_rate, typical_rate
from fryer.plan import Plan
from fryer.records import BYTES, FLOPS, Counted, Problem
from watchdog.simulator.parts import Part
from watchdog.vocabulary.verdicts import Verdict

SHAPE = "8192x8192x8192"
FLOPS_PER_PRODUCT = 2 * 8192**3
MEMORY_CASES = (
    "walking ones",
    "walking zeros",
    "own address",
    "moving inversions",
    "random",
    "bit fade ones",
    "bit fade zeros",
)
"""Names of `fryer.burns.patterns.PATTERNS`, which needs torch."""
_VERIFIED_BYTES = 1 << 28
"""Of a copy whose last transfer is compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One figure of one burn, and its place in time."""

    burn: str
    name: str
    metric: str
    what: str
    """What limits it, as `watchdog.simulator.model.performance_factor` calls it."""
    rate: float
    begin_seconds: float
    end_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One burn of the plan, on the run's clock."""

    burn: str
    begin_seconds: float
    end_seconds: float


def spans(plan: Plan) -> tuple[Span, ...]:
    """The burns of a plan one after the other, from 0 s; what is not simulated takes no time."""
    found, begin = [], 0.0
    for phase in plan.phases:
        seconds = phase.seconds if BURNS[phase.burn].is_simulated else 0.0
        found.append(Span(burn=phase.burn, begin_seconds=begin, end_seconds=begin + seconds))
        begin += seconds
    return tuple(found)


def cases(plan: Plan, part: Part, index: int, num_gpus: int) -> tuple[Case, ...]:
    """Everything that is measured on GPU `index` of a node, in the order of time."""
    return tuple(case for span in spans(plan) for case in _of_burn(span, plan, part, index, num_gpus))


def _of_burn(span: Span, plan: Plan, part: Part, index: int, num_gpus: int) -> list[Case]:
    if span.burn == "gemm":
        found = [
            (f"{dtype} {SHAPE}", FLOPS, "compute", typical_rate(part, "gemm", dtype, FLOPS))
            for dtype in plan.dtypes or DEFAULT_DTYPES
            if multiplies(part, dtype)
        ]
    elif span.burn == "hbm":
        found = [(name, BYTES, "memory", typical_rate(part, "hbm", name, BYTES)) for name in ("copy", "triad")]
    elif span.burn == "pcie":
        link = typical_link_rate(part)
        found = [(name, BYTES, "link", ways * link) for name, ways in (("h2d", 1), ("d2h", 1), ("both", 2))]
    elif span.burn == "p2p" and num_gpus > 1:
        rate = typical_rate(part, "p2p", "to", BYTES)
        neighbours = dict.fromkeys(((index + 1) % num_gpus, (index - 1) % num_gpus))
        found = [(f"to gpu{other}", BYTES, "peer", rate) for other in neighbours]
    else:
        found = []
    each = (span.end_seconds - span.begin_seconds) / max(1, len(found))
    return [
        Case(
            burn=span.burn,
            name=name,
            metric=metric,
            what=what,
            rate=rate,
            begin_seconds=span.begin_seconds + place * each,
            end_seconds=span.begin_seconds + (place + 1) * each,
        )
        for place, (name, metric, what, rate) in enumerate(found)
    ]


def verified(plan: Plan, part: Part, device: str, found: tuple[Case, ...]) -> tuple[Counted, ...]:
    """What a healthy GPU verifies within those times."""
    counted = [
        Counted(
            device=device,
            burn=case.burn,
            case=case.name,
            what="products" if case.metric == FLOPS else "bytes",
            count=int(case.rate * (case.end_seconds - case.begin_seconds) / FLOPS_PER_PRODUCT) + 1
            if case.metric == FLOPS
            else _VERIFIED_BYTES,
        )
        for case in found
    ]
    if any(phase.burn == "memory" for phase in plan.phases):
        covered = int(part.memory_bytes * BURNS["memory"].gpu_memory_ratio)
        counted += [
            Counted(device=device, burn="memory", case=name, what="bytes", count=covered) for name in MEMORY_CASES
        ]
    return tuple(counted)


def not_run(plan: Plan, part: Part, num_gpus: int) -> tuple[Problem, ...]:
    """What a healthy node skips: burns that are not simulated, formats that the part lacks, pairs of a single GPU."""
    burns = {phase.burn for phase in plan.phases}
    problems = [
        _skipped("", burn, "", "not_simulated", f"{burn} was not run: it is not simulated")
        for burn in BURNS
        if burn in burns and not BURNS[burn].is_simulated
    ]
    problems += [
        _skipped(f"gpu{index}", "gemm", f"{dtype} {SHAPE}", "unsupported", f"{dtype} is no format of {part.product}")
        for index in range(num_gpus)
        for dtype in (plan.dtypes or DEFAULT_DTYPES if "gemm" in burns else ())
        if not multiplies(part, dtype)
    ]
    if num_gpus == 1 and "p2p" in burns:
        why = "gpu0 is the only device of this node: there is no pair to measure"
        problems.append(_skipped("gpu0", "p2p", "", "no_peer", why))
    return tuple(problems)


def _skipped(device: str, burn: str, case: str, code: str, why: str) -> Problem:
    return Problem(device=device, burn=burn, case=case, verdict=Verdict.SKIPPED, code=code, message=why)
