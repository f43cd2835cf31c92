"""How fast collectives are between the nodes of a simulated fleet: what nodes, NICs and paths leave of it. Pure.

The model, for m nodes with g GPUs (n = m·g ranks) and k NICs each:

- A NIC carries what a healthy one of its generation carries, times its faults. Every NIC carries 1/k of the data of
  each node, split beforehand, so the slowest NIC of all members holds everybody.
- Ring, pinned: busbw = k x the slowest NIC. A NIC at half its rate halves it.
- The library's choice (hierarchical, NVLink first): a NIC need only carry busbw·(m-1)/(n-1), so busbw = min(what NVLink
  gives, slowest NIC x k/g x (n-1)/(m-1)). In pairs of nodes a third of a NIC can be gone without showing.
- Only all_reduce is summed by the switch, and so faster than a ring in a node. Of the n-1 parts that a rank sends in
  alltoall, n-g leave the node: busbw = slowest NIC x k/g x (n-1)/(n-g).
- One GPU a node (a rail): the NIC beside that GPU alone.
- A NIC that is down is left out by the library: the others carry its share. A rail of it alone breaks.
- A path between two nodes holds every group that both are in.

Figures are of published clusters: 47.5 GB/s of an NDR 400 NIC and 380 GB/s of a Ring over eight (nccl-tests #319), 479
GB/s of eight H100 with NVLS and 367 without (nccl-tests #290).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from fryer.devices.simulated_rates import LINK_BYTES_PER_SECOND
from fryer.fleet.interconnect import nvlink_of
from fryer.fleet.orders import Interconnect
from fryer.parts import find_part, practical_link_rate
from watchdog.simulator.fault import Fault
from watchdog.simulator.model import noise
from watchdog.simulator.parts import PARTS, Part
from watchdog.simulator.scenario import Scenario

NIC_BYTES_PER_SECOND = {3: 11.5e9, 4: 24.0e9, 5: 47.5e9, 6: 95.0e9}
"""Of one healthy NIC, by the PCIe generation of the platform: EDR 100, HDR 200, NDR 400, XDR 800."""
PORT_BYTES_PER_SECOND = {3: 12.5e9, 4: 25.0e9, 5: 50.0e9, 6: 100.0e9}
"""What its port says."""
NVLS_BYTES_PER_SECOND, NVLINK_RING_BYTES_PER_SECOND = 479e9, 367e9
HOPPER_NVLINK_BYTES_PER_SECOND = 450e9
"""That the two figures above belong to: they are scaled by the part's own."""
NOISE_INSIDE_SHARE = 0.2
"""Of the fleet's noise: collectives over NVLink repeat within half a percent, over a network within a few."""
ETHERNET_BYTES_PER_SECOND = 1.15e9
"""Of a fleet without NICs for its GPUs: 10 Gb/s of the host."""
UNSTEADY_SHARE, UNSTEADY_FACTOR = 0.4, 0.4
"""Measurements that a link hits that comes and goes, and what it leaves of them, where the scenario does not say."""
ALLTOALL = "alltoall"
"""Stands in the place of an algorithm: everybody's parts for everybody."""
_UNSTEADY = ("link_flap", "intermittent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One measurement."""

    at_seconds: float
    """On the scenario's clock."""
    lasts_seconds: float
    name: str
    """Different for each measurement of a run: decides its noise, and whether a link that comes and goes is gone."""


class Links:
    """The network of a scenario."""

    def __init__(self, scenario: Scenario) -> None:
        """Sort the scenario's faults by whom they concern."""
        fleet = scenario.fleet
        self._scenario = scenario
        self._part: Part = PARTS[fleet.part]
        self._num_gpus, self._num_nics = fleet.gpus_per_node, max(1, fleet.nics_per_node)
        self._nic = (
            NIC_BYTES_PER_SECOND[self._part.pcie_generation] if fleet.nics_per_node else ETHERNET_BYTES_PER_SECOND
        )
        self.interconnect = _interconnect(scenario, self._part)
        """Of each node, as its worker tells it."""
        self._of_node: dict[str, list[Fault]] = {}
        self._paths: list[Fault] = []
        for fault in scenario.faults:
            if fault.unit == "path":
                self._paths.append(fault)
            elif fault.step is None and _is_of_network(fault):
                for node in fault.nodes:
                    self._of_node.setdefault(node, []).append(fault)

    def bus_bandwidth(
        self,
        nodes: Sequence[str],
        *,
        ranks_per_node: int,
        rail: int | None,
        algorithm: str | None,
        moment: Moment,
        operation: str = "all_reduce",
    ) -> float:
        """Bytes a second, of large messages, with the noise of this measurement."""
        if operation == "alltoall":
            algorithm = ALLTOALL
        elif operation != "all_reduce":
            algorithm = "Ring"
        healthy = self._bandwidth(len(nodes), ranks_per_node, rail, algorithm, self._nic)
        slowest = min((self._slowest_nic(node, rail, moment) for node in nodes if node in self._of_node), default=1.0)
        path = self._path(nodes, moment)
        found = self._bandwidth(len(nodes), ranks_per_node, rail, algorithm, self._nic * min(slowest, path))
        share = NOISE_INSIDE_SHARE if len(nodes) == 1 else 1.0
        return min(healthy, found) * (1 + share * noise(self._scenario, nodes[0], 0, moment.name, 0))

    def reaches(self, one: str, other: str, rail: int | None, at_seconds: float) -> bool:
        """Whether the two get through to each other, for a collective on all NICs or on that of a rail."""
        if self._is_down(one, rail, at_seconds) or self._is_down(other, rail, at_seconds):
            return False
        for fault in self._paths:
            if fault.kind == "link_down" and fault.is_active(at_seconds) and {one, other} == fault.nodes:
                return False
        for node, peer in ((one, other), (other, one)):
            for fault in self._of_node.get(node, ()):
                is_cut = (
                    fault.kind == "partition" and fault.is_active(at_seconds) and _is_on(fault, self._rail_nic(rail))
                )
                if is_cut and peer not in fault.nodes:
                    return False
        return True

    def breaks(self, nodes: Sequence[str], rail: int | None, begin_seconds: float) -> float | None:
        """When the next member loses the others, after that time; None where nothing is to come."""
        if len(nodes) == 1:
            return None
        times = {
            fault.at_seconds
            for fault in (*self._paths, *(f for node in nodes for f in self._of_node.get(node, ())))
            if fault.kind in ("link_down", "partition") and fault.at_seconds > begin_seconds
        }
        return next((at for at in sorted(times) if not self.is_whole(nodes, rail, at)), None)

    def is_whole(self, nodes: Sequence[str], rail: int | None, at_seconds: float) -> bool:
        """Whether all of them reach each other; inside a node no NIC is used."""
        if len(nodes) == 1:
            return True
        members = set(nodes)
        if any(self._is_down(node, rail, at_seconds) for node in nodes):
            return False
        if any(f.kind == "link_down" and f.nodes <= members and f.is_active(at_seconds) for f in self._paths):
            return False
        nic = self._rail_nic(rail)
        cuts = (f for node in nodes for f in self._of_node.get(node, ()) if f.kind == "partition")
        return not any(f.is_active(at_seconds) and _is_on(f, nic) and not members <= f.nodes for f in cuts)

    def num_wrong(self, nodes: Sequence[str], rail: int | None, moment: Moment) -> int:
        """Elements that a NIC with wrong bits spoils; of several measurements, each `every`-th."""
        wrong = 0
        nic = self._rail_nic(rail)
        for node in nodes if len(nodes) > 1 else ():
            for fault in self._of_node.get(node, ()):
                if fault.kind == "wrong_bits" and fault.is_active(moment.at_seconds) and _is_on(fault, nic):
                    wrong += self._happens(fault, moment, 1 / (fault.every or 1))
        return wrong

    def _bandwidth(
        self, num_nodes: int, ranks_per_node: int, rail: int | None, algorithm: str | None, nic: float
    ) -> float:
        """Busbw of a healthy group whose slowest NIC carries `nic`."""
        if num_nodes == 1:
            return self._inside(algorithm)
        if rail is not None or ranks_per_node == 1:
            return nic
        ranks = ranks_per_node or self._num_gpus
        ring = self._num_nics * nic
        if algorithm == ALLTOALL:
            total = num_nodes * ranks
            return min(self._inside(algorithm), ring / ranks * (total - 1) / (total - ranks))
        if algorithm == "Ring" or not self._part.has_fabric:
            return ring
        return min(self._inside(algorithm), ring / ranks * (num_nodes * ranks - 1) / (num_nodes - 1))

    def _inside(self, algorithm: str | None) -> float:
        """Busbw of the GPUs of one node: by NVLink, and where there is none by PCIe."""
        nvlink = self.interconnect.nvlink_bytes_per_second
        if nvlink is None:
            return practical_link_rate(LINK_BYTES_PER_SECOND[self._part.pcie_generation])
        has_nvls = self.interconnect.has_nvls and algorithm is None
        busbw = NVLS_BYTES_PER_SECOND if has_nvls else NVLINK_RING_BYTES_PER_SECOND
        return busbw * nvlink / HOPPER_NVLINK_BYTES_PER_SECOND

    def _rail_nic(self, rail: int | None) -> str | None:
        """The NIC beside the GPU of that index."""
        return None if rail is None else f"nic{rail * self._num_nics // self._num_gpus}"

    def _slowest_nic(self, node: str, rail: int | None, moment: Moment) -> float:
        """Rate of the slowest NIC in use, over a healthy one's; fewer NICs carry the more."""
        faults = [f for f in self._of_node[node] if f.is_active(moment.at_seconds)]
        names = [self._rail_nic(rail)] if rail is not None else [f"nic{index}" for index in range(self._num_nics)]
        rates = [self._nic_ratio(faults, name or "", moment) for name in names]
        up = [rate for rate in rates if rate > 0]
        return min(up) * len(up) / len(rates) if up else 0.0

    def _nic_ratio(self, faults: Iterable[Fault], name: str, moment: Moment) -> float:
        ratio = 1.0
        for fault in faults:
            if not _is_on(fault, name):
                continue
            if fault.kind == "link_down":
                return 0.0
            if fault.kind == "link_slow":
                ratio *= fault.factor or 1.0
            elif fault.kind == "pcie_narrow":
                ratio *= self._narrow(fault)
            elif fault.kind in _UNSTEADY:
                ratio *= self._unsteady(fault, moment)
        return ratio

    def _narrow(self, fault: Fault) -> float:
        """What a narrow slot leaves of a NIC."""
        generation = min(self._part.pcie_generation, fault.generation or self._part.pcie_generation)
        link = practical_link_rate(LINK_BYTES_PER_SECOND.get(generation, 4e9)) * (fault.width or 16) / 16
        return min(1.0, link / self._nic)

    def _path(self, nodes: Sequence[str], moment: Moment) -> float:
        ratio = 1.0
        members = set(nodes) if self._paths else set()
        for fault in self._paths:
            if fault.nodes <= members and fault.is_active(moment.at_seconds):
                ratio *= self._unsteady(fault, moment) if fault.kind in _UNSTEADY else fault.factor or 1.0
        return ratio

    def _unsteady(self, fault: Fault, moment: Moment) -> float:
        """Over a measurement: hit or not. `per_second` says how often a second it happens."""
        share = UNSTEADY_SHARE
        if fault.per_second is not None:
            share = min(1.0, fault.per_second * moment.lasts_seconds)
        return fault.factor or UNSTEADY_FACTOR if self._happens(fault, moment, share) else 1.0

    def _happens(self, fault: Fault, moment: Moment, share: float) -> bool:
        """In that share of moments, the same for the same moment."""
        if share >= 1:
            return True
        draw = chance(self._scenario, fault.on, moment.name)
        return draw < share

    def _is_down(self, node: str, rail: int | None, at_seconds: float) -> bool:
        faults = [f for f in self._of_node.get(node, ()) if f.kind == "link_down" and f.is_active(at_seconds)]
        if not faults:
            return False
        nic = self._rail_nic(rail)
        if nic is not None:
            return any(_is_on(fault, nic) for fault in faults)
        return any(f.unit is None for f in faults) or len({f.unit for f in faults}) >= self._num_nics


def chance(scenario: Scenario, who: str, what: str) -> float:
    """A number from 0 to 1, the same for the same arguments."""
    digest = blake2b(f"{scenario.seed}/{who}/{what}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _interconnect(scenario: Scenario, part: Part) -> Interconnect:
    fleet = scenario.fleet
    nvlink, has_switch = nvlink_of(find_part(part.product), fleet.gpus_per_node)
    return Interconnect(
        nvlink_bytes_per_second=nvlink,
        has_switch=has_switch,
        has_nvls=part.has_fabric and bool(has_switch),
        num_nics=fleet.nics_per_node or None,
        nic_bytes_per_second=PORT_BYTES_PER_SECOND[part.pcie_generation] if fleet.nics_per_node else None,
    )


def by_node(faults: Iterable[Fault]) -> Mapping[str, tuple[Fault, ...]]:
    """Faults of nodes and of their units, by node; those of paths are of neither end."""
    found: dict[str, tuple[Fault, ...]] = {}
    for fault in faults:
        for node in () if fault.unit == "path" else fault.nodes:
            found[node] = (*found.get(node, ()), fault)
    return found


def _is_of_network(fault: Fault) -> bool:
    is_of_nic = (fault.unit or "").startswith("nic")
    if fault.kind in ("wrong_bits", "pcie_narrow"):
        return is_of_nic
    return fault.kind in ("link_slow", "link_down", "partition", *_UNSTEADY) and (fault.unit is None or is_of_nic)


def _is_on(fault: Fault, nic: str | None) -> bool:
    """On that NIC; with None on any, since all are in use."""
    return nic is None or fault.unit is None or fault.unit == nic
