"""From what all nodes said to one result: each node's own verdict, what its peers and the network add. Pure."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from fryer.collectives.swept import INSIDE
from fryer.evidence import NodeEvidence, NodeVerdict, Reason
from fryer.fleet.orders import Ended
from fryer.fleet.peers import compare_nodes
from fryer.judges.busy import excuse
from fryer.judges.conclusion import NODE, Conclusion
from fryer.localise import Localisation, NodeFinding
from fryer.plan import Plan
from fryer.records import Problem
from fryer.result import Network, RunInfo, RunResult
from fryer.verdict import LIMITS, join, judge
from watchdog.vocabulary.verdicts import Verdict

_REMEDIES = {
    "slow_network": "look at the node's NICs, cables and switch ports; then repeat it with a proven partner",
    "intermittent_network": "look for link flaps and symbol errors in the counters of its NICs and switch ports",
    "broken_network": "look at the node's NICs, cables and switch ports; then repeat it with a proven partner",
    "wrong_sums": "take the node out of service: data was changed between its memory and its partners'",
    "no_answer": "look at the node's console and kernel log: it stopped in the middle of a collective",
    "unsplit": "repeat together with a third node that is known good: of two nobody knows which one it is",
    "slow_fleet": "look at what all nodes share: switches, routing, the library's settings",
    "untested": "repeat with more nodes that pass, or alone with a proven partner",
}
_INSIDE_CODES = {"below_expected": "slow_inside", "wrong_sums": "wrong_inside", "not_measured": "no_inside"}
"""Of a judgement on the GPUs of one node among themselves: the reason's code. Others are the judgement's own."""
_INSIDE_REMEDIES = {
    "slow_inside": "see nvidia-smi nvlink -s and -e, nvidia-smi topo -m, the fabric manager's log and SXids",
    "wrong_inside": "take the node out of service: data was changed between its own GPUs",
    "no_inside": "read the node's kernel log and NCCL's words: its own GPUs did not come through a collective",
    "above_ceiling": "report it: the measurement itself is wrong",
}
_ENDED_REMEDIES = {
    "unreachable": "see whether the node is up, and whether its launcher gets there: ssh without a question, or Slurm",
    "not_installed": "install the same Fryer there, or name its program with --remote-command",
    "version_skew": "install the controller's version there",
    "died": "read the kernel log of the node: what killed it?",
    "deadline": "log in and see what hangs there: its kernel log, D-state processes, nvidia-smi",
    "garbled": "see what else prints in a non-interactive shell of the node",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """All that a run over many nodes has seen."""

    evidence: Mapping[str, NodeEvidence] = field(default_factory=dict)
    ended: Mapping[str, Ended] = field(default_factory=dict)
    """Nodes that were lost, or never answered."""
    localisation: Localisation | None = None
    network: Network | None = None
    stopped: str | None = None


def own_verdicts(evidence: Mapping[str, NodeEvidence]) -> dict[str, NodeVerdict]:
    """Each node by itself and beside its peers."""
    own = {node: judge(each) for node, each in evidence.items()}
    beside = compare_nodes(tuple(evidence.values()), LIMITS)
    return {node: join(verdict, excuse(evidence[node], beside.get(node, ()), LIMITS)) for node, verdict in own.items()}


def merge(info: RunInfo, seconds: float, gathered: Gathered, own: Mapping[str, NodeVerdict]) -> RunResult:
    """The result; `own` are the verdicts of `own_verdicts`."""
    evidence = tuple(gathered.evidence.get(node) or _no_evidence(node, gathered) for node in info.plan.nodes)
    found = gathered.localisation
    by_node = {finding.node: finding for finding in found.nodes} if found else {}
    inside = _inside_reasons(gathered.network, info.plan)
    verdicts = tuple(
        _verdict(
            each,
            own.get(each.node),
            [
                *_of_end(gathered.ended.get(each.node)),
                *inside.get(each.node, ()),
                *_of_network(by_node.get(each.node), info.plan, own.get(each.node)),
            ],
        )
        for each in evidence
    )
    return RunResult(
        info=info,
        seconds=seconds,
        evidence=evidence,
        verdicts=verdicts,
        links=found.links if found else (),
        proof=found.proof if found else (),
        network=gathered.network,
    )


def _no_evidence(node: str, gathered: Gathered) -> NodeEvidence:
    ended = gathered.ended.get(node)
    message = ended.message if ended else f"{node} was not measured: {gathered.stopped or 'the run ended before'}"
    verdict = Verdict.ERROR if ended else Verdict.INCONCLUSIVE
    problem = Problem(
        device="", burn="", case="", verdict=verdict, code=ended.code if ended else "not_measured", message=message
    )
    return NodeEvidence(node=node, devices=(), versions={}, problems=(problem,), interrupted=gathered.stopped)


def _verdict(evidence: NodeEvidence, own: NodeVerdict | None, more: Sequence[Reason]) -> NodeVerdict:
    """The node's own verdict with what its end and the network add."""
    if own is None:
        first = evidence.problems[0]
        is_told = any(reason.code == first.code for reason in more)
        reason = Reason(code=first.code, verdict=first.verdict, message=first.message, evidence={})
        reasons = () if is_told else (reason,)
        own = NodeVerdict(node=evidence.node, verdict=first.verdict, devices=(), reasons=reasons)
    return join(own, [Conclusion(device=NODE, reason=reason) for reason in more])


