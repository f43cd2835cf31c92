"""Which nodes are reached through which gateway: the fan-out tree of ClusterShell's own ``topology.conf``.

ClusterShell's tree itself can't carry our orders (see DECISIONS.md), so only its configuration and its routing are
used; what runs on a gateway is `fryer.fleet.relay`.
"""

import logging
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from socket import gethostname

from ClusterShell.NodeSet import NodeSet
from ClusterShell.Propagation import PropagationTreeRouter, RouteResolvingError
from ClusterShell.Task import Task
from ClusterShell.Topology import TopologyError, TopologyParser

log = logging.getLogger(__name__)


def routes(nodes: Sequence[str], root: str | None = None) -> dict[str, tuple[str, ...]]:
    """By gateway: the nodes behind it, of which it is the next hop from `root` (this machine); the others are direct.

    A gateway is in no other's hands: where it is itself among `nodes`, it reaches itself. Empty without a
    ``topology.conf``, or where that does not know `root`; what is wrong with the file is said in the log.
    """
    path = next((path for path in map(Path, reversed(Task.TOPOLOGY_CONFIGS)) if path.exists()), None)
    if path is None:
        return {}
    root = root or gethostname().partition(".")[0]
    found: defaultdict[str, list[str]] = defaultdict(list)
    try:
        tree = TopologyParser(str(path)).tree(root)
        for hop, targets in PropagationTreeRouter(root, tree).dispatch(NodeSet.fromlist(nodes)):
            if hop != targets:
                found[str(hop)] += map(str, targets)
    except (TopologyError, RouteResolvingError) as error:
        log.warning("nodes are reached directly: %s does not say how they are from %s: %s", path, root, error)
        return {}
    for gateway in found:
        if gateway in nodes and not any(gateway in behind for behind in found.values()):
            found[gateway].append(gateway)
    return {gateway: tuple(behind) for gateway, behind in found.items()}
