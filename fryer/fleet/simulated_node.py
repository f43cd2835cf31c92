"""The evidence that a simulated node brings back from a `Qualify`: small, and shared where nodes are alike. Pure.

It goes through the true judges, so it has what they ask for: figures with series, digests, readings, counts of what was
verified. Two GPUs with the same index and about the same luck (`LEVELS`) share their figures, and all nodes share
digests and counts: of a fleet of 2,048 nodes only names, UUIDs and what is wrong are its own.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b

from fryer.evidence import DeviceInfo, Measurement, NodeEvidence
from fryer.fleet.simulated_faults import gap, gone_problems, gone_seconds, mismatches
from fryer.fleet.simulated_readings import HealthyReadings, faulty_readings, host_readings
from fryer.fleet.simulated_timeline import Case, cases, not_run, spans, verified
from fryer.plan import Plan
from fryer.records import FLOPS, Counted, Mismatch, Point, Problem, ProductDigest
from fryer.steady import measure
from watchdog.collectors.readings import GpuReading, ReaderGap, XidEvent
from watchdog.simulator.fault import Fault
from watchdog.simulator.identity import DRIVER, VBIOS, gpu_bus_id, gpu_serial, gpu_uuid
from watchdog.simulator.model import noise, performance_factor
from watchdog.simulator.parts import PARTS
from watchdog.simulator.scenario import Scenario

NUM_POINTS = 5
"""Points of a series: as few as a steady state can be told from (`fryer.steady.SMALLEST_COUNT`)."""
LEVELS = 8
"""Healthy figures are rounded to this many steps a standard deviation, so that GPUs share them."""
PART_SPREAD = 0.5
"""As in `watchdog.simulator.model`: healthy GPUs differ for good by this share of the scenario's noise."""
_WIGGLE = (0.03, -0.05, 0.0, 0.08, -0.02)
"""How the points of a series lie about its level, in shares of the scenario's noise."""


@dataclass(slots=True)
class _Found:
    """What the GPUs of one node with faults brought so far."""

    problems: list[Problem]
    readings: dict[str, tuple[GpuReading, ...]]
    figures: list[Measurement] = field(default_factory=list)
    counted: list[Counted] = field(default_factory=list)
    digests: list[ProductDigest] = field(default_factory=list)
    wrong: list[Mismatch] = field(default_factory=list)
    gaps: list[ReaderGap] = field(default_factory=list)
    xids: list[XidEvent] = field(default_factory=list)


