"""What is asked for, what comes back, and what is concluded: the words of localisation."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from watchdog.vocabulary.verdicts import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Groups that are to measure at the same time."""

    number: int
    """From 1."""
    groups: tuple[tuple[str, ...], ...]
    """Disjoint."""
    repeats: int
    why: str
    """For people: ``first matching``, ``suspects with proven partners``."""
    rail: int | None = None
    """Index of the GPU and NIC that measure alone; None: all together. The one of the settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What one group of a round gave. Each group of a round gives one, whatever happened to it."""

    round: int
    nodes: tuple[str, ...]
    values: tuple[float, ...]
    """Bus bandwidth of each repeat, in bytes per second; fewer than asked, or none, where it broke."""
    problem: str = ""
    """Why it broke, one sentence; empty when it did not."""
    missing: tuple[str, ...] = ()
    """Members that are known not to have come, or to have died. All members: nobody knows who."""
    num_wrong: int = 0
    """Elements that were not what they must be."""
    rail: int | None = None
    """Index of the GPU and NIC that measured alone; None: all together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFinding:
    """What was concluded of a node's network."""

    node: str
    verdict: Verdict
    """FAIL, WARN, INCONCLUSIVE or ERROR; a node without a finding passed."""
    code: str
    """``slow_network``, ``intermittent_network``, ``broken_network``, ``wrong_sums``, ``no_answer``, ``unsplit``,
    ``slow_fleet`` (as slow as most others), ``untested``."""
    proof: str
    """``node003 failed with node001 and node004; node001-node004 passed at 378 GB/s``."""
    evidence: Mapping[str, object] = field(default_factory=dict)
    """``expected_bytes_per_second``, ``partners``: by partner ``min median max num_repeats num_trials num_wrong
    outcome``; ``rails`` where single rails failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkFinding:
    """A path between nodes that both pass with others."""

    nodes: tuple[str, str]
    verdict: Verdict
    """FAIL where it was measured twice and always bad, or summed wrongly; else WARN."""
    code: str
    """``slow_path``, ``intermittent_path``, ``broken_path``, ``wrong_sums``."""
    proof: str
    evidence: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Localisation:
    """What all rounds together say."""

    nodes: tuple[NodeFinding, ...]
    """At most one a node, in the order of the nodes."""
    links: tuple[LinkFinding, ...]
    proof: tuple[str, ...]
    """Sentences on the fleet as a whole, and how each node that failed was told apart."""
    expected_bytes_per_second: float | None
    """What a healthy group of two gives here; None: nobody knows."""
    num_rounds: int
