"""nccl-tests' JSON, versions 2 and 3, and the sweep of one collective over node counts that plots are drawn from."""

from collections.abc import Mapping
from pathlib import PurePosixPath

from fryer.imports.facts import CollectiveFigure, CollectiveRun, Facts, Malformed
from fryer.imports.json_text import child, load, number, objects, whole, words
from fryer.imports.nccl_operation import operation_in, operation_of_figures

_GIGA, _MICRO = 1e9, 1e-6


def recognise(text: str) -> bool:
    """True for the JSON of nccl-tests (``--json``), whole or cut off."""
    head = text[:200_000]
    return '"nccl_version"' in head or ('"out_of_bounds"' in text and '"out_of_place"' in text)


def parse(text: str) -> Facts:
    """The file's one run."""
    root = load(text)
    if not isinstance(root, dict):
        raise Malformed("its JSON is no object, as that of nccl-tests is")
    config = child(root, "config")
    devices = list(objects(child(config, "devices")))
    named = operation_in(PurePosixPath(_first(root.get("args"))).name)
    figures = [
        figure
        for row in objects(root.get("results"))
        for key in ("out_of_place", "in_place")
        if (figure := _figure(row, key))
    ]
    here = (whole(child(config, "ngpus")) or 1) * (whole(child(config, "nthreads")) or 1)
    ranks = max(len(devices), here) if isinstance(config, dict) else None
    errors = root.get("errors")
    run = CollectiveRun(
        name=f"{named}_perf" if named else "nccl-tests",
        operation=named or operation_of_figures(figures, ranks),
        num_ranks=ranks,
        num_nodes=len({words(device.get("hostname")) for device in devices}) or None,
        parts=tuple(dict.fromkeys(part for device in devices if (part := words(device.get("device_info"))))),
        figures=tuple(figures),
        num_out_of_bounds=_out_of_bounds(root),
        is_below_own_limit=child(root.get("average_bus_bandwidth"), "okay") in ("false", False),
    )
    told = [each for each in errors if isinstance(each, str) and each] if isinstance(errors, list) else []
    return Facts(
        runs=(run,),
        missing=tuple(_missing(root, figures)),
        failures=tuple(f"the tool says: {each[:200]}" for each in told[:3]),
    )


def _first(args: object) -> str:
    return words(args[0]) if isinstance(args, list) and args else ""


def _figure(row: Mapping[str, object], key: str) -> CollectiveFigure | None:
    half, size = row.get(key), whole(row.get("size"))
    busbw = number(child(half, "bus_bw"))
    if size is None or busbw is None:
        return None
    times = number(child(half, "time")) or number(child(half, "cpu_time"))
    algbw = number(child(half, "alg_bw"))
    return CollectiveFigure(
        size_bytes=size,
        is_in_place=key == "in_place",
        seconds=None if times is None else times * _MICRO,
        algbw_bytes_per_second=None if algbw is None else algbw * _GIGA,
        busbw_bytes_per_second=busbw * _GIGA,
        num_wrong=number(child(half, "nwrong")),
    )


def _out_of_bounds(root: Mapping[str, object]) -> int | None:
    bounds = root.get("out_of_bounds")
    count = whole(child(bounds, "count"))
    if child(bounds, "okay") in ("false", False):
        return max(1, count or 0)
    return count


def _missing(root: Mapping[str, object], figures: list[CollectiveFigure]) -> list[str]:
    missing = []
    if not figures:
        missing.append("no figure of its results is there")
    if not isinstance(root.get("config"), dict):
        missing.append("its config, which says what ran and on which GPUs, is missing")
    if whole(child(root.get("out_of_bounds"), "count")) is None:
        missing.append("out_of_bounds, which ends the results of a run, is missing")
    if not root.get("end_time"):
        missing.append("end_time, which a run that ended writes last, is missing")
    rows = objects(root.get("results"))
    broken = sum(1 for row in rows if not any(_figure(row, key) for key in ("out_of_place", "in_place")))
    if broken:
        missing.append(f"{broken} of its results have no bandwidth")
    return missing
