"""Workers of a simulated fleet that end their burns early, as real ones do where a GPU fails beyond doubt. Pure.

Told from the faults, since a simulated series has too few points for `fryer.early_stop` to see it settled: wrong
results, lost GPUs and Xids of the hardware end a node early, slow and throttled GPUs do not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from fryer.burns import BURNS
from fryer.early_stop import CODE, SOAK_SECONDS, is_worth
from fryer.early_watch import stopped_by
from fryer.evidence import NodeEvidence
from fryer.fleet.simulated_faults import clear_failures
from fryer.fleet.simulated_node import SimulatedQualification
from fryer.fleet.simulated_timeline import spans
from fryer.plan import Plan
from fryer.records import Problem
from watchdog.simulator.fault import Fault
from watchdog.simulator.scenario import Scenario
from watchdog.vocabulary.verdicts import Verdict

LAG_SECONDS = 5.0
"""From a fault to the end of the burns: it is seen within a second or two, and the burns have work queued."""


@dataclass(slots=True)
class EarlyEnds:
    """Those of one `Qualify`. Times are seconds from its beginning."""

    scenario: Scenario
    plan: Plan
    begin_seconds: float
    """On the scenario's clock."""
    versions: Mapping[str, str]

    def end_of(self, node: str, faults: Sequence[Fault]) -> float | None:
        """When the burns of `node` end before their time; None: they do not."""
        if not self.plan.has_early_stop:
            return None
        starts = [f.at_seconds for f in faults if clear_failures(node, (f,), f.at_seconds)]
        if not starts:
            return None
        end = max(SOAK_SECONDS, min(starts) - self.begin_seconds) + LAG_SECONDS
        return end if is_worth(spans(self.plan)[-1].end_seconds - end) else None

    def evidence(self, node: str, faults: Sequence[Fault], end_seconds: float) -> NodeEvidence:
        """What `node` has by `end_seconds`."""
        cut = SimulatedQualification(self.scenario, cut_plan(self.plan, end_seconds), self.begin_seconds, self.versions)
        found = cut.evidence(node, faults)
        now = self.begin_seconds + end_seconds
        problems = tuple(
            Problem(device=fault.unit or "", burn="", case="", verdict=Verdict.FAIL, code=CODE, message=message)
            for fault in faults
            for message in clear_failures(node, (fault,), now)
        )
        return replace(
            found,
            problems=(*found.problems, *problems),
            interrupted=stopped_by([replace(problem, device=problem.device or node) for problem in problems]),
            repeat={phase.burn: self.plan.repeat_command(node, phase.burn) for phase in self.plan.phases},
        )


def cut_plan(plan: Plan, seconds: float) -> Plan:
    """The plan as far as it comes within `seconds`."""
    phases, left = [], seconds
    for phase in plan.phases:
        if left <= 0:
            break
        if not BURNS[phase.burn].is_simulated:
            phases.append(phase)
            continue
        phases.append(replace(phase, seconds=min(phase.seconds, left)))
        left -= phase.seconds
    return replace(plan, phases=tuple(phases))