class SimulatedQualification:
    """One `Qualify` of a simulated fleet."""

    def __init__(self, scenario: Scenario, plan: Plan, begin_seconds: float, versions: Mapping[str, str]) -> None:
        """`begin_seconds`: when it begins on the scenario's clock; `versions`: of what runs on every node."""
        fleet = scenario.fleet
        self._scenario = scenario
        self._plan = plan
        self._begin = begin_seconds
        self._versions = {**versions, "driver": DRIVER}
        self._part = PARTS[fleet.part]
        self._num_gpus = fleet.gpus_per_node
        self._spans = spans(plan)
        self.seconds = self._spans[-1].end_seconds if self._spans else 0.0
        """How long the burns take."""
        self._names = tuple(f"gpu{index}" for index in range(self._num_gpus))
        self._cases = [cases(plan, self._part, index, self._num_gpus) for index in range(self._num_gpus)]
        self._counted = [
            verified(plan, self._part, name, found) for name, found in zip(self._names, self._cases, strict=True)
        ]
        self._digests = [self._digests_of(name, self._cases[0]) for name in self._names]
        self._not_run = not_run(plan, self._part, self._num_gpus)
        self._healthy = HealthyReadings(scenario, begin_seconds, self.seconds)
        self._host = host_readings(self.seconds)
        self._figures: dict[tuple[int, Case, int], Measurement] = {}
        self._all_counted = tuple(count for counted in self._counted for count in counted)
        self._all_digests = tuple(digest for digests in self._digests for digest in digests)

    def evidence(self, node: str, faults: Sequence[Fault]) -> NodeEvidence:
        """What `node` finds; `faults` are those of the scenario that are on it."""
        infos = tuple([self._info(node, index) for index in range(self._num_gpus)])
        healthy = NodeEvidence(
            node=node,
            devices=infos,
            versions=self._versions,
            measurements=tuple(
                [each for index in range(self._num_gpus) for each in self._healthy_figures(node, index)]
            ),
            digests=self._all_digests,
            problems=self._not_run,
            counted=self._all_counted,
            gpu_readings={
                info.name: self._healthy.of(info.uuid, index + int(info.serial or 0))
                for index, info in enumerate(infos)
            },
            host_readings=self._host,
            expected_gpus=self._plan.expected_gpus,
            seed=self._plan.seed,
            repeat={phase.burn: self._plan.repeat_command(node, phase.burn) for phase in self._plan.phases},
        )
        own = [f for f in faults if f.step is None and f.at_seconds <= self._begin + self.seconds]
        return self._spoilt(healthy, replace(self._scenario, faults=tuple(own))) if own else healthy

    def _info(self, node: str, index: int) -> DeviceInfo:
        return DeviceInfo(
            name=self._names[index],
            kind="simulated",
            part=self._part.product,
            uuid=gpu_uuid(self._scenario.seed, node, index),
            serial=gpu_serial(self._scenario.seed, node, index),
            pci_bus_id=gpu_bus_id(index)[4:].lower(),
            vbios=VBIOS,
            driver=DRIVER,
            memory_bytes=self._part.memory_bytes,
            clock_max_hertz=self._part.sm_clock_max_hertz,
        )

    def _digests_of(self, device: str, found: Sequence[Case]) -> tuple[ProductDigest, ...]:
        """Of the first product of each format. They are made up: equal for equal seeds, as those of real products."""
        return tuple(
            ProductDigest(
                device=device, case=case.name, round=0, pair=0, seed=self._plan.seed, digest=self._digest(case)
            )
            for case in found
            if case.metric == FLOPS
        )

    def _digest(self, case: Case) -> str:
        return blake2b(f"{self._plan.seed}/{case.name}".encode(), digest_size=8).hexdigest()

    def _healthy_figures(self, node: str, index: int) -> Iterator[Measurement]:
        scale = LEVELS / self._scenario.fleet.noise if self._scenario.fleet.noise else 0.0
        levels: dict[str, int] = {}
        for case in self._cases[index]:
            level = levels.get(case.what)
            if level is None:
                level = levels[case.what] = round(scale * noise(self._scenario, node, index, case.what, 0))
            key = (index, case, level)
            found = self._figures.get(key)
            if found is None:
                factor = 1 + PART_SPREAD * level / scale if scale else 1.0
                found = self._figures[key] = self._figure(index, case, [factor] * NUM_POINTS)
            yield found

    def _figure(self, index: int, case: Case, factors: Sequence[float]) -> Measurement:
        """`factors`: of the healthy rate, at each point; at least one."""
        device = self._names[index]
        length = (case.end_seconds - case.begin_seconds) / NUM_POINTS
        points = [
            Point(
                device=device,
                burn=case.burn,
                case=case.name,
                metric=case.metric,
                at_seconds=case.begin_seconds + (place + 1) * length,
                value=case.rate * factor * (1 + self._scenario.fleet.noise * _WIGGLE[place]),
            )
            for place, factor in enumerate(factors)
        ]
        digest = {(device, case.burn, case.name): self._digest(case)} if case.metric == FLOPS else None
        (found,) = measure(points, digest)
        return found

    def _spoilt(self, healthy: NodeEvidence, scenario: Scenario) -> NodeEvidence:
        """The evidence with what the scenario's faults, all on this node, make of it."""
        found = _Found(problems=list(self._not_run), readings=dict(healthy.gpu_readings))
        own = defaultdict(list)
        for figure in healthy.measurements:
            own[figure.device].append(figure)
        for index, info in enumerate(healthy.devices):
            faults = scenario.all_faults_on(healthy.node, info.name)
            if faults:
                self._spoil(found, scenario, healthy.node, index, info, faults)
            else:
                found.figures += own[info.name]
                found.counted += self._counted[index]
                found.digests += self._digests[index]
        return replace(
            healthy,
            measurements=tuple(found.figures),
            counted=tuple(found.counted),
            digests=tuple(found.digests),
            mismatches=tuple(found.wrong),
            problems=tuple(found.problems),
            gaps=tuple(found.gaps),
            xids=tuple(sorted(found.xids, key=lambda event: event.at_seconds)),
            gpu_readings=found.readings,
        )

    def _spoil(
        self, found: _Found, scenario: Scenario, node: str, index: int, info: DeviceInfo, faults: Sequence[Fault]
    ) -> None:
        gone = gone_seconds(faults, self._begin)
        last = gone[0] if gone else float("inf")
        found.figures += self._spoilt_figures(scenario, node, index, last)
        found.counted += [count for count in self._counted[index] if self._end_of(count.burn) <= last]
        wrong = list(mismatches(info.name, faults, self._cases[index], self._begin, self._plan.seed))
        found.wrong += wrong
        spoilt_cases = {mismatch.case for mismatch in wrong}
        found.digests += [digest for digest in self._digests[index] if digest.case not in spoilt_cases]
        found.readings[info.name] = tuple(faulty_readings(scenario, node, index, info.uuid, self._begin, self.seconds))
        found.xids += _xids(info.uuid, faults, self._begin)
        if gone:
            found.problems += gone_problems(info.name, gone, self._spans)
        if gone and gone[1] == "hang":
            found.gaps.append(gap(info.name, info.uuid, gone[0], self.seconds))

    def _end_of(self, burn: str) -> float:
        return next(span.end_seconds for span in self._spans if span.burn == burn)

    def _spoilt_figures(self, scenario: Scenario, node: str, index: int, last: float) -> Iterator[Measurement]:
        for case in self._cases[index]:
            length = (case.end_seconds - case.begin_seconds) / NUM_POINTS
            times = [case.begin_seconds + (place + 1) * length for place in range(NUM_POINTS)]
            factors = [
                performance_factor(scenario, node, index, self._begin + at - length / 2, case.what)
                for at in times
                if at <= last
            ]
            if factors:
                yield self._figure(index, case, factors)


def _xids(uuid: str, faults: Sequence[Fault], begin_seconds: float) -> list[XidEvent]:
    """A worker listens from its own start on, so what came before the burns is told at their beginning."""
    return [
        XidEvent(uuid=uuid, code=fault.code or 0, at_seconds=max(0.0, fault.at_seconds - begin_seconds))
        for fault in faults
        if fault.kind == "xid"
    ]
