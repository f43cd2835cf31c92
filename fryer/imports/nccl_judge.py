"""Judges collectives: wrong results first, then the plateau at the largest size, and never the average over sizes.

A file can't name a GPU or a node: in a collective all wait for the slowest. So every conclusion is on the file.
"""

from collections.abc import Iterable, Sequence
from statistics import median

from fryer.collectives.busbw import bandwidths
from fryer.collectives.cases import OPERATIONS
from fryer.imports.conclusions import conclude
from fryer.imports.facts import CollectiveFigure, CollectiveRun, Facts
from fryer.imports.nccl_platform import ONE_PORT, ONE_PORT_MOST_NODES, Expectation, expectation, kind_of, told_by_user
from fryer.judges.conclusion import Conclusion
from watchdog.vocabulary.units import show_quantity
from watchdog.vocabulary.verdicts import Verdict

PLATEAU_BYTES = 1 << 30
"""From 1 GiB on bandwidth no longer depends on the size."""
TELLING_BYTES = 64 << 20
"""From 64 MiB on bandwidth and not latency decides, so that a far too low figure is a fault."""
TELLING_RATIO = 0.5
"""Below this share of the least bearable plateau, sizes under 1 GiB count too: healthy runs reach 65 % of their plateau
at 256 MiB in one node and 50 % between nodes (Smol Training Playbook)."""
SAG_FAIL_RATIO, SAG_WARN_RATIO = 0.5, 0.8
"""Of the best plateau of the same run, or of the same sweep. Healthy plateaus vary by 15 % (Smol Training Playbook)."""
CONSISTENT_RATIO = 0.03
"""A table's bandwidths differ from those of its own sizes and times by rounding alone."""
PLACE_RATIO = 0.8
"""Out of place and in place take equal times on a healthy machine."""
_ACCURATE = 1e9
_SLOW_REMEDY = "run with NCCL_DEBUG=INFO and read which algorithm and transport were chosen; then test pairs of nodes"
_WRONG_REMEDY = "do not train here: find the rank by runs over fewer GPUs, and check NVLink, NIC and PCIe errors"


def judge(facts: Facts, expected_bytes_per_second: float | None = None) -> Sequence[Conclusion]:
    """Conclusions on every run of the file."""
    found = [each for run in facts.runs for each in _judge_run(run, expected_bytes_per_second)]
    return [*found, *_judge_sweep(facts.runs), *_not_verified(facts.runs)]


def _judge_run(run: CollectiveRun, expected: float | None) -> list[Conclusion]:
    if not run.figures:
        return []
    return [*_results(run), *_consistency(run), *_speed(run, expected), *_sag(run), *_places(run), *_own_limit(run)]


def _results(run: CollectiveRun) -> Iterable[Conclusion]:
    wrong = [each for each in run.figures if each.num_wrong]
    counted = sum(each.num_wrong or 0 for each in run.figures)
    if wrong or run.num_out_of_bounds:
        sizes = ", ".join(_size(each.size_bytes) for each in wrong[:4]) or "sizes that the table does not tell"
        yield conclude(
            "wrong_results",
            Verdict.FAIL,
            f"{run.name}: {max(counted, run.num_out_of_bounds or 0):,.0f} wrong elements, at {sizes}",
            remedy=_WRONG_REMEDY,
            figures={
                "num_wrong": counted,
                "num_out_of_bounds": run.num_out_of_bounds,
                "sizes_bytes": [each.size_bytes for each in wrong],
            },
        )
        return
    verified = sum(each.num_wrong is not None for each in run.figures)
    if verified:
        message = f"{run.name}: {verified} figures verified, none with wrong results"
        yield conclude("results_right", Verdict.PASS, message)


def _not_verified(runs: Sequence[CollectiveRun]) -> Iterable[Conclusion]:
    without = [run.name for run in runs if run.figures and all(each.num_wrong is None for each in run.figures)]
    if without:
        which = without[0] if len(without) == 1 else f"{len(without)} runs, {without[0]} to {without[-1]}"
        yield conclude(
            "not_verified",
            Verdict.WARN,
            f"{which}: no result was verified, so nothing is known of wrong ones",
            remedy="run with -c 1, which verifies results",
            figures={"runs": without},
        )


