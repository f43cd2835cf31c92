"""The scenario file: hardware and its faults over time. Read whole, checked whole, then only data.

One format drives the simulated NVML, the simulated devices and the drills. A file has `seed`, `speed`, `description`,
`[fleet]`, any number of `[[fault]]`, and `[expect]`: the verdict that it must lead to.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from ClusterShell.NodeSet import NodeSet, NodeSetException

from watchdog.simulator.complaints import ScenarioComplaints
from watchdog.simulator.fault import Fault
from watchdog.simulator.fault_file import Place, path_ends, read_fault
from watchdog.simulator.kinds import Range
from watchdog.simulator.parts import PARTS
from watchdog.vocabulary.errors import UsageError, nearest
from watchdog.vocabulary.verdicts import Verdict

READY = Path(__file__).with_name("scenarios")
"""Where the ready scenarios are."""

_TOP: Mapping[str, Range] = {
    "seed": Range(type=int, low=0),
    "speed": Range(type=float, low=0, above=True, high=10_000),
    "description": Range(type=str),
}
_FLEET: Mapping[str, Range] = {
    "nodes": Range(type=str),
    "part": Range(type=str, words=tuple(PARTS)),
    "gpus_per_node": Range(type=int, low=1, high=64),
    "nics_per_node": Range(type=int, low=0, high=64),
    "noise": Range(type=float, low=0, high=0.5),
}
_EXPECT = ("verdict", "devices", "codes", "nodes", "links")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """The hardware of the scenario, all nodes alike."""

    nodes: str
    """A ClusterShell node set."""
    part: str = "H100-SXM5-80GB"
    """A key of `PARTS`."""
    gpus_per_node: int = 8
    nics_per_node: int = 8
    noise: float = 0.02
    """Relative standard deviation of healthy measurements."""

    @property
    def node_names(self) -> tuple[str, ...]:
        """Every node, in node set order."""
        return tuple(NodeSet(self.nodes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Expect:
    """What a run over the scenario must conclude."""

    verdict: Verdict
    devices: Mapping[str, Verdict] = field(default_factory=dict)
    """By ``gpu3``, or ``node0017/gpu3`` where the fleet has several nodes."""
    codes: tuple[str, ...] = ()
    """Reason codes that must be among the reasons of devices, nodes and links."""
    nodes: Mapping[str, Verdict] = field(default_factory=dict)
    """Of a whole fleet: the nodes that do not pass. All others must."""
    links: Mapping[str, Verdict] = field(default_factory=dict)
    """Of a whole fleet: by ``node0003-node0007``, the paths that are to blame and no node. No others may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One scenario file."""

    seed: int
    fleet: Fleet
    faults: tuple[Fault, ...] = ()
    speed: float = 1.0
    """Scenario seconds in a real second."""
    description: str = ""
    expect: Expect | None = None

    def faults_on(self, node: str, unit: str | None, at_seconds: float) -> tuple[Fault, ...]:
        """Faults in force at that time on this unit (``gpu3``) or on its whole node, in the file's order."""
        return tuple(f for f in self.all_faults_on(node, unit) if f.is_active(at_seconds))

    def all_faults_on(self, node: str, unit: str | None) -> tuple[Fault, ...]:
        """Faults at any time on this unit or on its whole node, in the file's order."""
        return tuple(f for f in self.faults if f.is_on(node, unit))


def ready_names() -> tuple[str, ...]:
    """Names of the ready scenarios, sorted."""
    return tuple(sorted(path.stem for path in READY.glob("*.toml")))


def is_of_fleet(name: str) -> bool:
    """Whether a ready scenario is of many nodes measured together, and not of one node's burns."""
    return name.startswith("fleet_")


def scenario_path(path_or_name: str) -> Path:
    """The file meant by a path, or by the name of a ready scenario (no ``/`` and no ``.toml``); raises `UsageError`."""
    if "/" in path_or_name or path_or_name.endswith(".toml"):
        return Path(path_or_name)
    if path_or_name not in ready_names():
        raise UsageError(
            f"no ready scenario {path_or_name!r}{nearest(path_or_name, ready_names())}"
            "; a file of your own is written with its path, ending in .toml"
        )
    return READY / f"{path_or_name}.toml"


def load(path_or_name: str) -> Scenario:
    """Read and check a scenario; raises one `UsageError` with everything that is wrong in it."""
    path = scenario_path(path_or_name)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: can't be read as a scenario: {error}") from error
    return parse(text, file=str(path))


