"""What ``--nodes`` means: ClusterShell's sets of nodes and groups, checked word by word. It reaches no node.

ClusterShell takes a group that it does not know for an empty one, so that ``node[001-048]!@bad`` with a slip in it
excludes nothing. Here that is an error.
"""

import re

from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet, NodeSetException, std_group_resolver
from ClusterShell.NodeUtils import GroupResolverError

from watchdog.vocabulary.errors import UsageError, nearest

MOST_NODES = 16_384
_GROUP = re.compile(r"@(?:\[[^\]]*\]|[^\[\],!&^\s])+")
_WILD = re.compile(r"[*?]")
_NAME = re.compile(r"(?:[\w.-]+@)?[A-Za-z0-9_:][\w.:%-]*", re.ASCII)
"""A host's name or address (RFC 1123, and ``_``, which many clusters have), with a user's name for ssh before it."""


def parse_set(text: str) -> tuple[str, ...]:
    """The nodes of a set, in its order, each once; raises `UsageError` for a set that is empty or broken, for groups
    that nobody knows, and for what is no name of a host."""
    try:
        for token in _GROUP.findall(text):
            _check_groups(token)
        named = NodeSet(text)
        if len(named) > MOST_NODES:
            raise UsageError(f"--nodes names {len(named):,} nodes; {MOST_NODES:,} is the most")
        nodes = tuple(map(str, named))
    except NodeSetException as error:
        raise UsageError(f"--nodes {text!r} is no node set: {error}; write for example node[001-004,007]") from error
    except GroupResolverError as error:
        raise UsageError(
            f"--nodes {text!r}: ClusterShell can't tell its groups: {error}; see cluset --groupsources"
        ) from error
    if not nodes:
        raise UsageError(f"--nodes {text or repr(text)} names no node; write for example --nodes localhost")
    for node in nodes:
        if _NAME.fullmatch(node) is None:
            raise UsageError(f"--nodes: {node!r} is no name of a host; write for example node[001-004,007]")
    return nodes


def _check_groups(token: str) -> None:
    """Each group of ``@rack[1-2]`` or ``@slurm:gpu`` has nodes, or its source lists it."""
    resolver = std_group_resolver()
    for name in NodeSet(token, resolver=RESOLVER_NOGROUP):
        source, _, group = name.removeprefix("@").rpartition(":")
        if _WILD.search(group) or len(NodeSet(name)):
            continue
        known = resolver.grouplist(source or None)
        if group not in known:
            raise UsageError(f"--nodes: ClusterShell knows no group {name!r}{nearest(group, known)}")
