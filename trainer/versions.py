"""What a result may depend on beside plan and data: versions, and how they changed."""

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

import torch

PACKAGES = ("fryer", "torch", "megatron-core", "numpy", "tokenizers", "transformer-engine")


def versions() -> dict[str, str]:
    """Of packages, Python and what torch was built with; packages that aren't there are left out."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    if torch.version.cuda:
        found["cuda"] = torch.version.cuda
        found["gpu"] = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return found


def diff_versions(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """One sentence a change. An upgrade by accident has changed a run's course before (OPT-175B's logbook)."""
    return [
        f"{name} {old.get(name, 'absent')} → {new.get(name, 'absent')}: results may differ in the last bits"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]
