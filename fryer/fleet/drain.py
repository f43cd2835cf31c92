"""Which nodes of a run are drained in Slurm, and which are given back: decided here purely, done by `watchdog.slurm`.

A drain takes a node from its users, so it needs proof: a verdict of FAIL, and few of them. It never follows from ERROR
or INCONCLUSIVE, which say nothing of the hardware.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from fryer.evidence import NodeEvidence, NodeVerdict, Reason
from fryer.result import RunResult
from watchdog.slurm import PREFIX, Outcome, SlurmNode
from watchdog.vocabulary.errors import SourceFailed
from watchdog.vocabulary.verdicts import Verdict

MOST_RATIO = 0.1
"""Of the run's nodes, that one run may drain. Nodes fail at a few percent a month (Llama 3: 148 GPU faults of 16,384
GPUs in 54 days), so a tenth at once is a cause that they share: a switch, a driver, a limit that is wrong. Then none is
drained: to take a tenth by chance would help nobody, and a person is told."""
LEAST_MOST = 1
"""So that a small run may drain too: one node of four is a node, two are a question."""
_NETWORK = frozenset(
    {"slow_network", "intermittent_network", "broken_network", "wrong_sums", "no_answer", "unsplit", "slow_fleet"}
)
"""Codes that burns on a node alone can't clear."""


class Cluster(Protocol):
    """What of `watchdog.slurm.Slurm` is used."""

    def show(self, node: str) -> SlurmNode:
        """Its state; raises `SourceMissing` and `SourceFailed`."""

    def drain(self, node: str, why: str) -> Outcome:
        """Drain it, unless it is drained."""

    def undrain(self, node: str) -> Outcome:
        """Give it back, if the drain is ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """One node to be drained."""

    node: str
    why: str
    """``below_floor on gpu3; run 4f0c...: 612 TFLOP/s, floor 640``: Slurm cuts reasons, so code and run stand first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a run leads to."""

    drains: tuple[Drain, ...] = ()
    held_back: str = ""
    """Why nodes that failed are not drained; one sentence, empty when they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What became of one node."""

    node: str
    is_changed: bool
    why: str
    """One sentence."""
    is_failed: bool = False
    """Slurm did not do it, or did not answer."""


def most_drains(num_nodes: int, most_ratio: float = MOST_RATIO) -> int:
    """How many nodes a run over `num_nodes` may drain."""
    return max(LEAST_MOST, int(num_nodes * most_ratio))


def decide_drains(result: RunResult, most: int | None = None) -> Decision:
    """Drain each node with the verdict FAIL, or none of them where they are more than `most`.

    `most`: default `most_drains`. Simulated nodes are never drained.
    """
    allowed = most_drains(len(result.verdicts)) if most is None else most
    simulated = {evidence.node for evidence in result.evidence if _is_simulated(evidence)}
    failed = [verdict for verdict in result.verdicts if verdict.verdict is Verdict.FAIL]
    real = [verdict for verdict in failed if verdict.node not in simulated]
    if failed and not real:
        return Decision(held_back="simulated nodes are not drained")
    if len(real) > allowed:
        return Decision(
            held_back=f"{len(real)} of {len(result.verdicts)} nodes failed, and a run drains {allowed} at most: look "
            "for a cause that they share; drain them by hand when each is to blame"
        )
    run_id = result.info.run_id
    return Decision(drains=tuple(Drain(node=each.node, why=_why(each, run_id)) for each in real))


def decide_undrains(result: RunResult) -> tuple[str, ...]:
    """Nodes that this run proved fit: PASS, measured to the end, and no simulation. WARN gives nothing back."""
    fit = {
        evidence.node
        for evidence in result.evidence
        if evidence.measurements and evidence.interrupted is None and not _is_simulated(evidence)
    }
    return tuple(each.node for each in result.verdicts if each.verdict is Verdict.PASS and each.node in fit)


def drain_failed(result: RunResult, cluster: Cluster, most: int | None = None) -> tuple[Decision, tuple[Done, ...]]:
    """Decide, and drain. A node that Slurm does not drain holds up no other. Raises `SourceMissing` without Slurm."""
    decision = decide_drains(result, most)
    return decision, tuple(_do(each.node, partial(cluster.drain, each.node, each.why)) for each in decision.drains)


def undrain_passed(result: RunResult, cluster: Cluster) -> tuple[Done, ...]:
    """Give back the nodes that were drained by Fryer and passed; others are left as they are and not spoken of.

    Raises `SourceMissing` without Slurm.
    """
    done = []
    for node in decide_undrains(result):
        try:
            before = cluster.show(node)
        except SourceFailed as error:
            done.append(Done(node=node, is_changed=False, why=str(error), is_failed=True))
            continue
        if not before.is_drained:
            continue
        if before.is_ours and not proves(before.reason, result):
            why = f"{node} stays drained: this run measured no network, and the reason is one of it: {before.reason}"
            done.append(Done(node=node, is_changed=False, why=why))
            continue
        done.append(_do(node, partial(cluster.undrain, node)))
    return tuple(done)


def proves(reason: str, result: RunResult) -> bool:
    """Whether a pass of `result` can clear a drain for `reason`: burns of one node say nothing of its network."""
    code = reason.removeprefix(PREFIX).partition(" ")[0].rstrip(";:")
    return code not in _NETWORK or result.network is not None


def gravest_reason(verdict: NodeVerdict) -> tuple[str, Reason] | None:
    """The first reason that is as grave as the verdict, and the device it is of (empty: the node); None: no reason."""
    found = [("", reason) for reason in verdict.reasons]
    found += [(device.device, reason) for device in verdict.devices for reason in device.reasons]
    return next(((device, reason) for device, reason in found if reason.verdict is verdict.verdict), None)


def _why(verdict: NodeVerdict, run_id: str) -> str:
    found = gravest_reason(verdict)
    if found is None:
        return f"failed; run {run_id}"
    device, reason = found
    place = f" on {device}" if device else ""
    return f"{reason.code}{place}; run {run_id}: {reason.message}"


def _do(node: str, act: Callable[[], Outcome]) -> Done:
    try:
        outcome = act()
    except SourceFailed as error:
        return Done(node=node, is_changed=False, why=str(error), is_failed=True)
    return Done(node=node, is_changed=outcome.is_changed, why=outcome.why)


def _is_simulated(evidence: NodeEvidence) -> bool:
    return any(device.kind == "simulated" for device in evidence.devices)


def told(decision: Decision, done: Sequence[Done]) -> tuple[str, ...]:
    """Lines for people: each node, and what was held back."""
    lines = [f"{'not done: ' if each.is_failed else ''}{each.why}" for each in done]
    return (*lines, *([f"nothing drained: {decision.held_back}"] if decision.held_back else []))
