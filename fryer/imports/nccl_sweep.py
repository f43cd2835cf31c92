"""all_reduce over growing numbers of nodes, as plots keep it: ``data.nodes_N`` lists message size and bus bandwidth.

Sizes are bytes, bandwidths GB/s. Nothing in it says whether results were verified.
"""

import re

from fryer.imports.facts import CollectiveFigure, CollectiveRun, Facts, Malformed
from fryer.imports.json_text import child, load, number, objects, whole, words

_GIGA = 1e9
_KEY = re.compile(r"nodes_(\d{1,6})")
_PART = re.compile(r"\((.+?) GPUs\)")


def recognise(text: str) -> bool:
    """True for such a sweep, whole or cut off."""
    return '"messageSize"' in text or ('"node_counts"' in text and "NCCL" in text)


def parse(text: str) -> Facts:
    """A run for each number of nodes, in rising order."""
    root = load(text)
    data, metadata = child(root, "data"), child(root, "metadata")
    if not isinstance(data, dict):
        raise Malformed("it has no data: the curves by number of nodes are missing")
    counts = {int(found[1]): key for key in data if (found := _KEY.fullmatch(key))}
    title = words(child(metadata, "title"))
    part = _PART.search(title)
    runs = tuple(
        CollectiveRun(
            name=counts[count],
            operation="all_reduce" if "all-reduce" in title.lower() else None,
            num_ranks=None,
            num_nodes=count,
            parts=(f"NVIDIA {part[1].removeprefix('NVIDIA ')}",) if part else (),
            figures=_figures(data[counts[count]]),
            num_out_of_bounds=None,
        )
        for count in sorted(counts)
    )
    return Facts(runs=runs, missing=tuple(_missing(metadata, runs)))


def _figures(points: object) -> tuple[CollectiveFigure, ...]:
    return tuple(
        CollectiveFigure(
            size_bytes=size,
            is_in_place=False,
            seconds=None,
            algbw_bytes_per_second=None,
            busbw_bytes_per_second=rate * _GIGA,
            num_wrong=None,
        )
        for point in objects(points)
        if (size := whole(point.get("messageSize"))) is not None
        and (rate := number(point.get("bandwidth"))) is not None
    )


def _missing(metadata: object, runs: tuple[CollectiveRun, ...]) -> list[str]:
    announced = child(metadata, "node_counts")
    here = {run.num_nodes for run in runs}
    lacking = [str(count) for count in announced if count not in here] if isinstance(announced, list) else []
    missing = [f"the curves for {', '.join(lacking)} nodes are missing"] if lacking else []
    longest = max((len(run.figures) for run in runs), default=0)
    missing += [
        f"{run.name}: {len(run.figures)} sizes, where others have {longest}"
        for run in runs
        if len(run.figures) < longest
    ]
    return missing or ([] if longest else ["no figure is there"])
