"""A run as a whole: what was planned, what was found on each node, and the verdict."""

from dataclasses import dataclass

from fryer.collectives.cases import CollectiveRow
from fryer.collectives.swept import BETWEEN, Swept
from fryer.evidence import NodeEvidence, NodeVerdict
from fryer.localise import LinkFinding, Round, Trial
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
class Network:
    """What was measured between nodes, and so what a verdict on links can be drawn from again."""

    rounds: tuple[Round, ...] = ()
    trials: tuple[Trial, ...] = ()
    rows: tuple[CollectiveRow, ...] = ()
    """Of the rounds; those of an earlier, resumed run are not among them."""
    expected_bytes_per_second: float | None = None
    """Bus bandwidth of a healthy pair; None: nobody knows."""
    sweeps: tuple[Swept, ...] = ()
    """Inside each node that has several GPUs, and over all nodes that were left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a run found. Kept in the store for ever."""

    info: RunInfo
    seconds: float
    """How long it took, on the machine's clock."""
    evidence: tuple[NodeEvidence, ...]
    verdicts: tuple[NodeVerdict, ...]
    """In the order of `evidence`. What the network says of a node is among its reasons."""
    links: tuple[LinkFinding, ...] = ()
    """Paths between nodes that are to blame, and no node."""
    proof: tuple[str, ...] = ()
    """How the network's verdict was reached, in sentences."""
    network: Network | None = None
    """None: nothing was measured between nodes."""

    @property
    def verdict(self) -> Verdict:
        """The gravest of the nodes, of the paths between them and of what was swept over all of them together."""
        swept = [each.verdict for each in self.group_sweeps if each.verdict is not Verdict.PASS]
        return gravest([*(node.verdict for node in self.verdicts), *(link.verdict for link in self.links), *swept])

    @property
    def group_sweeps(self) -> tuple[Swept, ...]:
        """Over all nodes that were left; those inside nodes are among the nodes' own reasons."""
        return tuple(each for each in self.network.sweeps if each.scope == BETWEEN) if self.network else ()
