"""``fryer worker --relay``: which hosts a relay serves. Not a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ClusterShell.NodeSet import NodeSet, NodeSetException

from fryer.fleet.relay import relay
from fryer.launchers.ssh import ssh_hosts
from fryer.platform import versions
from watchdog.vocabulary.errors import UsageError

if TYPE_CHECKING:
    from fryer.fleet.channel import Channel
    from fryer.stopper import Stopper


def serve_relay(
    node: str, nodes: str, channel: Channel, stopper: Stopper, ssh_options: str, remote_command: str | None
) -> int:
    """Relay to the nodes of that set; gateways further down are found as from `node`. Raises `UsageError`."""
    try:
        behind = [str(name) for name in NodeSet(nodes)]
    except NodeSetException as error:
        raise UsageError(f"--relay {nodes!r} is no node set: {error}") from error
    fryer = versions()["fryer"]
    hosts = ssh_hosts(fryer=fryer, ssh_options=ssh_options, remote_command=remote_command, root=node)
    return relay(node, behind, channel, hosts, stopper)
