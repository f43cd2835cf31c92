"""What a result may depend on beside plan and data: versions, and how they changed or differ."""

import platform
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

PACKAGES = ("fryer", "torch", "megatron-core", "numpy", "tokenizers", "transformer-engine")
OF_NODE = frozenset({"driver", "gpu", "threads", "instructions"})
"""May differ between the nodes of one run; all else must not."""
_DRIVER = Path("/proc/driver/nvidia/version")
_NUMBER = re.compile(r"Kernel Module[^\n]*?\s(\d+\.[\d.]+)\s")


def versions(driver: Path = _DRIVER) -> dict[str, str]:
    """Of packages, Python, and on a GPU of CUDA, NCCL and the driver; what isn't there is left out. On a processor
    also what its sums depend on."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found | (_of_cuda(driver) if torch.cuda.is_available() else _of_processor())


def _of_processor() -> dict[str, str]:
    """Sums are split over threads, and over as many lanes as its instructions have."""
    return {"threads": str(torch.get_num_threads()), "instructions": torch.backends.cpu.get_cpu_capability()}


def _of_cuda(driver: Path) -> dict[str, str]:
    found = {
        "cuda": str(torch.version.cuda),
        "nccl": ".".join(map(str, torch.cuda.nccl.version())),  # type: ignore[no-untyped-call]
        "gpu": torch.cuda.get_device_name(),
    }
    number = read_driver(driver)
    return found | ({"driver": number} if number else {})


def read_driver(file: Path) -> str | None:
    """Version of NVIDIA's kernel module as it tells it itself; None where it doesn't."""
    try:
        found = _NUMBER.search(file.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None
    return found[1] if found else None


def diff_versions(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """One sentence a change. An upgrade by accident has changed a run's course before (OPT-175B's logbook)."""
    return [
        f"{name} {old.get(name, 'absent')} → {new.get(name, 'absent')}: results may differ in the last bits"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


def skew_of(by_rank: Sequence[Mapping[str, str]]) -> str:
    """Why these ranks must not train together, in one sentence: another version than rank 0's. Empty: they may."""
    first = by_rank[0]
    for name in sorted(set().union(*by_rank) - OF_NODE):
        other = [rank for rank, found in enumerate(by_rank) if found.get(name) != first.get(name)]
        if other:
            theirs = by_rank[other[0]].get(name, "absent")
            return (
                f"rank 0 has {name} {first.get(name, 'absent')} and {_ranks(other)} {theirs}; "
                f"install the same on all nodes"
            )
    return ""


def _ranks(ranks: Sequence[int]) -> str:
    """``rank 3`` or ``rank 3 and 5 others``."""
    if len(ranks) == 1:
        return f"rank {ranks[0]}"
    return f"rank {ranks[0]} and {len(ranks) - 1} other{'s' if len(ranks) > 2 else ''}"