def _consistency(run: CollectiveRun) -> Iterable[Conclusion]:
    if run.operation not in OPERATIONS or run.num_ranks is None or run.num_ranks < 2:
        return
    off = [each for each in run.figures if _is_off(each, run.operation, run.num_ranks)]
    if off:
        first = off[0]
        yield conclude(
            "inconsistent",
            Verdict.ERROR,
            f"{run.name}: {len(off)} figures contradict themselves: at {_size(first.size_bytes)} the bus bandwidth of "
            f"{_rate(first.busbw_bytes_per_second)} is not that of {run.num_ranks} ranks in that time",
            remedy="use the file as the tool wrote it",
            figures={"sizes_bytes": [each.size_bytes for each in off], "num_ranks": run.num_ranks},
        )


def _is_off(figure: CollectiveFigure, operation: str, num_ranks: int) -> bool:
    """Its own size and time give other bandwidths; small ones are too coarsely rounded to tell."""
    if not figure.seconds or figure.algbw_bytes_per_second is None or figure.algbw_bytes_per_second < _ACCURATE:
        return False
    algbw, busbw = bandwidths(operation, figure.size_bytes, num_ranks, figure.seconds)
    pairs = ((figure.algbw_bytes_per_second, algbw), (figure.busbw_bytes_per_second, busbw))
    return any(abs(told - computed) > CONSISTENT_RATIO * computed for told, computed in pairs)


def _speed(run: CollectiveRun, stated: float | None) -> Iterable[Conclusion]:
    largest = max(each.size_bytes for each in run.figures)
    busbw = max(each.busbw_bytes_per_second for each in run.figures if each.size_bytes == largest)
    known = expectation(run) if stated is None else told_by_user(stated)
    what = f"{run.name}: {_rate(busbw)} at {_size(largest)} on {_where(run)}"
    figures = {"busbw_bytes_per_second": busbw, "size_bytes": largest, **_limits(known)}
    verdict, code, why = _weigh(run, busbw, largest, known)
    remedy = "" if verdict is Verdict.PASS else _SLOW_REMEDY
    yield conclude(code, verdict, f"{what}: {why}", remedy=remedy, figures=figures)


def _weigh(run: CollectiveRun, busbw: float, size: int, known: Expectation | None) -> tuple[Verdict, str, str]:
    nodes = run.num_nodes or 1
    if 1 < nodes <= ONE_PORT_MOST_NODES and kind_of(run) and size >= TELLING_BYTES and busbw < ONE_PORT:
        return Verdict.FAIL, "below_one_port", f"less than one 100 Gb/s port carries ({_rate(ONE_PORT)})"
    if known is None:
        return Verdict.INCONCLUSIVE, "no_expectation", "no published figure for this platform; say --expect"
    if busbw >= known.healthy:
        return Verdict.PASS, "plateau_reached", f"healthy machines reach {_rate(known.healthy)}"
    if size >= PLATEAU_BYTES:
        return _weigh_plateau(busbw, known)
    if size >= TELLING_BYTES and busbw < known.fail * TELLING_RATIO:
        return Verdict.FAIL, "slow_collective", f"not half of the {_rate(known.fail)} that is bearable at 1 GiB"
    return Verdict.INCONCLUSIVE, "no_plateau", f"{_size(size)} is no plateau; repeat with sizes up to 8 GiB (-e 8G)"


def _weigh_plateau(busbw: float, known: Expectation) -> tuple[Verdict, str, str]:
    if busbw < known.fail:
        return Verdict.FAIL, "slow_collective", f"below {_rate(known.fail)}; {known.source}"
    if known.warn is not None and busbw >= known.warn:
        return Verdict.WARN, "slow_collective", f"healthy machines reach {_rate(known.healthy)}; {known.source}"
    return Verdict.INCONCLUSIVE, "slow_collective", f"below {_rate(known.healthy)}; {known.between}"


def _limits(known: Expectation | None) -> dict[str, object]:
    if known is None:
        return {}
    return {
        "healthy_bytes_per_second": known.healthy,
        "fail_bytes_per_second": known.fail,
        "source": known.source,
    }


