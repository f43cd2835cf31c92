"""Rows as the JSON of nccl-tests, version 3 of it, so that what people have reads ours too. Pure.

Source: nccl-tests 2.19.6, src/util.cu. Units are its own: microseconds and GB/s. It writes true and false as strings,
and the root padded to six characters.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fryer.collectives.busbw import extent, size_bytes
from fryer.collectives.cases import CollectiveRow
from fryer.collectives.table import RankDevice, average_busbw, lines_of, redop_and_root

VERSION = 3


def nccl_document(
    rows: Sequence[CollectiveRow],
    *,
    devices: Sequence[RankDevice] = (),
    args: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    start_time: str = "",
    end_time: str = "",
    nccl_version: int = 0,
    errors: Sequence[str] = (),
) -> dict[str, Any]:
    """`rows` of one operation.

    Times are ``YYYY-MM-DD HH:MM:SS``, `nccl_version` is NCCL's own number (``22803``); `args` name the operation if
    none are given.
    """
    num_bad = sum(row.num_wrong > 0 for row in rows)
    return {
        "version": VERSION,
        "start_time": start_time,
        "args": list(args) or [f"{row.case.operation}_perf" for row in rows[:1]],
        "env": [f"{name}={value}" for name, value in (env or {}).items()],
        "nccl_version": nccl_version,
        "config": _config(rows, devices),
        "results": [
            _preamble(line.any) | {"out_of_place": _body(line.out_of_place), "in_place": _body(line.in_place)}
            for line in lines_of(rows)
        ],
        "out_of_bounds": {"count": num_bad, "okay": _word(num_bad == 0)},
        "average_bus_bandwidth": {"bandwidth": average_busbw(rows) / 1e9, "okay": "unchecked"},
        "errors": list(errors),
        "end_time": end_time,
    }


def _config(rows: Sequence[CollectiveRow], devices: Sequence[RankDevice]) -> dict[str, Any]:
    every = sorted({row.case.size_bytes for row in rows})
    return {
        "nthreads": 1,
        "ngpus": 1,
        "minimum_bytes": every[0] if every else 0,
        "maximum_bytes": every[-1] if every else 0,
        "step_factor": every[1] // every[0] if len(every) > 1 else 1,
        "warmup_iters": max((row.case.warmup for row in rows), default=0),
        "iterations": max((row.case.iterations for row in rows), default=0),
        "aggregated_iterations": 1,
        "validation": 1,
        "graph": 0,
        "blocking_collectives": _word(False),
        "parallel_init": _word(False),
        "devices": [
            {
                "rank": device.rank,
                "group": 0,
                "pid": device.pid,
                "hostname": device.host,
                "device": device.index,
                "device_hex": device.pci,
                "device_info": device.name,
            }
            for device in devices
        ],
    }


def _preamble(row: CollectiveRow) -> dict[str, Any]:
    redop, root = redop_and_root(row.case.operation)
    return {
        "size": size_bytes(row.case, row.num_ranks),
        "count": extent(row.case, row.num_ranks).count,
        "type": row.case.dtype,
        "redop": redop,
        "root": f"{root:6d}",
    }


def _body(row: CollectiveRow | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return {
        "time": row.seconds * 1e6,
        "alg_bw": row.algbw_bytes_per_second / 1e9,
        "bus_bw": row.busbw_bytes_per_second / 1e9,
        "nwrong": float(row.num_wrong),
    }


def _word(value: bool) -> str:
    return "true" if value else "false"