@lru_cache(maxsize=16)
def parse(text: str, *, file: str) -> Scenario:
    """The scenario in `text`; `file` is named in the `UsageError` that says everything wrong with it."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file}: not TOML: {error}") from error
    complaints = ScenarioComplaints(file)
    complaints.unknown("", document, (*_TOP, "fleet", "fault", "expect"))
    top = _read(document, _TOP, "", complaints)
    fleet = _fleet(document, complaints)
    place = _place(fleet)
    faults = [
        read_fault(f"fault[{index}]", complaints.table(f"fault[{index}]", table), place, complaints)
        for index, table in enumerate(_list(document.get("fault", []), complaints), start=1)
    ]
    expect = _expect(document, place, complaints)
    complaints.raise_if_any()
    return Scenario(
        seed=int(str(top.get("seed", 0))),
        speed=float(str(top.get("speed", 1.0))),
        description=str(top.get("description", "")).strip(),
        fleet=fleet,
        faults=tuple(f for f in faults if f is not None),
        expect=expect,
    )


def _read(
    table: Mapping[str, object], allowed: Mapping[str, Range], where: str, complaints: ScenarioComplaints
) -> dict[str, object]:
    prefix = f"{where}." if where else ""
    values = {key: complaints.value(prefix + key, table[key], span) for key, span in allowed.items() if key in table}
    return {key: value for key, value in values.items() if value is not None}


def _list(value: object, complaints: ScenarioComplaints) -> list[object]:
    if isinstance(value, list):
        return value
    complaints.add("fault", value, "[[fault]] tables, with two brackets")
    return []


def _fleet(document: Mapping[str, object], complaints: ScenarioComplaints) -> Fleet:
    if "fleet" not in document:
        complaints.missing("fleet", 'a table [fleet] with nodes = "node[001-008]"')
        return Fleet(nodes="")
    table = complaints.table("fleet", document["fleet"])
    complaints.unknown("fleet", table, _FLEET)
    values = _read(table, _FLEET, "fleet", complaints)
    if "nodes" not in table:
        complaints.missing("fleet.nodes", 'a node set such as "node[001-008]"')
    try:
        if "nodes" in values and not NodeSet(str(values["nodes"])):
            complaints.add("fleet.nodes", values.pop("nodes"), "a node set with at least one node")
    except NodeSetException as error:
        complaints.add("fleet.nodes", values.pop("nodes"), f'a node set such as "node[001-008]" ({error})')
    return Fleet(**{"nodes": "", **values})  # type: ignore[arg-type]


def _place(fleet: Fleet) -> Place:
    return Place(
        nodes=frozenset(fleet.node_names) if fleet.nodes else None,
        units={"gpu": fleet.gpus_per_node, "nic": fleet.nics_per_node},
    )


def _expect(document: Mapping[str, object], place: Place, complaints: ScenarioComplaints) -> Expect | None:
    if "expect" not in document:
        return None
    table = complaints.table("expect", document["expect"])
    complaints.unknown("expect", table, _EXPECT)
    verdict = _verdict("expect.verdict", table.get("verdict"), complaints)
    devices = complaints.table("expect.devices", table.get("devices", {}))
    known = {f"gpu{index}" for index in range(place.units["gpu"])}
    complaints.unknown("expect.devices", (name.rpartition("/")[2] for name in devices), known)
    nodes = complaints.table("expect.nodes", table.get("nodes", {}))
    links = complaints.table("expect.links", table.get("links", {}))
    if place.nodes is not None:
        complaints.unknown("expect.nodes", nodes, sorted(place.nodes))
        for path in links:
            if path_ends(path, place.nodes) is None:
                complaints.add("expect.links", path, "paths between two nodes of the fleet, node0003-node0007")
    codes = table.get("codes", [])
    if not isinstance(codes, list) or not all(isinstance(code, str) for code in codes):
        complaints.add("expect.codes", codes, "a list of reason codes")
        codes = []
    if verdict is None:
        return None
    return Expect(
        verdict=verdict,
        devices=_verdicts("expect.devices", devices, complaints),
        codes=tuple(codes),
        nodes=_verdicts("expect.nodes", nodes, complaints),
        links=_verdicts("expect.links", links, complaints),
    )


def _verdicts(key: str, table: Mapping[str, object], complaints: ScenarioComplaints) -> Mapping[str, Verdict]:
    found = {name: _verdict(f"{key}.{name}", value, complaints) for name, value in table.items()}
    return MappingProxyType({name: verdict for name, verdict in found.items() if verdict is not None})


def _verdict(key: str, value: object, complaints: ScenarioComplaints) -> Verdict | None:
    words = [verdict.value for verdict in Verdict]
    if value is None:
        complaints.missing(key, f"one of {', '.join(words)}")
    elif value not in words:
        complaints.add(key, value, ", ".join(words) + nearest(str(value), words))
    else:
        return Verdict(str(value))
    return None
