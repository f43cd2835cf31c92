"""PCIe links of GPUs, network adapters, NVSwitches and NVMe drives: what they run at, what they could, and errors.

A link can do what both its ends can, so the highest speed and width are the lesser of the device's and of the port
above it: a drive in a narrow slot is no fault. GPUs lower their speed when idle: judge it under load. Errors are those
of AER (Linux, Documentation/PCI/pcieaer-howto.rst), of both ends.

A GPU's subject is its UUID as the driver's /proc files tell it; one without (no driver yet) is counted, and has no row.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from watchdog.collectors import Collected
from watchdog.collectors.sysfs import folders, text, whole
from watchdog.vocabulary.errors import SourceFailed, SourceMissing
from watchdog.vocabulary.samples import Row
from watchdog.vocabulary.subjects import Kind, Subject

GENERATIONS = {"2.5": 1, "5.0": 2, "8.0": 3, "16.0": 4, "32.0": 5, "64.0": 6}
"""GT/s of a lane -> PCIe generation."""
_MOST_LANES = 32
"""A register that answers with ones (a device off its bus) reads as a width of 63."""
_NVIDIA = 0x10DE
_AER = ("correctable", "nonfatal", "fatal")
_BUS_ID = re.compile(r"[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`[watchdog.collectors.pcie]`."""

    sysfs: Path = Path("/sys")
    procfs: Path = Path("/proc")


def count_gpus(sysfs: Path = Path("/sys")) -> int:
    """NVIDIA GPUs on the PCI bus, with or without a driver."""
    return sum(kind == "gpu" for kind, _ in devices_of(sysfs))


def devices_of(sysfs: Path) -> Iterator[tuple[Kind, Path]]:
    """Every device whose link matters; a virtual function has no link of its own."""
    for folder in folders(sysfs / "bus/pci/devices"):
        kind = _kind(whole(folder / "class"), whole(folder / "vendor"))
        if kind is not None and not (folder / "physfn").exists():
            yield kind, folder


class Pcie:
    """All devices of this node whose link matters to training."""

    def __init__(self, node: str, settings: Settings | None = None) -> None:
        """Nothing is read before `collect`."""
        self._node = Subject(node)
        self._settings = settings or Settings()
        self._told: dict[Subject, dict[str, object]] = {}
        self._had_devices = False

    def collect(self, now: float) -> Collected:
        """A row a device and one of the node. Raises `SourceMissing` without such a device, `SourceFailed` later."""
        devices = list(devices_of(self._settings.sysfs))
        if not devices:
            where = self._settings.sysfs / "bus/pci/devices"
            if not self._had_devices:
                raise SourceMissing(f"PCIe: no GPU, network adapter, NVSwitch or NVMe drive in {where}")
            raise SourceFailed(f"PCIe: {where} had devices and has none now; see dmesg")
        self._had_devices = True
        rows, facts = [], {}
        counts = dict.fromkeys(("gpus_on_bus", "nics_on_bus", "switches_on_bus", "nvmes_on_bus"), 0.0)
        for kind, folder in devices:
            counts[_COUNTED[kind]] += 1
            subject = self._subject(kind, folder)
            if subject is None:
                continue
            values, known = _values(folder), _facts(folder)
            if values:  # a virtual device has no link
                rows.append(Row(subject=subject, at=now, values=values))
            if self._told.get(subject) != known:
                facts[subject] = self._told[subject] = known
        rows.append(Row(subject=self._node, at=now, values=counts))
        return Collected(rows=tuple(rows), facts=facts)

    def close(self) -> None:
        """Nothing is held."""

    def _subject(self, kind: Kind, folder: Path) -> Subject | None:
        match kind:
            case "gpu":
                name = self._uuid(folder)
            case "nic":
                name = _network_name(folder) or folder.name
            case "disk":
                name = _drive_name(folder) or folder.name
            case _:
                name = folder.name
        return None if name is None else Subject(self._node.node, kind, name)

    def _uuid(self, folder: Path) -> str | None:
        """``GPU UUID: 	 GPU-5f3a...``; question marks until the driver has woken the GPU."""
        information = text(self._settings.procfs / "driver/nvidia/gpus" / folder.name / "information") or ""
        found = re.search(r"^GPU UUID:\s*(GPU-[0-9a-f-]+)$", information, re.MULTILINE)
        return found[1] if found else None


