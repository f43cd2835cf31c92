"""From the state of knowledge to findings on nodes, paths and the fleet as a whole."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fryer.localisation import fleet, proof
from fryer.localisation.limits import Outcome
from fryer.localisation.settings import Settings
from fryer.localisation.state import State, state_of
from fryer.localisation.words import LinkFinding, Localisation, NodeFinding, Trial
from watchdog.vocabulary.verdicts import Verdict, gravest

_NODE_CODES = {
    Outcome.SLOW: "slow_network",
    Outcome.BROKEN: "broken_network",
    Outcome.UNSTEADY: "intermittent_network",
    Outcome.WRONG: "wrong_sums",
}
_PATH_CODES = {
    Outcome.SLOW: "slow_path",
    Outcome.BROKEN: "broken_path",
    Outcome.UNSTEADY: "intermittent_path",
    Outcome.WRONG: "wrong_sums",
}


def conclude(nodes: Sequence[str], trials: Sequence[Trial], settings: Settings) -> Localisation:
    """All trials of `settings.rail` first; then each other rail that was measured, added to the same node's finding."""
    state = state_of(nodes, trials, settings, settings.rail)
    found = node_findings(state, settings)
    links = list(path_findings(state))
    sentences = list(fleet.sentences(state, settings))
    for rail in sorted({t.rail for t in trials if t.rail is not None and t.rail != settings.rail}):
        own = replace(settings, expected_bytes_per_second=fleet.rail_figure(trials), rail=rail)
        rail_state = state_of(nodes, trials, own, rail)
        for node, finding in node_findings(rail_state, own).items():
            if finding.code != "untested":
                found[node] = _with_rail(found.get(node), finding, rail)
        links += [replace(link, proof=f"on rail {rail} {link.proof}") for link in path_findings(rail_state)]
        sentences += [f"On rail {rail}: {words}" for words in fleet.sentences(rail_state, own)]
    ordered = tuple(found[node] for node in nodes if node in found)
    return Localisation(
        nodes=ordered,
        links=tuple(links),
        proof=(*sentences, *(f.proof for f in ordered if f.verdict is Verdict.FAIL)),
        expected_bytes_per_second=state.limits.pair_bytes_per_second,
        num_rounds=len({trial.round for trial in trials}),
    )


def node_findings(state: State, settings: Settings) -> dict[str, NodeFinding]:
    """One finding a node at most; nodes that passed have none."""
    if len(state.nodes) < 2:
        return {}
    convicts = state.convicts
    is_most = state.is_most(list(convicts))
    below = set(state.below_platform(settings))
    between = {node: m for m in state.groups.interplay for node in m.nodes}
    found = {}
    for node in state.nodes:
        finding = _absent_or_untested(state, node)
        if finding is None and node in convicts:
            finding = _convicted(state, node, convicts[node], is_most=is_most)
        elif finding is None and (node in state.pairs.suspects or node in below):
            finding = _undecided(state, node, settings)
        elif finding is None and node in state.groups.left_alone:
            words = proof.left_alone_proof(state, node)
            finding = NodeFinding(node=node, verdict=Verdict.INCONCLUSIVE, code="unsplit", proof=words)
        elif finding is None and node in between:
            words = fleet.interplay_sentence(state, between[node])
            finding = NodeFinding(node=node, verdict=Verdict.WARN, code="unsplit", proof=words)
        if finding is not None:
            found[node] = finding
    return found


def _absent_or_untested(state: State, node: str) -> NodeFinding | None:
    absences = state.known.absences.get(node, ())
    if absences:
        groups = " and then with ".join(", ".join(n for n in group if n != node) for group in absences[:2])
        words = f"{node} did not come to measure with {groups}; see whether its worker still lives, and its own log"
        return NodeFinding(
            node=node, verdict=Verdict.ERROR, code="no_answer", proof=words, evidence={"num_absences": len(absences)}
        )
    if state.pairs.partners.get(node):
        return None
    words = f"{node} was never measured with another node: the rounds ended first, or its partners did not come"
    return NodeFinding(node=node, verdict=Verdict.INCONCLUSIVE, code="untested", proof=words)


def _convicted(state: State, node: str, outcome: Outcome, *, is_most: bool) -> NodeFinding:
    evidence = {**proof.pair_evidence(state, node), **_group_evidence(state, node)}
    return NodeFinding(
        node=node,
        verdict=Verdict.INCONCLUSIVE if is_most else Verdict.FAIL,
        code="slow_fleet" if is_most else _NODE_CODES[outcome],
        proof=proof.convict_proof(state, node, outcome),
        evidence=evidence,
    )


def _group_evidence(state: State, node: str) -> Mapping[str, object]:
    if node not in state.groups.convicts:
        return {}
    return {
        "expected_group_bytes_per_second": state.limits.group_bytes_per_second,
        "groups": {
            " ".join(m.nodes): proof.figures(m, state.limits.outcome(m)) for m in state.known.groups if node in m.nodes
        },
    }


def _undecided(state: State, node: str, settings: Settings) -> NodeFinding:
    """Bad with all it met and unproven, or as slow as most of the fleet against the platform's figure."""
    is_suspect = node in state.pairs.suspects
    is_fleet = len(state.nodes) > 2 and (not is_suspect or len(state.pairs.trusted) < 2)
    words = fleet.below_words(state, node, settings) if not is_suspect else proof.suspect_proof(state, node)
    return NodeFinding(
        node=node,
        verdict=Verdict.INCONCLUSIVE,
        code="slow_fleet" if is_fleet else "unsplit",
        proof=words,
        evidence=proof.pair_evidence(state, node),
    )


def path_findings(state: State) -> list[LinkFinding]:
    """Bad pairs of two nodes that both pass with others."""
    found = []
    for a, b in state.pairs.paths:
        measured = state.known.pairs[a, b]
        outcome = state.limits.outcome(measured)
        is_sure = outcome is Outcome.WRONG or (outcome is not Outcome.UNSTEADY and measured.num_trials > 1)
        found.append(
            LinkFinding(
                nodes=(a, b),
                verdict=Verdict.FAIL if is_sure else Verdict.WARN,
                code=_PATH_CODES[outcome],
                proof=proof.path_proof(state, a, b),
                evidence={
                    "expected_bytes_per_second": state.limits.pair_bytes_per_second,
                    **proof.figures(measured, outcome),
                },
            )
        )
    return found


def _with_rail(finding: NodeFinding | None, on_rail: NodeFinding, rail: int) -> NodeFinding:
    """A node's finding with what one rail adds; the graver of both names the fault."""
    words = f"on rail {rail} {on_rail.proof}"
    if finding is None or finding.code == "untested":
        return replace(on_rail, proof=words, evidence={"rails": {str(rail): on_rail.evidence}})
    verdict = gravest((finding.verdict, on_rail.verdict))
    rails = finding.evidence.get("rails", {})
    assert isinstance(rails, Mapping)
    return replace(
        finding,
        verdict=verdict,
        code=finding.code if verdict is finding.verdict else on_rail.code,
        proof=f"{finding.proof}; {words}",
        evidence={**finding.evidence, "rails": {**rails, str(rail): on_rail.evidence}},
    )
