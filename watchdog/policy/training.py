"""What an event of a training run asks for, by our decision table. Pure: it grants nothing; permissions and caps do.

| event | asks for |
| --- | --- |
| not finite, a step | veto; from 3 of 10 on roll back to before the onset, and skip |
| spike of a step or a few | veto each, at most 3 in a row |
| plateau, no return | roll back to 100 steps before the onset, skip 200 to 500 batches |
| divergence, noise, offset | a checkpoint that is not overwritten, and a person |
| level of throughput, straggler | leave the node out at the next checkpoint, if it is hardware |
| hang | dump stacks, kill, restart from the newest good checkpoint |

Sources: PaLM (100 steps, 200 to 500 batches), OLMo-core and MaxText (skip a step), Megatron's rerun machine.
"""

from dataclasses import dataclass

from watchdog.detectors.training.words import TrainingFinding
from watchdog.vocabulary.findings import Severity
from watchdog.vocabulary.signals import Action

BEFORE_STEPS = 100
"""A rollback goes so far before the onset (PaLM)."""
HARDWARE = frozenset({"hardware", "gpu", "network"})
"""Causes for which another node helps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """What an event asks for."""

    action: Action
    why: str
    """One sentence: what would be done, and to which steps."""


def remedy_of(finding: TrainingFinding, cause: str = "") -> Remedy:
    """What `finding` asks for; `cause`: code of its likeliest cause, where one is known."""
    kind = finding.kind
    if kind == "nonfinite":
        return _nonfinite(finding)
    if kind == "spike":
        return _spike(finding)
    if kind in ("divergence", "noise", "offset"):
        return Remedy(action=Action.SAVE, why="keep a checkpoint from before it, tag later ones suspect, tell a person")
    if kind == "hang":
        return Remedy(action=Action.STOP, why="dump stacks, end the processes, restart from the newest good checkpoint")
    if kind == "straggler" or (kind in ("shift", "drift") and cause in HARDWARE):
        return Remedy(action=Action.EXCLUDE, why="leave the slow node out at the next checkpoint, if it pays")
    return Remedy(action=Action.NONE, why="tell a person: nothing for the run to do by itself")


def _nonfinite(finding: TrainingFinding) -> Remedy:
    if finding.shape != "persistent":
        return Remedy(action=Action.VETO, why=f"leave out the update of step {finding.start}, keep its batch")
    return _rollback(finding)


def _spike(finding: TrainingFinding) -> Remedy:
    if finding.shape == "not_recovering" or (finding.severity is Severity.FAIL and finding.shape != "one_step"):
        return _rollback(finding)
    return Remedy(action=Action.VETO, why=f"leave out the update of step {finding.start}, at most 3 in a row")


def _rollback(finding: TrainingFinding) -> Remedy:
    return Remedy(
        action=Action.ROLLBACK,
        why=f"roll back to a good checkpoint {BEFORE_STEPS} steps or more before {finding.onset}, "
        f"and leave out the data of steps {finding.onset} to {finding.last}",
    )