_COUNTED: dict[Kind, str] = {
    "gpu": "gpus_on_bus",
    "nic": "nics_on_bus",
    "switch": "switches_on_bus",
    "disk": "nvmes_on_bus",
}


def _kind(pci_class: int | None, vendor: int | None) -> Kind | None:
    """By class code (PCI Code and ID Assignment): base and sub-class are the upper two of its three bytes."""
    base = None if pci_class is None else pci_class >> 8
    if base in (0x0300, 0x0302) and vendor == _NVIDIA:
        return "gpu"
    if base == 0x0680 and vendor == _NVIDIA:
        return "switch"
    if base in (0x0200, 0x0207):
        return "nic"
    return "disk" if base == 0x0108 else None


def _network_name(folder: Path) -> str | None:
    """Its name as an RDMA device, else as a network interface."""
    for group in ("infiniband", "net"):
        for found in folders(folder / group):
            return found.name
    return None


def _drive_name(folder: Path) -> str | None:
    return next((found.name for found in folders(folder / "nvme")), None)


def _values(folder: Path) -> dict[str, float]:
    found = {
        "pcie_generation": _generation(folder / "current_link_speed"),
        "pcie_width": _width(folder / "current_link_width"),
        **{f"aer_{kind}_total": _aer_total(folder, kind) for kind in _AER},
    }
    above = _above(folder)
    if above is not None:
        found["aer_upstream_correctable_total"] = _aer_total(above, "correctable")
    return {name: float(value) for name, value in found.items() if value is not None}


def _facts(folder: Path) -> dict[str, object]:
    above = _above(folder)
    ends = [folder] if above is None else [folder, above]
    generations = [_generation(end / "max_link_speed") for end in ends]
    widths = [_width(end / "max_link_width") for end in ends]
    found = {
        "pci_bus_id": folder.name,
        "pcie_generation_max": min((one for one in generations if one is not None), default=None),
        "pcie_width_max": min((one for one in widths if one is not None), default=None),
        "pcie_upstream": above.name if above is not None else None,
        "aer": {name: count for kind in _AER for name, count in _aer(folder, kind).items() if count},
    }
    return {name: value for name, value in found.items() if value}


def _above(folder: Path) -> Path | None:
    """The port at the other end of the link: the folder that holds this one."""
    try:
        parent = folder.resolve(strict=True).parent
    except OSError:
        return None
    return parent if _BUS_ID.fullmatch(parent.name) else None


def _generation(path: Path) -> int | None:
    """Of ``32.0 GT/s PCIe``; None for ``Unknown``."""
    return GENERATIONS.get((text(path) or "").partition(" GT/s")[0])


def _width(path: Path) -> int | None:
    lanes = whole(path)
    return lanes if lanes is not None and 0 < lanes <= _MOST_LANES else None


def _aer(folder: Path, kind: str) -> dict[str, int]:
    """Counts by name, without the total: ``RxErr 0``."""
    words = (line.split() for line in (text(folder / f"aer_dev_{kind}") or "").splitlines())
    return {
        pair[0]: int(pair[1])
        for pair in words
        if len(pair) == 2 and pair[1].isdigit() and not pair[0].startswith("TOTAL_")
    }


def _aer_total(folder: Path, kind: str) -> int | None:
    """The line ``TOTAL_ERR_COR 0``."""
    found = re.search(r"^TOTAL_ERR_\w+ (\d+)$", text(folder / f"aer_dev_{kind}") or "", re.MULTILINE)
    return int(found[1]) if found else None
