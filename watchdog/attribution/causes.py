"""Everything that is known of an event, as a ranked list of causes with their evidence.

| event | came again | did not |
| --- | --- | --- |
| loss, norms | data: the batches of these steps | the model's state, else hardware |
| throughput | the loader, or the software whose phase got longer | storage, network or GPU |

A launch that has as many events of the kind at other steps clears single parts: two launches don't share a bad GPU.
SmolLM3's drops came on one node as on 48, whichever node, and so were no hardware's (playbook 2.2).

Confidences are our own scale, for ranking: 0.9 the test above beyond chance, 0.6 a reading of a node at that time,
0.5 one launch that did not show it, 0.3 what a phase alone suggests.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from watchdog.attribution.again import Again
from watchdog.attribution.nodes import Change
from watchdog.attribution.sources import SourceRise
from watchdog.detectors.training.words import TrainingFinding

NOT_KNOWN = "not known"
OF_THROUGHPUT = frozenset({"drop", "shift", "drift"})
OF_LOSS = frozenset({"spike", "divergence", "nonfinite"})
LEAST_OTHERS = 3
"""Fewer are no habit (ours)."""
OFTEN = 1 / 3
"""As often: from this share of a launch's own events on (ours)."""
_SOFTWARE_PHASES = frozenset({"gc", "checkpoint", "eval", "evaluation", "optimizer", "other"})
_PLURALS = {"loss": "losses", "divergence": "divergences", "nonfinite": "spans that are no numbers"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One possible cause."""

    code: str
    """``data loader software state hardware storage network gpu host precision``: a word for scripts, stable."""
    confidence: float
    """0 to 1."""
    message: str
    """The evidence, one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known beside the event itself."""

    again: Sequence[Again] = ()
    """What other launches and rewinds say."""
    changes: Sequence[Change] = ()
    """What changed on nodes near it in time."""
    seen: frozenset[str] = frozenset()
    """Causes on which nodes had readings: ``gpu`` in it without a change means that no GPU changed."""
    at_seconds: float | None = None
    """When it began, Unix seconds."""
    source: SourceRise | None = None
    is_other_batch: bool = False
    """Where it was trained again, the batch was another: it says nothing then."""


def causes_of(finding: TrainingFinding, facts: Facts) -> list[Cause]:
    """Possible causes, likeliest first; empty where nothing is known."""
    phase = str(finding.evidence.get("phase") or "")
    found = [
        *_of_nodes(finding, facts),
        *_of_launches(finding, facts, phase),
        *_of_source(facts),
        *_of_itself(finding, phase),
    ]
    best: dict[str, Cause] = {}
    for cause in found:
        known = best.get(cause.code)
        if known is None:
            best[cause.code] = cause
        else:
            stronger, weaker = (cause, known) if cause.confidence > known.confidence else (known, cause)
            # Two independent signs of one cause: each leaves the other's doubt.
            confidence = 1 - (1 - stronger.confidence) * (1 - 0.5 * weaker.confidence)
            message = f"{stronger.message}; {weaker.message}"
            best[cause.code] = replace(stronger, confidence=round(confidence, 3), message=message)
    return sorted(best.values(), key=lambda cause: -cause.confidence)


def _of_launches(finding: TrainingFinding, facts: Facts, phase: str) -> list[Cause]:
    answers = sorted(facts.again, key=lambda each: (not each.is_rewind, each.chance, -each.total))
    if finding.kind not in OF_THROUGHPUT | OF_LOSS | {"noise"}:
        return []
    yes = next((each for each in answers if each.answer == "again"), None)
    if yes is not None:
        return _again(finding, yes, phase)
    # Of several launches the one that has most such events of its own says most.
    answers.sort(key=lambda each: (not each.is_rewind, -each.num_others))
    for no in answers:
        if not no.is_rewind and no.num_others >= max(LEAST_OTHERS, OFTEN * no.total):
            return _elsewhere(finding, no)
        if no.answer == "not_again":
            return [] if no.is_rewind and facts.is_other_batch else _not_again(finding, no, phase)
    return []


def _again(finding: TrainingFinding, again: Again, phase: str) -> list[Cause]:
    chance = f", by chance {_chance(again.chance)}" if again.chance < 1 else ""
    where = "when they were trained again" if again.is_rewind else f"in {again.other}"
    count = f"{again.hits} of {again.total} {_plural(finding.kind)} come at the same steps {where}{chance}"
    if again.at is None:
        count += ", though this one does not"
    confidence = 0.9 if again.at is not None else 0.6
    if finding.kind in OF_THROUGHPUT:
        code = "software" if phase in _SOFTWARE_PHASES else "loader"
        named = f"{code} ({phase} got longer)" if phase else code
        return [Cause(code=code, confidence=confidence, message=f"same steps again → {named}: {count}")]
    causes = [Cause(code="data", confidence=confidence, message=f"same steps again → data: {count}")]
    if again.is_rewind:
        causes.append(
            Cause(code="state", confidence=0.4, message="a rewind has the state as well: other data there would tell")
        )
    return causes


def _not_again(finding: TrainingFinding, again: Again, phase: str) -> list[Cause]:
    first, last = again.steps
    steps = f"step {first}" if first == last else f"steps {first} to {last}"
    if again.is_rewind:
        where = f"{steps} went by without it when trained again"
    else:
        where = f"{again.other} trained {steps} without it (if it had the same data and code)"
    if finding.kind in OF_THROUGHPUT:
        narrowed = {"data": "storage", "communication": "network"}.get(phase, "hardware")
        named = "hardware: storage, network or a GPU" if narrowed == "hardware" else f"{narrowed} ({phase} got longer)"
        return [Cause(code=narrowed, confidence=0.5, message=f"not again → {named}: {where}")]
    if again.is_rewind:
        # From a checkpoint both state and data are the same: what is left is what computed it.
        return [Cause(code="hardware", confidence=0.6, message=f"not again → hardware: {where}")]
    return [
        Cause(code="state", confidence=0.5, message=f"not again → state or hardware: {where}"),
        Cause(code="hardware", confidence=0.3, message="only a rewind to the same state would tell it from hardware"),
    ]


def _elsewhere(finding: TrainingFinding, again: Again) -> list[Cause]:
    """Another launch has them as well, as often and at other steps: then no part of this one's hardware brings them."""
    what = f"{again.other} has {again.num_others} {_plural(finding.kind)} of its own in these steps, at others"
    if finding.kind in OF_THROUGHPUT:
        message = f"other steps in another launch → software or storage, no single part: {what}"
        return [Cause(code="software", confidence=0.4, message=message)]
    message = f"other steps in another launch → state: {what}"
    return [Cause(code="state", confidence=0.6, message=message)]


def _of_nodes(finding: TrainingFinding, facts: Facts) -> list[Cause]:
    if finding.kind in ("noise", "offset"):
        return []
    calm = _calm(facts)
    ranked = sorted(facts.changes, key=lambda change: (not change.is_grave, abs(change.at - (facts.at_seconds or 0.0))))
    found: dict[str, Cause] = {}
    for change in ranked:
        is_likely = finding.kind not in OF_LOSS or change.cause == "gpu"
        if change.cause in found or not is_likely:
            continue
        confidence = (0.7 if change.is_grave else 0.6) - (0.2 if finding.kind in OF_LOSS else 0.0)
        message = f"{change.message} {_when(change, facts.at_seconds)}{calm}"
        found[change.cause] = Cause(code=change.cause, confidence=confidence, message=message)
    return list(found.values())


def _calm(facts: Facts) -> str:
    """``; no GPU changed``: of what was read and did not change."""
    words = {"gpu": "no GPU", "network": "no link", "storage": "no storage"}
    changed = {change.cause for change in facts.changes}
    return "".join(f"; {words[cause]} changed" for cause in words if cause in facts.seen - changed)


def _when(change: Change, at: float | None) -> str:
    if at is None:
        return "at that time"
    early = at - change.at
    return "at the same second" if abs(early) < 1 else f"{abs(early):.0f} s {'before' if early > 0 else 'after'}"


def _of_source(facts: Facts) -> list[Cause]:
    rise = facts.source
    if rise is None:
        return []
    others = ", the other sources did not" if rise.is_alone else ""
    message = f"the loss of source {rise.source} rose from {rise.before:.3g} to {rise.value:.3g}{others}"
    return [Cause(code="data", confidence=0.6 if rise.is_alone else 0.2, message=message)]


def _of_itself(finding: TrainingFinding, phase: str) -> list[Cause]:
    """What the event alone suggests."""
    if finding.kind == "straggler":
        return [
            Cause(code="hardware", confidence=0.5, message=f"{finding.subject} alone is slow: its GPU, host or link")
        ]
    if finding.kind == "nonfinite" and finding.metric == "loss_scale":
        return [Cause(code="precision", confidence=0.6, message="the loss scale collapsed: gradients overflow fp16")]
    if finding.kind in OF_THROUGHPUT and phase:
        code = {"data": "storage", "communication": "network", "forward": "gpu", "backward": "gpu"}.get(
            phase, "software"
        )
        code = "gpu" if phase == "forward_backward" else code
        return [Cause(code=code, confidence=0.3, message=f"{phase} is the phase that got longer")]
    return []


def _plural(kind: str) -> str:
    return _PLURALS.get(kind, f"{kind}s")


def _chance(chance: float) -> str:
    return "less than 1 in a million" if chance < 1e-6 else f"{chance:.2g}"
