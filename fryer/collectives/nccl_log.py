"""Which algorithm and which transports NCCL says that it uses, from the lines of its log (NCCL_DEBUG=INFO). Pure.

Lines that are understood (subsystems INIT, GRAPH and TUNING of NCCL_DEBUG_SUBSYS):

    Channel 00/0 : 0[0] -> 1[1] via P2P/CUMEM/read                       two GPUs, and what carries it
    Channel 07/0 : 0[0] -> 2[0] [receive] via NET/IB/3/GDRDMA            the 3 is the NIC
    AllReduce: 2097152 Bytes -> Algo NVLS proto SIMPLE channel{Lo..Hi}={0..15}         since 2.23
    AllGather: 37756928 Bytes -> Algo 1 proto 2 time 2860.208008                       before; numbers as in nccl.h
    262144 Bytes -> Algo 0 proto 1 time 54.707825                                      before that

Only rank 0 tells of algorithms, and only of those operations that have any: the others are sends and receives. The
bytes are those of one rank's part in some versions and operations and of all in others, so they are not compared: the
newest line about an operation counts.
"""

import re
from dataclasses import dataclass, field

from fryer.collectives.cases import CollectiveCase

_VIA = re.compile(r"Channel \d+(?:/\d+)? : .*? via (\S+)")
_CHOICE = re.compile(r"(?:(\w+): +)?(\d+) Bytes +-> Algo (\w+) proto (\w+)")
_ALGORITHMS = ("Tree", "Ring", "CollNetDirect", "CollNetChain", "NVLS", "NVLSTree", "PAT")
"""By number, and as NCCL_ALGO takes them: NCCL_ALGO_TREE is 0 in nccl's src/include/nccl_common.h."""
_PROTOCOLS = ("LL", "LL128", "Simple")
_OPERATIONS = {
    "AllReduce": "all_reduce",
    "AllGather": "all_gather",
    "ReduceScatter": "reduce_scatter",
    "Broadcast": "broadcast",
    "Reduce": "reduce",
}
_CHANNEL_OF_NIC = re.compile(r"/\d+(?:\(\d+\))?(?=/|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What NCCL chose for a call."""

    operation: str
    """A name of `OPERATIONS`; empty where the line does not say."""
    size_bytes: int
    algorithm: str
    """``Ring``, ``NVLS``: as NCCL_ALGO takes it."""
    protocol: str
    """``LL``, ``LL128``, ``Simple``."""


@dataclass(slots=True)
class NcclLog:
    """What the log of one rank has said so far."""

    transports: dict[str, None] = field(default_factory=dict)
    """In the order of their first line, without the number of the NIC."""
    choices: dict[str, Choice] = field(default_factory=dict)
    """The newest by operation."""

    def read(self, text: str) -> None:
        """Take in more lines; what is not understood is passed over."""
        for line in text.splitlines():
            if via := _VIA.search(line):
                self.transports[_CHANNEL_OF_NIC.sub("", via[1])] = None
            elif choice := parse_choice(line):
                self.choices[choice.operation] = choice

    def choice(self, operation: str) -> Choice | None:
        """The newest for that operation; None for one that has no algorithms, or where the log has said nothing."""
        if operation not in _OPERATIONS.values():
            return None
        return self.choices.get(operation) or self.choices.get("")

    def summary(self, case: CollectiveCase) -> str:
        """``NCCL NVLS Simple, P2P/CUMEM, NET/IB/GDRDMA``; empty where the log has said nothing."""
        choice = self.choice(case.operation)
        words = [f"{choice.algorithm} {choice.protocol}"] if choice else []
        words += list(self.transports)
        return f"NCCL {', '.join(words)}" if words else ""


def parse_choice(line: str) -> Choice | None:
    """The choice that `line` tells of; None for any other line."""
    found = _CHOICE.search(line)
    if not found:
        return None
    name = found[1] or ""
    return Choice(
        operation=_OPERATIONS.get(name, name.lower()),
        size_bytes=int(found[2]),
        algorithm=_known(found[3], _ALGORITHMS),
        protocol=_known(found[4], _PROTOCOLS),
    )


def _known(word: str, names: tuple[str, ...]) -> str:
    """``1``, ``RING`` and ``Ring`` are one, and so are ``NVLS_TREE`` and ``NVLSTree``; an unknown word stays."""
    if word.isdigit():
        return names[int(word)] if int(word) < len(names) else word
    plain = word.replace("_", "").lower()
    return next((name for name in names if name.lower() == plain), word)
