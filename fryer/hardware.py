"""What a run burns and reads: this machine, or a simulated node in its place. The runner does not ask which."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from socket import gethostname

from fryer.evidence import DeviceInfo
from fryer.launchers import LOCAL, is_here
from fryer.node_sets import parse_set
from fryer.platform import discover, identity_info
from fryer.workers import DeviceSpec
from watchdog.clock import RunClock
from watchdog.collectors.nvml_process import NvmlProcess
from watchdog.collectors.pcie import count_gpus
from watchdog.collectors.readings import GpuIdentity
from watchdog.simulator.node import SimulatedNode
from watchdog.simulator.scenario import Scenario, load, scenario_path
from watchdog.vocabulary.errors import SourceMissing, UsageError, nearest

LEAD_REAL_SECONDS = 1.0
"""A simulation's clock starts so much later, with the NVML reader up: no fault happens before somebody looks."""
SIMULATED = frozenset(
    {"slow", "throttle", "power_brake", "hot", "wrong_bits", "ecc", "row_remap", "xid", "lost", "hang", "nvlink_errors"}
    | {"pcie_narrow"}
)
"""Kinds of fault that a burn on one node meets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """One node, ready to be burned."""

    node: str
    clock: RunClock
    infos: tuple[DeviceInfo, ...]
    specs: tuple[DeviceSpec, ...]
    nvml: NvmlProcess | None
    """None where there are no NVIDIA GPUs."""
    gpus_on_bus: int = 0
    """NVIDIA GPUs that the PCI bus shows, with or without a driver."""
    processes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By device: compute processes that were there before ours."""


def parse_nodes(text: str, scenario: Scenario | None) -> tuple[str, ...]:
    """The nodes that ``--nodes`` means; raises `UsageError` for an empty or broken set."""
    nodes = parse_set(text)
    if scenario is not None:
        return _simulated_nodes(nodes, scenario)
    return (gethostname(),) if all(is_here(node) for node in nodes) else nodes


def unconcerned(scenario: Scenario) -> tuple[str, ...]:
    """Faults of a scenario that a run does not meet: of networks, hosts and trainings, or that begin at a step."""
    return tuple(
        f"{fault.kind} on {fault.on}"
        for fault in scenario.faults
        if fault.kind not in SIMULATED or fault.step is not None
    )


def _simulated_nodes(nodes: Sequence[str], scenario: Scenario) -> tuple[str, ...]:
    fleet = scenario.fleet.node_names
    chosen = tuple(fleet[0] if node in LOCAL else node for node in nodes)
    for node in chosen:
        if node not in fleet:
            raise UsageError(f"--nodes: the scenario has no node {node!r}{nearest(node, fleet)}")
    return chosen


def open_hardware(node: str, scenario: str | None) -> Hardware:
    """Start the clock and the NVML reader, and find the devices of one node."""
    return _open_real(node) if scenario is None else _open_simulated(node, scenario)


def _open_real(node: str) -> Hardware:
    clock = RunClock.start()
    nvml: NvmlProcess | None = None
    try:
        nvml = NvmlProcess(clock)
        identities = nvml.identities()
    except SourceMissing:
        identities = None
    found = discover(node, identities)
    specs = tuple(
        DeviceSpec(
            name=device.info.name, kind=device.info.kind, processors=device.processors, cuda_ordinal=device.cuda_ordinal
        )
        for device in found
    )
    infos = tuple(device.info for device in found)
    return Hardware(
        node=node,
        clock=clock,
        infos=infos,
        specs=specs,
        nvml=nvml,
        gpus_on_bus=count_gpus(),
        processes=_processes(infos, identities or ()),
    )


def _processes(infos: Sequence[DeviceInfo], identities: Sequence[GpuIdentity]) -> dict[str, tuple[str, ...]]:
    """Who was on each GPU before us, by the GPU's name in this run."""
    names = {info.uuid: info.name for info in infos}
    return {names[one.uuid]: one.processes for one in identities if one.processes and one.uuid in names}


def _open_simulated(node: str, scenario: str) -> Hardware:
    clock = RunClock(origin=time.monotonic() + LEAD_REAL_SECONDS, speed=load(scenario).speed)
    simulated = SimulatedNode(scenario_path=str(scenario_path(scenario)), node=node, clock=clock)
    nvml = NvmlProcess(clock, simulated)
    identities = nvml.identities()
    infos = tuple(identity_info(identity, kind="simulated") for identity in identities)
    specs = tuple(
        DeviceSpec(name=info.name, kind="simulated", simulated=simulated, index=identity.index)
        for info, identity in zip(infos, identities, strict=True)
    )
    clock.sleep(-clock.now())
    return Hardware(
        node=node, clock=clock, infos=infos, specs=specs, nvml=nvml, processes=_processes(infos, identities)
    )
