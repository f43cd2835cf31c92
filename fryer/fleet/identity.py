"""Who a worker is: its versions, where others reach it, how many GPUs it has. It loads nothing heavy."""

import ipaddress
import os
import socket
from collections.abc import Mapping, Sequence

import psutil

from fryer.cuda_order import CudaEntry, list_cuda
from fryer.fleet.interconnect import read_interconnect
from fryer.fleet.orders import PROTOCOL, Hello
from fryer.platform import versions
from watchdog.collectors.pcie import count_gpus
from watchdog.vocabulary.errors import SourceFailed, SourceMissing

SSH_CONNECTION = "SSH_CONNECTION"
"""sshd's: client's address and port, and the server's, which is where the fleet's controller reached us."""


def hello(node: str, address: str | None) -> Hello:
    """The first message of a worker; `address` is what the launcher knows to be right. Blocks while CUDA starts."""
    entries, num_gpus = _gpus()
    return Hello(
        node=node,
        protocol=PROTOCOL,
        versions=versions(),
        addresses=order_addresses(address, os.environ, _named(node), _of_interfaces()),
        num_gpus=num_gpus,
        interconnect=read_interconnect(entries),
    )


def order_addresses(
    given: str | None, environment: Mapping[str, str], named: Sequence[str], all_addresses: Sequence[str]
) -> tuple[str, ...]:
    """Addresses of this node, the surest first: what was given, what ssh came by, what its name means, all others.

    Loopback and link-local ones lead to no other node: they are left out, unless given.
    """
    found = [given] if given else []
    connection = environment.get(SSH_CONNECTION, "").split()
    if len(connection) == 4:
        found.append(connection[2])
    own = set(all_addresses)
    found += [one for one in named if one in own]
    found += all_addresses
    reached = {given} if given else set()
    return tuple(dict.fromkeys(one for one in found if one in reached or _leads_here(one)))


def _leads_here(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return not (parsed.is_loopback or parsed.is_link_local or parsed.is_unspecified or parsed.is_multicast)


def _named(node: str) -> list[str]:
    """What the node's name means here; nothing where it means nothing."""
    try:
        return [str(entry[4][0]) for entry in socket.getaddrinfo(node, None, proto=socket.IPPROTO_TCP)]
    except OSError:
        return []


def _of_interfaces() -> list[str]:
    """IPv4 before IPv6, in the kernel's order of interfaces; those that are down don't count."""
    up = {name for name, state in psutil.net_if_stats().items() if state.isup}
    entries = [entry for name, each in psutil.net_if_addrs().items() if name in up for entry in each]
    families = (socket.AF_INET, socket.AF_INET6)
    return [entry.address for family in families for entry in entries if entry.family == family]


def _gpus() -> tuple[tuple[CudaEntry, ...], int]:
    """What CUDA shows, and how many; where it can't be asked, how many are on the bus: burning them tells why."""
    try:
        entries = list_cuda()
    except SourceMissing:
        return (), 0
    except SourceFailed:
        return (), count_gpus()
    return entries, len(entries)
