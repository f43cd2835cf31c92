"""Carries out a plan: burns phase by phase on each node, reads the hardware beside them, and has the evidence judged.

It measures nothing and judges nothing itself. However a run ends, what was measured until then is kept and judged.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext
from pathlib import Path

from fryer.burns import BURNS
from fryer.crew import Crew, make_context, warm_up
from fryer.early_watch import EarlyWatch, stopped_by
from fryer.evidence import Measurement, NodeEvidence, PastMeasurement
from fryer.hardware import Hardware, open_hardware
from fryer.outputs import Output
from fryer.plan import Phase, Plan
from fryer.platform import versions
from fryer.records import Counted, Mismatch, Point, Problem, ProductDigest, Record
from fryer.result import RunInfo, RunResult
from fryer.steady import measure
from fryer.stopper import Stopper
from fryer.telemetry import Seen, Telemetry
from fryer.verdict import judge
from fryer.workers import CPU_MEMORY_RATIO, DeviceSpec, Order
from watchdog.collectors.host import HostReader
from watchdog.vocabulary.verdicts import Verdict

LISTEN_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the store knows of a node."""

    own: tuple[PastMeasurement, ...] = ()
    fleet: tuple[PastMeasurement, ...] = ()
    uuids: frozenset[str] = frozenset()
    """Of the GPUs of its last run."""


Past = Callable[[Hardware], Known]
"""What the store knows of a node and its devices."""


@dataclass(slots=True)
class _Records:
    """The records of one node, by type."""

    points: list[Point] = field(default_factory=list)
    digests: list[ProductDigest] = field(default_factory=list)
    mismatches: list[Mismatch] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    counted: list[Counted] = field(default_factory=list)

    def add(self, record: Record) -> None:
        match record:
            case Point():
                self.points.append(record)
            case ProductDigest():
                self.digests.append(record)
            case Mismatch():
                self.mismatches.append(record)
            case Problem():
                self.problems.append(record)
            case Counted():
                self.counted.append(record)

    def measurements(self) -> tuple[Measurement, ...]:
        """Points as measurements; those of gemm with the digest of their first product."""
        first = {
            (digest.device, "gemm", digest.case): digest.digest
            for digest in self.digests
            if digest.round == 0 and digest.pair == 0
        }
        return tuple(measure(self.points, first))


def run(info: RunInfo, output: Output, past: Past, stopper: Stopper) -> RunResult:
    """Qualify every node of the plan, one after the other; returns what was found, also when stopped early."""
    start = time.monotonic()
    evidence: list[NodeEvidence] = []
    output.start(info)
    context = make_context()
    warm_up(context, lambda: stopper.reason is not None)
    for node in info.plan.nodes:
        if not (stopper.reason and evidence):
            evidence.append(_NodeRun(info.plan, node, context, output, stopper).run(past))
    verdicts = tuple(judge(one) for one in evidence)
    return RunResult(info=info, seconds=time.monotonic() - start, evidence=tuple(evidence), verdicts=verdicts)