def _sag(run: CollectiveRun) -> Iterable[Conclusion]:
    """Slower at the largest size than at smaller ones of the plateau: it does not hold what it can do."""
    plateau = [each for each in run.figures if each.size_bytes >= PLATEAU_BYTES]
    if len(plateau) < 2:
        return
    best = max(plateau, key=lambda each: each.busbw_bytes_per_second)
    worst = min(
        (each for each in plateau if each.size_bytes >= best.size_bytes), key=lambda each: each.busbw_bytes_per_second
    )
    ratio = worst.busbw_bytes_per_second / best.busbw_bytes_per_second if best.busbw_bytes_per_second else 1.0
    if ratio < SAG_WARN_RATIO:
        yield conclude(
            "plateau_sags",
            Verdict.FAIL if ratio < SAG_FAIL_RATIO else Verdict.WARN,
            f"{run.name}: falls from {_rate(best.busbw_bytes_per_second)} at {_size(best.size_bytes)} to "
            f"{_rate(worst.busbw_bytes_per_second)} at {_size(worst.size_bytes)}",
            remedy="a GPU that throttles as it gets hot does this: look at temperatures and throttle reasons of all",
            figures={
                "ratio": ratio,
                "best_bytes_per_second": best.busbw_bytes_per_second,
                "worst_bytes_per_second": worst.busbw_bytes_per_second,
            },
        )


def _places(run: CollectiveRun) -> Iterable[Conclusion]:
    largest = max(each.size_bytes for each in run.figures)
    here = [each.busbw_bytes_per_second for each in run.figures if each.size_bytes == largest]
    if largest < PLATEAU_BYTES or len(here) < 2 or max(here) <= 0 or min(here) / max(here) >= PLACE_RATIO:
        return
    yield conclude(
        "unsteady",
        Verdict.WARN,
        f"{run.name}: out of place and in place differ at {_size(largest)}: {_rate(min(here))} and {_rate(max(here))}",
        remedy="repeat: a healthy machine repeats itself within a few percent",
        figures={"ratio": min(here) / max(here)},
    )


def _own_limit(run: CollectiveRun) -> Iterable[Conclusion]:
    if run.is_below_own_limit:
        yield conclude(
            "below_own_limit",
            Verdict.FAIL,
            f"{run.name}: the average is below the limit that the run was given (NCCL_TESTS_MIN_BW)",
            remedy=_SLOW_REMEDY,
        )


def _judge_sweep(runs: Sequence[CollectiveRun]) -> Iterable[Conclusion]:
    """Runs over different numbers of nodes, held against each other: from where on is it slow?"""
    between = [run for run in runs if (run.num_nodes or 0) > 1 and run.figures]
    if len({run.num_nodes for run in between}) < 3:
        return
    largest = {run.name: max(run.figures, key=lambda each: each.size_bytes) for run in between}
    usual = median(figure.busbw_bytes_per_second for figure in largest.values())
    for run in between:
        figure = largest[run.name]
        ratio = figure.busbw_bytes_per_second / usual if usual else 1.0
        if figure.size_bytes >= PLATEAU_BYTES and ratio < SAG_WARN_RATIO:
            yield conclude(
                "slower_than_other_counts",
                Verdict.FAIL if ratio < SAG_FAIL_RATIO else Verdict.WARN,
                f"{run.name}: {_rate(figure.busbw_bytes_per_second)} at {_size(figure.size_bytes)}, where the others "
                f"reach {_rate(usual)}",
                remedy="the node that was added first where it is slow is the suspect: qualify it alone",
                figures={"num_nodes": run.num_nodes, "ratio": ratio, "usual_bytes_per_second": usual},
            )


def _where(run: CollectiveRun) -> str:
    ranks = f"{run.num_ranks} GPUs" if run.num_ranks else "GPUs"
    part = f" ({', '.join(run.parts)})" if run.parts else ""
    nodes = "" if run.num_nodes is None else f" of {run.num_nodes} node{'' if run.num_nodes == 1 else 's'}"
    return f"{ranks}{nodes}{part}"


def _rate(value: float) -> str:
    return show_quantity(value, "B/s")


def _size(size: int) -> str:
    for shift, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size >= 1 << shift:
            return f"{size / (1 << shift):g} {unit}"
    return f"{size} B"
