"""The PCIe path from a device up to its root port, read from sysfs, and the rate of its slowest link.

A GPU's own link says little: behind a switch, the leg from the switch to the processor may be narrower. It must not ask
the driver, and it doesn't judge. A link idles at a lower generation to save power, so there are two answers: what the
path is capable of, and what it runs at now (worth reading under load only).

    root port  0000:15:01.0 ──link──▶ switch, upstream port  0000:16:00.0
                                      switch, downstream port 0000:17:00.0 ──link──▶ GPU 0000:18:00.0

Source: Linux, Documentation/ABI/testing/sysfs-bus-pci (`current_link_speed`, `current_link_width`, `max_link_speed`,
`max_link_width`) and drivers/pci/pci-sysfs.c.
"""

import re
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

_ADDRESS = re.compile(r"[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
_SPEED = re.compile(r"([0-9.]+) GT/s")

_GENERATION = {2.5: 1, 5.0: 2, 8.0: 3, 16.0: 4, 32.0: 5, 64.0: 6}
"""By gigatransfers a second on each lane (PCI-SIG, PCI Express Base Specification; a transfer carries one bit)."""
_PAYLOAD = {1: 8 / 10, 2: 8 / 10, 3: 128 / 130, 4: 128 / 130, 5: 128 / 130, 6: 242 / 256}
"""Share of the raw bits left by the line code: 8b/10b, from 3.0 on 128b/130b; 6.0 sends FLITs of 256 bytes, of which
236 carry TLPs and 6 DLPs, and the other 14 are CRC and FEC (PCI Express Base Specification 6.0, FLIT mode)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The link above one function: between it and the port that it hangs on."""

    pci_bus_id: str
    """The lower end."""
    gigatransfers_per_second: float
    """On each lane."""
    width: int
    """Lanes."""

    @property
    def bytes_per_second(self) -> float:
        """One way, after the line code. Packet headers cost 10 to 15 % more: 55 of 63 GB/s are good for Gen5 x16."""
        payload = _PAYLOAD[_GENERATION[self.gigatransfers_per_second]]
        return self.gigatransfers_per_second * 1e9 * self.width * payload / 8

    def __str__(self) -> str:
        return f"PCIe {_GENERATION[self.gigatransfers_per_second]}.0 x{self.width} at {self.pci_bus_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PciPath:
    """The slowest link on the way to the root port. None where sysfs doesn't tell (virtual machines)."""

    capability: Link | None
    """With each link at the best that both its ends can do."""
    current: Link | None
    """With each link as it runs at this moment."""


def read_pci_path(pci_bus_id: str, root: Path = Path("/sys")) -> PciPath:
    """Read the path above a function, such as ``0000:18:00.0``, under a sysfs mounted at `root`."""
    capability, current = [], []
    for lower, upper in _legs(_chain(pci_bus_id, root)):
        ends = [end for end in (_read_link(lower, "max"), _read_link(upper, "max")) if end]
        if ends:
            capability.append(
                Link(
                    pci_bus_id=lower.name,
                    width=min(end.width for end in ends),
                    gigatransfers_per_second=min(end.gigatransfers_per_second for end in ends),
                )
            )
        running = _read_link(lower, "current") or _read_link(upper, "current")
        if running:
            current.append(replace(running, pci_bus_id=lower.name))
    return PciPath(capability=_slowest(capability), current=_slowest(current))


def _chain(pci_bus_id: str, root: Path) -> list[Path]:
    """The function and the ports above it, lowest first: its real path has a folder for each."""
    folder = (root / "bus/pci/devices" / pci_bus_id.lower()).resolve()
    return [part for part in (folder, *folder.parents) if _ADDRESS.fullmatch(part.name)]


def _legs(chain: list[Path]) -> list[tuple[Path, Path]]:
    """The (lower end, upper end) of each link, lowest first.

    Under a root port every second pair is a link, and the others are the two sides of one switch. A chain of odd
    length has no root port that we see (a virtual machine): all its pairs are looked at, or the function alone.
    """
    pairs = list(pairwise(chain)) or [(function, function) for function in chain]
    return pairs[::2] if len(chain) % 2 == 0 else pairs


def _read_link(function: Path, which: str) -> Link | None:
    """`which` is ``max`` or ``current``; None when absent, unknown, or a rate that no PCIe generation has."""
    try:
        speed = _SPEED.match((function / f"{which}_link_speed").read_text())
        width = int((function / f"{which}_link_width").read_text())
    except (OSError, ValueError):
        return None
    if not speed or float(speed[1]) not in _GENERATION or not 0 < width <= 32:
        return None
    return Link(pci_bus_id=function.name, gigatransfers_per_second=float(speed[1]), width=width)


def _slowest(links: list[Link]) -> Link | None:
    """The lowest of equals, so that a uniform path is named by the device's own link."""
    return min(links, key=lambda link: link.bytes_per_second, default=None)
