"""A run as a whole: what was planned, what was found on each node, and the verdict."""

from dataclasses import dataclass

from fryer.evidence import NodeEvidence, NodeVerdict
from fryer.plan import Plan
from watchdog.vocabulary.verdicts import Verdict, gravest


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """Who a run is; known at its start."""

    run_id: str
    """UUID."""
    started_at: str
    """ISO 8601, UTC."""
    plan: Plan
    command: str
    """The command line, for repeating it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a run found. Kept in the store for ever."""

    info: RunInfo
    seconds: float
    """How long it took, on the machine's clock."""
    evidence: tuple[NodeEvidence, ...]
    verdicts: tuple[NodeVerdict, ...]
    """In the order of `evidence`."""

    @property
    def verdict(self) -> Verdict:
        """The gravest of the nodes."""
        return gravest(node.verdict for node in self.verdicts)
