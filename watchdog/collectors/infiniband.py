"""InfiniBand and RoCE ports from sysfs: state, rate and counters, a row a port. Needs no tool and no root.

    /sys/class/infiniband/mlx5_0/ports/1/{state,phys_state,rate,link_layer,counters/*,hw_counters/*}

Some of the counters are narrow and stay at their highest value once they are there (InfiniBand specification,
PortCounters of performance management): such a counter says "at least", so the row counts those in
`saturated_counters`, and the facts name them. Reading makes firmware work (mlx5 asks its device for each counter),
hence the long period.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from watchdog.collectors import Collected
from watchdog.collectors.sysfs import folders, text, whole
from watchdog.vocabulary.errors import SourceFailed, SourceMissing
from watchdog.vocabulary.samples import Row
from watchdog.vocabulary.subjects import Subject

_STATE_ACTIVE, _PHYSICAL_UP = 4, 5
"""``4: ACTIVE`` and ``5: LinkUp`` (Linux, drivers/infiniband/core/sysfs.c)."""
_LANES_DATA = 4
"""port_xmit_data and port_rcv_data count words of four bytes."""

COUNTERS: Mapping[str, str] = MappingProxyType(
    {
        "symbol_error": "symbol_errors_total",
        "link_error_recovery": "link_error_recovery_errors_total",
        "link_downed": "link_downed_total",
        "port_rcv_errors": "receive_errors_total",
        "port_rcv_remote_physical_errors": "receive_remote_physical_errors_total",
        "port_rcv_switch_relay_errors": "receive_switch_relay_errors_total",
        "port_rcv_constraint_errors": "receive_constraint_errors_total",
        "port_xmit_discards": "transmit_discards_total",
        "port_xmit_constraint_errors": "transmit_constraint_errors_total",
        "local_link_integrity_errors": "local_link_integrity_errors_total",
        "excessive_buffer_overrun_errors": "excessive_buffer_overrun_errors_total",
        "VL15_dropped": "vl15_dropped_total",
        "port_xmit_wait": "transmit_wait_ticks_total",
    }
)
"""File in ``counters`` -> metric."""
HW_COUNTERS: Mapping[str, str] = MappingProxyType(
    {
        "out_of_sequence": "out_of_sequence_total",
        "packet_seq_err": "packet_sequence_errors_total",
        "local_ack_timeout_err": "ack_timeouts_total",
        "rnr_nak_retry_err": "rnr_nak_retry_errors_total",
        "out_of_buffer": "out_of_buffer_total",
        "implied_nak_seq_err": "implied_nak_errors_total",
        "roce_adp_retrans": "roce_adaptive_retransmits_total",
        "np_cnp_sent": "congestion_notifications_sent_total",
        "rp_cnp_handled": "congestion_notifications_handled_total",
        "rx_icrc_encapsulated": "icrc_errors_total",
    }
)
"""File in ``hw_counters`` (mlx5) -> metric."""
HIGHEST: Mapping[str, int] = MappingProxyType(
    {
        "local_link_integrity_errors": 0xF,
        "excessive_buffer_overrun_errors": 0xF,
        "link_error_recovery": 0xFF,
        "link_downed": 0xFF,
        "port_rcv_constraint_errors": 0xFF,
        "port_xmit_constraint_errors": 0xFF,
        "symbol_error": 0xFFFF,
        "port_rcv_errors": 0xFFFF,
        "port_rcv_remote_physical_errors": 0xFFFF,
        "port_rcv_switch_relay_errors": 0xFFFF,
        "port_xmit_discards": 0xFFFF,
        "VL15_dropped": 0xFFFF,
        "port_xmit_wait": 0xFFFFFFFF,
    }
)
"""Where a counter stops: fields of 4, 8, 16 and 32 bits in PortCounters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`[watchdog.collectors.infiniband]`."""

    sysfs: Path = Path("/sys")
    ignored: tuple[str, ...] = ()
    """Ports that are not used and may be down: ``mlx5_2:1``."""


class Infiniband:
    """All ports of all devices, in the order of their names."""

    def __init__(self, node: str, settings: Settings | None = None) -> None:
        """Nothing is read before `collect`."""
        self._node = Subject(node)
        self._settings = settings or Settings()
        self._told: dict[Subject, dict[str, object]] = {}
        self._had_ports = False

    def collect(self, now: float) -> Collected:
        """A row a port and one of the node; raises `SourceMissing` without a port, `SourceFailed` once all are gone."""
        ports = list(self._ports())
        if not ports:
            where = self._settings.sysfs / "class/infiniband"
            if not self._had_ports:
                raise SourceMissing(f"InfiniBand: no port in {where}")
            raise SourceFailed(f"InfiniBand: {where} had ports and has none now; see dmesg (mlx5_core)")
        self._had_ports = True
        rows, facts = [], {}
        for name, folder in ports:
            subject = Subject(self._node.node, "nic", name)
            values, saturated = _values(folder)
            known = {**_facts(folder), "saturated": saturated}
            rows.append(Row(subject=subject, at=now, values=values))
            if self._told.get(subject) != known:
                facts[subject] = self._told[subject] = known
        rows.append(Row(subject=self._node, at=now, values={"nic_ports_visible": float(len(ports))}))
        return Collected(rows=tuple(rows), facts=facts)

    def close(self) -> None:
        """Nothing is held."""

    def _ports(self) -> Iterator[tuple[str, Path]]:
        for device in folders(self._settings.sysfs / "class/infiniband"):
            for port in folders(device / "ports"):
                name = f"{device.name}:{port.name}"
                if name not in self._settings.ignored:
                    yield name, port


def _values(port: Path) -> tuple[dict[str, float], list[str]]:
    """What a port shows, and the metrics whose counter is at its end."""
    values: dict[str, float] = {}
    state, physical = _leading(port / "state"), _leading(port / "phys_state")
    is_up = state == _STATE_ACTIVE and physical == _PHYSICAL_UP
    if state is not None and physical is not None:
        values |= {"port_state": float(state), "physical_state": float(physical), "link_up": float(is_up)}
    rate = _rate(port) if is_up else None  # a link that is down shows the slowest rate that there is
    if rate is not None:
        values["rate_bytes_per_second"] = rate
    saturated = []
    for folder, metrics in (("counters", COUNTERS), ("hw_counters", HW_COUNTERS)):
        for file, metric in metrics.items():
            count = whole(port / folder / file)
            if count is None:
                continue
            values[metric] = float(count)
            if count == HIGHEST.get(file):
                saturated.append(metric)
    for file, metric in (("port_xmit_data", "transmit_bytes_total"), ("port_rcv_data", "receive_bytes_total")):
        words = whole(port / "counters" / file)
        if words is not None:
            values[metric] = float(words * _LANES_DATA)
    values["saturated_counters"] = float(len(saturated))
    return values, saturated


def _facts(port: Path) -> dict[str, object]:
    device = port.parent.parent
    found = {
        "link_layer": text(port / "link_layer"),
        "rate": text(port / "rate"),
        "port_state": text(port / "state"),
        "board": text(device / "board_id"),
        "firmware": text(device / "fw_ver"),
        "pci_bus_id": _bus_id(device),
    }
    return {name: value for name, value in found.items() if value}


def _leading(path: Path) -> int | None:
    """The number before the colon: ``4: ACTIVE``."""
    number = (text(path) or "").partition(":")[0]
    return int(number) if number.isdigit() else None


def _rate(port: Path) -> float | None:
    """Bytes a second in ``400 Gb/sec (4X NDR)``."""
    found = re.match(r"([\d.]+) Gb/sec", text(port / "rate") or "")
    return float(found[1]) * 1e9 / 8 if found else None


def _bus_id(device: Path) -> str | None:
    """The PCI address of a device: the name of the folder that its ``device`` link points to."""
    try:
        name = (device / "device").resolve(strict=True).name
    except OSError:
        return None
    return name if re.fullmatch(r"[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]", name) else None
