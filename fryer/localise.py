"""Who is to blame for a slow or broken collective, with the proof: pure arithmetic over groups that measured together.

The caller measures what `next_round` asks for until it asks for nothing more; `localise` then says what follows.
"""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What one group of a round gave."""

    round: int
    nodes: tuple[str, ...]
    values: tuple[float, ...]
    """Bus bandwidth of each repeat, in bytes per second; fewer than asked, or none, where it broke."""
    problem: str = ""
    """Why it broke, one sentence; empty when it did not."""
    missing: tuple[str, ...] = ()
    """Members that are known not to have come, or to have died."""
    num_wrong: int = 0
    """Elements that were not what they must be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFinding:
    """What was concluded of a node's network."""

    node: str
    verdict: Verdict
    """FAIL, WARN, INCONCLUSIVE or ERROR; a node without a finding passed."""
    code: str
    """``slow_network``, ``intermittent_network``, ``wrong_sums``, ``no_answer``, ``unsplit``, ``untested``."""
    proof: str
    """``node003 failed with 001 and 004; 001-004 passed at 378 GB/s``."""
    evidence: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkFinding:
    """A path between nodes that both pass with others."""

    nodes: tuple[str, str]
    verdict: Verdict
    code: str
    """``slow_path``, ``intermittent_path``, ``broken_path``."""
    proof: str
    evidence: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Localisation:
    """What all rounds together say."""

    nodes: tuple[NodeFinding, ...]
    links: tuple[LinkFinding, ...]
    proof: tuple[str, ...]
    """Sentences on the fleet as a whole, and how each node that failed was told apart."""
    expected_bytes_per_second: float | None
    """What a healthy group of two gives here; None: nobody knows."""
    num_rounds: int
