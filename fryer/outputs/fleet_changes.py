"""What became of a run's nodes since their last run: which got worse, slower or better. Pure, and no judge."""

from collections.abc import Sequence
from dataclasses import dataclass

from fryer.outputs.fleet_summary import GRAVEST_FIRST, fold
from fryer.outputs.rows import fixed_width
from fryer.outputs.wording import count_of, short_id, show_rate
from watchdog.store.rows import Outcome
from watchdog.vocabulary.verdicts import Verdict

SLOWER_RATIO = -0.03
"""A figure that fell so far is told; as `Limits.past_warn_ratio` warns."""
_MOST_TOLD = 40
CHANGES = ("worse", "slower", "better", "new", "as before")
"""In the order in which they are told. ``worse`` and ``better`` are of verdicts, ``slower`` of figures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One node, and what became of it."""

    change: str
    """A word of `CHANGES`."""
    outcome: Outcome

    @property
    def verdicts(self) -> str:
        """``PASS -> FAIL``, or the one that stayed."""
        before, now = self.outcome.previous_verdict, self.outcome.verdict
        return str(now) if before in (None, now) else f"{before} -> {now}"

    @property
    def fall(self) -> str:
        """``-18.0% gemm bf16 gpu3, now 598 TFLOP/s``; empty where no figure fell by `SLOWER_RATIO`."""
        worst = self.outcome.worst
        if worst is None or worst.change_ratio > SLOWER_RATIO:
            return ""
        rate = show_rate(worst.value, worst.metric, worst.case)
        return f"{worst.change_ratio:+.1%} {worst.burn} {worst.case} {worst.device}, now {rate}"


def changes(outcomes: Sequence[Outcome]) -> list[Change]:
    """Each node with its change: in the order of `CHANGES`, the largest fall first."""
    found = [Change(change=_change(outcome), outcome=outcome) for outcome in outcomes]
    return sorted(found, key=lambda each: (CHANGES.index(each.change), _change_ratio(each.outcome)))


def _change(outcome: Outcome) -> str:
    if outcome.previous_verdict is None:
        return "new"
    now, before = _gravity(outcome.verdict), _gravity(outcome.previous_verdict)
    if now != before:
        return "worse" if now < before else "better"
    return "slower" if _change_ratio(outcome) <= SLOWER_RATIO else "as before"


def _gravity(verdict: Verdict) -> int:
    return GRAVEST_FIRST.index(verdict)


def _change_ratio(outcome: Outcome) -> float:
    return outcome.worst.change_ratio if outcome.worst else 0.0


def changes_text(found: Sequence[Change]) -> str:
    """A table: nodes that changed one by one, those of one fate beyond `_MOST_TOLD` and all others folded."""
    told = [each for each in found if each.change in ("worse", "slower")][:_MOST_TOLD]
    rows = [
        (
            each.change,
            each.outcome.node,
            each.verdicts,
            short_id(each.outcome.previous_run_id or "-"),
            each.fall or "-",
        )
        for each in told
    ]
    groups: dict[tuple[str, str], list[str]] = {}
    for each in found:
        if each not in told:
            groups.setdefault((each.change, each.verdicts), []).append(each.outcome.node)
    rows += [
        (change, f"{fold(nodes)} ({count_of(len(nodes), 'node')})", verdicts, "-", "-")
        for (change, verdicts), nodes in groups.items()
    ]
    return "\n".join(fixed_width(("change", "nodes", "verdict", "since run", "largest fall"), rows, frozenset()))