def _inside_reasons(network: Network | None, plan: Plan) -> Mapping[str, list[Reason]]:
    """What speaks against the GPUs of one node among themselves."""
    simulated = ["--simulate", plan.scenario] if plan.scenario else []
    sweep = ["--collectives", "all_reduce", *simulated]
    found: dict[str, list[Reason]] = {}
    for swept in network.sweeps if network else ():
        for judgement in swept.judgements if swept.scope == INSIDE else ():
            if judgement.verdict in (Verdict.PASS, Verdict.SKIPPED):
                continue
            code = _INSIDE_CODES.get(judgement.code, judgement.code)
            for node in swept.nodes:
                found.setdefault(node, []).append(
                    Reason(
                        code=code,
                        verdict=judgement.verdict,
                        message=f"inside the node {judgement.message}",
                        evidence=judgement.evidence,
                        remedy=_INSIDE_REMEDIES.get(code, ""),
                        repeat=shlex.join(["fryer", "run", "--nodes", node, *sweep]),
                    )
                )
    return found


def _of_end(ended: Ended | None) -> list[Reason]:
    if ended is None:
        return []
    return [
        Reason(
            code=ended.code,
            verdict=Verdict.ERROR,
            message=ended.message,
            evidence={"stderr": ended.stderr, "exit_code": ended.exit_code},
            remedy=ended.remedy or _ENDED_REMEDIES.get(ended.code, ""),
        )
    ]


def _of_network(finding: NodeFinding | None, plan: Plan, own: NodeVerdict | None) -> list[Reason]:
    if finding is None:
        return []
    partners = finding.evidence.get("partners")
    nodes = [finding.node, *(partners if isinstance(partners, Mapping) else ())]
    words = ["fryer", "run", "--nodes", ",".join(nodes), *(["--simulate", plan.scenario] if plan.scenario else [])]
    reason = Reason(
        code=finding.code,
        verdict=finding.verdict,
        message=finding.proof,
        evidence=finding.evidence,
        remedy=_REMEDIES.get(finding.code, ""),
        repeat=shlex.join(words) if len(nodes) > 1 else "",
    )
    return [excuse_unsteady(reason, own)]


def excuse_unsteady(reason: Reason, own: NodeVerdict | None) -> Reason:
    """``intermittent_network`` of a node whose processors others used becomes ``busy_host``, and a FAIL INCONCLUSIVE:
    gloo's ranks wait for a turn on them as for a link that flaps. Only processors are called busy, so never a GPU."""
    found = [each for device in own.devices for each in device.reasons if each.code == "busy_host"] if own else []
    if reason.code != "intermittent_network" or not found:
        return reason
    return replace(
        reason,
        code="busy_host",
        verdict=Verdict.INCONCLUSIVE if reason.verdict is Verdict.FAIL else reason.verdict,
        message=f"{reason.message}; but {found[0].message}: this machine is too busy to tell",
        evidence={**reason.evidence, "instead_of": reason.code},
        remedy=found[0].remedy,
    )
