"""Which devices this node has, who they are, and with which software they run. It loads nothing and judges nothing.

NVML identities ──┐
CUDA's own list ──┼──▶ find_gpus ──▶ devices      no GPU at all ──▶ one device for each processor socket
sysfs: PCIe path ─┘
"""

import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from uuid import UUID

from fryer.cuda_order import CudaEntry, list_cuda
from fryer.evidence import DeviceInfo
from fryer.pci_path import read_pci_path
from fryer.sockets import Socket, parse_cpulist, read_cpu_part, read_isa, read_sockets
from watchdog.collectors.readings import GpuIdentity
from watchdog.vocabulary.errors import SourceFailed, SourceMissing

_DRIVER = re.compile(r"Kernel Module.*?\s(\d+\.\d+(?:\.\d+)?)\s")
_TORCH_CUDA = re.compile(r"^cuda\b[^=]*=\s*'([^']+)'", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDevice:
    """A device and how a process gets at it."""

    info: DeviceInfo
    processors: tuple[int, ...] = ()
    """Those of the socket, or those nearest to the GPU, as far as this process may use them; empty when unknown."""
    cuda_ordinal: int | None = None
    """None for a processor, and for a GPU that NVML knows and CUDA does not show: burning it is an ERROR."""


def discover(node: str, identities: Sequence[GpuIdentity] | None, root: Path = Path("/")) -> tuple[FoundDevice, ...]:
    """The GPUs of this node, or its processor sockets where it has none (or CUDA_VISIBLE_DEVICES hides them all).

    `identities` is what NVML says, None where there is no NVML. A GPU that CUDA cannot show is returned all the same
    unless the user hid it. Blocks up to a minute on a node whose GPUs do not answer.
    """
    try:
        entries: tuple[CudaEntry, ...] | None = list_cuda()
    except (SourceMissing, SourceFailed):
        entries = None  # each GPU that NVML knows gets its own error when a worker opens it
    is_limited = os.environ.get("CUDA_VISIBLE_DEVICES") is not None
    gpus = find_gpus(identities or (), entries, is_limited=is_limited)
    if gpus:
        return tuple(_with_path(gpu, root) for gpu in gpus)
    part = read_cpu_part(root)
    return tuple(_cpu(node, position, socket, part, root) for position, socket in enumerate(read_sockets(root=root)))


def find_gpus(
    identities: Sequence[GpuIdentity], entries: Sequence[CudaEntry] | None, *, is_limited: bool
) -> tuple[FoundDevice, ...]:
    """Join what NVML and CUDA say, by UUID: named by NVML index, in that order, with CUDA's ordinal.

    `entries` is None where CUDA could not be asked. `is_limited`: the user chose among the GPUs, so those that CUDA
    does not show are left out on purpose. A slice (MIG) is found by the PCI address of its GPU, and has its own UUID.
    """
    found = []
    for identity in identities:
        ordinals = [ordinal for ordinal, entry in enumerate(entries or ()) if _is_of(entry, identity)]
        found += [
            _gpu(identity, entries[ordinal], ordinal, place)
            for place, ordinal in enumerate(ordinals)
            if entries is not None
        ]
        if not ordinals and (entries is None or not is_limited):
            found.append(_gpu(identity, None, None, 0))
    known = {gpu.cuda_ordinal for gpu in found}
    unknown = [(ordinal, entry) for ordinal, entry in enumerate(entries or ()) if ordinal not in known]
    return (*found, *(_unnamed_gpu(entry, ordinal) for ordinal, entry in unknown))


def identity_info(identity: GpuIdentity, kind: str = "cuda") -> DeviceInfo:
    """A GPU as NVML describes it; its name is its NVML index, as nvidia-smi counts."""
    return DeviceInfo(
        name=f"gpu{identity.index}",
        kind=kind,
        part=identity.name,
        uuid=identity.uuid,
        serial=identity.serial,
        pci_bus_id=identity.pci_bus_id,
        vbios=identity.vbios,
        driver=identity.driver,
        memory_bytes=identity.memory_bytes,
        clock_max_hertz=identity.sm_clock_max_hertz,
    )


def versions(root: Path = Path("/")) -> dict[str, str]:
    """``fryer torch cuda python kernel driver``, those that are there. torch is looked at and not imported."""
    found = {
        "fryer": _package("fryer"),
        "torch": _package("torch"),
        "cuda": _torch_cuda(),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "driver": _match(_DRIVER, root / "proc/driver/nvidia/version"),
    }
    return {name: value for name, value in found.items() if value}


def _is_of(entry: CudaEntry, identity: GpuIdentity) -> bool:
    return f"GPU-{entry.uuid}" == identity.uuid or entry.pci_bus_id == identity.pci_bus_id


def _gpu(identity: GpuIdentity, entry: CudaEntry | None, ordinal: int | None, place: int) -> FoundDevice:
    info = identity_info(identity)
    if entry and f"GPU-{entry.uuid}" != identity.uuid:
        info = replace(
            info,
            name=f"{info.name}mig{place}",
            part=entry.name,
            uuid=f"MIG-{entry.uuid}",
            memory_bytes=entry.memory_bytes,
        )
    return FoundDevice(info=info, cuda_ordinal=ordinal)


def _unnamed_gpu(entry: CudaEntry, ordinal: int) -> FoundDevice:
    """A GPU without NVML, as in a container that lacks its library."""
    return FoundDevice(
        cuda_ordinal=ordinal,
        info=DeviceInfo(
            name=f"gpu{ordinal}",
            kind="cuda",
            part=entry.name,
            uuid=f"GPU-{entry.uuid}",
            pci_bus_id=entry.pci_bus_id,
            memory_bytes=entry.memory_bytes,
        ),
    )


def _with_path(gpu: FoundDevice, root: Path) -> FoundDevice:
    """Add the slowest link up to the root port, and the processors nearest to the GPU."""
    if gpu.info.pci_bus_id is None:
        return gpu
    slowest = read_pci_path(gpu.info.pci_bus_id, root / "sys").capability
    info = replace(gpu.info, link=str(slowest), link_bytes_per_second=slowest.bytes_per_second) if slowest else gpu.info
    local = _match(re.compile(r"(\S+)"), root / f"sys/bus/pci/devices/{gpu.info.pci_bus_id}/local_cpulist") or ""
    allowed = os.sched_getaffinity(0)
    return replace(gpu, info=info, processors=tuple(p for p in parse_cpulist(local) if p in allowed))


def _cpu(node: str, position: int, socket: Socket, part: str, root: Path) -> FoundDevice:
    return FoundDevice(
        processors=socket.processors,
        info=DeviceInfo(
            name=f"cpu{position}",
            kind="cpu",
            part=part,
            uuid=_cpu_uuid(node, socket.package, root),
            memory_bytes=socket.memory_bytes,
            cores=socket.cores,
            num_processors=len(socket.processors),
            isa=read_isa(root),
        ),
    )


def _cpu_uuid(node: str, package: int, root: Path) -> str:
    """Stable for a machine and socket. A machine id must not be shown as it is (machine-id(5)), so it is hashed.

    A machine without one is known by its node name.
    """
    machine = _match(re.compile(r"([0-9a-f]{32})"), root / "etc/machine-id") or f"node {node}"
    digest = sha256(f"fryer socket {package} of {machine}".encode()).digest()
    return f"CPU-{UUID(bytes=digest[:16])}"


def _package(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _torch_cuda() -> str | None:
    """The CUDA version that torch was built for, out of its version.py; importing torch takes seconds."""
    spec = find_spec("torch")
    if spec is None or not spec.submodule_search_locations:
        return None
    return _match(_TORCH_CUDA, Path(spec.submodule_search_locations[0]) / "version.py")


def _match(pattern: re.Pattern[str], path: Path) -> str | None:
    try:
        found = pattern.search(path.read_text())
    except OSError:
        return None
    return found[1] if found else None