class _NodeRun:
    """The phases of one node."""

    def __init__(self, plan: Plan, node: str, context: ForkServerContext, output: Output, stopper: Stopper) -> None:
        self._plan = plan
        self._node = node
        self._context = context
        self._output = output
        self._stopper = stopper
        self._records = _Records()
        self._out: dict[str, str] = {}
        """Devices that are left alone from now on, and why."""
        self._early = ""
        """What ended its burns early, though nobody asked for it."""

    def run(self, past: Past) -> NodeEvidence:
        hardware = open_hardware(self._node, self._plan.scenario)
        self._output.node(self._node, hardware.infos)
        known = past(hardware)
        telemetry = Telemetry(hardware.clock, hardware.nvml, HostReader())
        watch = EarlyWatch(self._plan, hardware)
        try:
            for phase in self._plan.phases:
                if not (self._stopper.reason or self._early):
                    self._phase(hardware, phase, telemetry, watch)
        finally:
            seen = telemetry.stop()
            if hardware.nvml is not None:
                hardware.nvml.close()
        return self._evidence(hardware, seen, known)

    def _evidence(self, hardware: Hardware, seen: Seen, known: Known) -> NodeEvidence:
        names = {info.uuid: info.name for info in hardware.infos}
        return NodeEvidence(
            node=self._node,
            devices=hardware.infos,
            versions=versions(),
            measurements=self._records.measurements(),
            digests=tuple(self._records.digests),
            mismatches=tuple(self._records.mismatches),
            problems=tuple(self._records.problems),
            counted=tuple(self._records.counted),
            gpu_readings=seen.by_device(names),
            host_readings=tuple(seen.host),
            gaps=tuple(seen.gaps),
            xids=tuple(seen.xids),
            own_past=known.own,
            fleet_past=known.fleet,
            expected_gpus=self._plan.expected_gpus or hardware.gpus_on_bus or None,
            missing_past=tuple(sorted(known.uuids - set(names))),
            gpu_processes=hardware.processes,
            seed=self._plan.seed,
            interrupted=self._stopper.reason or self._early or None,
            repeat={phase.burn: self._plan.repeat_command(self._node, phase.burn) for phase in self._plan.phases},
        )

    def _phase(self, hardware: Hardware, phase: Phase, telemetry: Telemetry, watch: EarlyWatch) -> None:
        if self._plan.scenario is not None and not BURNS[phase.burn].is_simulated:
            self._take(
                Problem(
                    device="",
                    burn=phase.burn,
                    case="",
                    verdict=Verdict.SKIPPED,
                    code="not_simulated",
                    message=f"{phase.burn} was not run: it is not simulated",
                )
            )
            return
        self._output.phase(self._node, phase.burn, phase.seconds)
        names = {info.uuid: info.name for info in hardware.infos}
        with tempfile.TemporaryDirectory(prefix="fryer-") as directory:
            orders = self._orders(hardware, phase, Path(directory) / "rendezvous")
            crew = Crew(self._context, orders)
            try:
                while not crew.is_over:
                    if self._stopper.is_urgent:
                        break
                    if self._stopper.reason or self._early:
                        crew.stop()
                    for record in crew.listen(LISTEN_SECONDS):
                        watch.note(record)
                        self._take(record)
                    self._look_early(watch, telemetry)
                    for reading in telemetry.news():
                        if reading.uuid in names:
                            self._output.reading(self._node, names[reading.uuid], reading)
            finally:
                crew.kill()
            self._out.update(dict.fromkeys(crew.hung, "it hung in an earlier burn"))

    def _look_early(self, watch: EarlyWatch, telemetry: Telemetry) -> None:
        if self._early or self._stopper.reason:
            return
        own = self._records
        failures = watch.look(own.points, own.mismatches, own.problems, telemetry.seen)
        for problem in failures:
            self._take(problem)
        if failures:
            self._early = stopped_by(failures)

    def _orders(self, hardware: Hardware, phase: Phase, rendezvous: Path) -> list[Order]:
        specs = [spec for spec in hardware.specs if not self._is_out(spec, phase.burn)]
        if not specs:
            return []
        groups = [tuple(specs)] if BURNS[phase.burn].scope == "node" else [(spec,) for spec in specs]
        own = CPU_MEMORY_RATIO / len(specs) if specs[0].kind == "cpu" else BURNS[phase.burn].gpu_memory_ratio
        ratio = self._plan.memory_ratio or own
        return [
            Order(
                burn=phase.burn,
                specs=group,
                clock=hardware.clock,
                seconds=phase.seconds,
                seed=self._plan.seed,
                dtypes=self._plan.dtypes,
                memory_ratio=ratio,
                rank=rank,
                num_ranks=len(groups),
                rendezvous=f"file://{rendezvous}",
            )
            for rank, group in enumerate(groups)
        ]

    def _is_out(self, spec: DeviceSpec, burn: str) -> bool:
        """A device that hung or was lost is left alone: its driver calls would only hang or fail again."""
        why = self._out.get(spec.name)
        if why is not None:
            self._take(
                Problem(
                    device=spec.name,
                    burn=burn,
                    case="",
                    verdict=Verdict.SKIPPED,
                    code="left_out",
                    message=f"{burn} was not run on {spec.name}: {why}",
                )
            )
        return why is not None

    def _take(self, record: Record) -> None:
        self._records.add(record)
        self._output.record(self._node, record)
        if isinstance(record, Problem) and record.code == "device_lost" and record.device:
            self._out[record.device] = "it was lost in an earlier burn"


def nothing_past(hardware: Hardware) -> Known:
    """No store: there is nothing to compare with."""
    del hardware
    return Known()
