"""Which algorithm and which transports NCCL says that it uses, from the lines of its log (NCCL_DEBUG=INFO). Pure.

Lines that are understood, and since when NCCL writes them (subsystems INIT, GRAPH and TUNING):

    Channel 00/0 : 0[0] -> 1[1] via P2P/CUMEM/read                       2.8; the GPU pair, and what it is carried by
    Channel 07/0 : 0[0] -> 2[0] [receive] via NET/IB/3/GDRDMA            the 3 is the NIC
    AllReduce: 1073741824 Bytes -> Algo NVLS proto Simple channel{Lo..Hi}={0..15}      2.24
    AllReduce: 1073741824 Bytes -> Algo 1 proto 2 time 123.4                           before; numbers as in nccl.h
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from fryer.collectives.cases import CollectiveCase

_VIA = re.compile(r"Channel \d+(?:/\d+)? : .*? via (\S+)")
_CHOICE = re.compile(r"(?:(\w+): )?(\d+) Bytes -> Algo (\w+) proto (\w+)")
_ALGORITHMS = ("Tree", "Ring", "CollNetDirect", "CollNetChain", "NVLS", "NVLSTree", "PAT")
"""By number: NCCL_ALGO_TREE 0 … in nccl's src/include/nccl_common.h (device.h before 2.19)."""
_PROTOCOLS = ("LL", "LL128", "Simple")
_NAMES = {"allreduce": "all_reduce", "allgather": "all_gather", "reducescatter": "reduce_scatter"}
_BY_LETTER_CASE = {name.lower(): name for name in _ALGORITHMS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What NCCL chose for calls of one size."""

    operation: str
    """A name of `OPERATIONS`, or of NCCL's in lower case; empty where the line does not say."""
    size_bytes: int
    algorithm: str
    protocol: str


@dataclass(slots=True)
class NcclLog:
    """What the log of one rank has said so far."""

    transports: dict[str, None] = field(default_factory=dict)
    """In the order of their first line, without the number of the NIC."""
    choices: dict[tuple[str, int], Choice] = field(default_factory=dict)
    """The newest by operation and size."""

    def read(self, text: str) -> None:
        """Take in more lines; what is not understood is passed over."""
        for line in text.splitlines():
            if via := _VIA.search(line):
                self.transports[_without_numbers(via[1])] = None
            elif choice := parse_choice(line):
                self.choices[choice.operation, choice.size_bytes] = choice

    def choice(self, operations: Iterable[str], size_bytes: int) -> Choice | None:
        """For that size exactly: NCCL changes its choice with the size."""
        found = (self.choices.get((operation, size_bytes)) for operation in (*operations, ""))
        return next((choice for choice in found if choice), None)

    def summary(self, case: CollectiveCase) -> str:
        """``NCCL NVLS Simple, P2P/CUMEM, NET/IB/GDRDMA``; empty where the log has said nothing."""
        choice = self.choice((case.operation,), case.size_bytes)
        words = [f"{choice.algorithm} {choice.protocol}"] if choice else []
        words += list(self.transports)
        return f"NCCL {', '.join(words)}" if words else ""


def parse_choice(line: str) -> Choice | None:
    """The choice that `line` tells of; None for any other line."""
    found = _CHOICE.search(line)
    if not found:
        return None
    name = (found[1] or "").lower()
    return Choice(
        operation=_NAMES.get(name, name),
        size_bytes=int(found[2]),
        algorithm=_by_number(found[3], _ALGORITHMS),
        protocol=_by_number(found[4], _PROTOCOLS),
    )


def _by_number(word: str, names: tuple[str, ...]) -> str:
    if word.isdigit():
        return names[int(word)] if int(word) < len(names) else word
    return _BY_LETTER_CASE.get(word.lower(), word)


def _without_numbers(via: str) -> str:
    """``NET/IB/3/GDRDMA`` and ``NET/IB/3(0)/GDRDMA`` -> ``NET/IB/GDRDMA``."""
    return "/".join(part for part in via.split("/") if not part[:1].isdigit())
