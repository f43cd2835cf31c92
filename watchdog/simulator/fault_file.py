"""Read one `[[fault]]` table: every key against the kind's row in `KINDS`. Complains, never raises."""

import re
from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass
from typing import Any

from ClusterShell.NodeSet import NodeSet, NodeSetException

from watchdog.simulator.complaints import ScenarioComplaints
from watchdog.simulator.fault import Fault
from watchdog.simulator.kinds import EVERY_FAULT, KINDS, PATH, RANK, RUN, VALUES, Kind
from watchdog.vocabulary.errors import nearest

_RANK = re.compile(r"rank(0|[1-9]\d*)")
_UNIT = re.compile(r"(gpu|nic)(0|[1-9]\d*)")
_ON = "node, node/gpuN, node/nicN, node-node, rankN or run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The fleet as far as `on` has to fit it; None where the fleet itself was wrong, and then not checked."""

    nodes: Set[str] | None
    units: Mapping[str, int]
    """Units of a node: ``{"gpu": 8, "nic": 8}``."""


def read_fault(key: str, table: Mapping[str, object], place: Place, complaints: ScenarioComplaints) -> Fault | None:
    """The fault in `table`, or None where it can't be told; `key` is ``fault[2]`` in complaints."""
    kind_name = table.get("kind")
    if "kind" not in table:
        complaints.missing(f"{key}.kind", f"one of {', '.join(KINDS)}")
    elif not isinstance(kind_name, str) or kind_name not in KINDS:
        complaints.add(f"{key}.kind", kind_name, "a known kind" + nearest(str(kind_name), KINDS))
    kind = KINDS.get(kind_name) if isinstance(kind_name, str) else None
    complaints.unknown(key, table, EVERY_FAULT + (kind.keys if kind else tuple(VALUES)))
    values = _values(key, table, kind, complaints)
    values.update(_when(key, table, complaints))
    target = _target(f"{key}.on", table, kind, place, complaints)
    if kind is None or target is None:
        return None
    nodes, unit = target
    return Fault(on=str(table["on"]), kind=str(kind_name), nodes=nodes, unit=unit, **values)


def _values(key: str, table: Mapping[str, object], kind: Kind | None, complaints: ScenarioComplaints) -> dict[str, Any]:
    values: dict[str, Any] = {
        name: complaints.value(f"{key}.{name}", table[name], allowed)
        for name, allowed in VALUES.items()
        if name in table and (kind is None or name in kind.keys)
    }
    if kind is None:
        return values
    for name in kind.needs:
        if name not in table:
            complaints.missing(f"{key}.{name}", str(VALUES[name]))
    if kind.one_of and not any(name in table for name in kind.one_of):
        complaints.missing(" or ".join(f"{key}.{name}" for name in kind.one_of), "at least one of them")
    if table.get("kind") in _LOWERS and isinstance(values.get("factor"), float) and values["factor"] > 1:
        complaints.add(f"{key}.factor", values["factor"], "a number above 0 and at most 1")
    return values


_LOWERS = ("slow", "throttle", "power_brake", "hot", "link_slow", "link_flap", "intermittent")
"""Kinds whose factor can only lower a rate."""


def _when(key: str, table: Mapping[str, object], complaints: ScenarioComplaints) -> dict[str, Any]:
    when: dict[str, Any] = {}
    if "at" in table and "step" in table:
        complaints.add(f"{key}.step", table["step"], "either at or step, not both")
    if "at" in table:
        when["at_seconds"] = complaints.duration(f"{key}.at", table["at"]) or 0.0
    if "for" in table:
        when["for_seconds"] = complaints.duration(f"{key}.for", table["for"])
    if "step" in table:
        step = table["step"]
        if isinstance(step, int) and not isinstance(step, bool) and step >= 0:
            when["step"] = step
        else:
            complaints.add(f"{key}.step", step, "a whole number of at least 0")
    return when


def _target(
    key: str, table: Mapping[str, object], kind: Kind | None, place: Place, complaints: ScenarioComplaints
) -> tuple[frozenset[str], str | None] | None:
    on = table.get("on")
    if "on" not in table:
        complaints.missing(key, _ON)
        return None
    if not isinstance(on, str) or not on.strip():
        complaints.add(key, on, _ON)
        return None
    if on == RUN or _RANK.fullmatch(on):
        _fits(key, on, RUN if on == RUN else RANK, kind, complaints)
        return frozenset(), on
    if path := path_ends(on, place.nodes or ()):
        _fits(key, on, PATH, kind, complaints)
        return path, PATH
    node_text, slash, unit_text = on.partition("/")
    unit = _UNIT.fullmatch(unit_text)
    if slash and unit is None:
        complaints.add(key, on, _ON)
        return None
    _fits(key, on, unit[1] if unit else "node", kind, complaints)
    if unit and int(unit[2]) >= place.units.get(unit[1], 0):
        complaints.add(key, on, f"{unit[1]} numbers below {place.units.get(unit[1], 0)}, as fleet.{unit[1]}s_per_node")
    nodes = _nodes(key, node_text, place, complaints)
    return (nodes, unit_text or None) if nodes else None


def path_ends(on: str, nodes: Collection[str]) -> frozenset[str] | None:
    """The two nodes of ``node0003-node0007``, or None where it is no path between two of `nodes`.

    Names may have dashes of their own.
    """
    words = on.split("-")
    for length in range(1, len(words)):
        ends = ("-".join(words[:length]), "-".join(words[length:]))
        if ends[0] != ends[1] and all(end in nodes for end in ends):
            return frozenset(ends)
    return None


def _nodes(key: str, text: str, place: Place, complaints: ScenarioComplaints) -> frozenset[str] | None:
    try:
        nodes = frozenset(NodeSet(text))
    except NodeSetException as error:
        complaints.add(key, text, f"a node set of the fleet ({error})")
        return None
    strangers = sorted(nodes - place.nodes) if place.nodes is not None else []
    if strangers and place.nodes is not None:
        complaints.add(key, text, "nodes of the fleet" + nearest(strangers[0], sorted(place.nodes)[:1000]))
    return nodes


def _fits(key: str, on: str, unit: str, kind: Kind | None, complaints: ScenarioComplaints) -> None:
    if kind is not None and unit not in kind.units:
        complaints.add(key, on, f"for this kind: {' or '.join(kind.units)}")
