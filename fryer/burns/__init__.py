"""The burns: one a file. A burn loads a device and yields what it measured; it judges nothing.

To add one: write `fryer/burns/NAME.py` with a `run`, list it in `BURNS`, add its test and its row in docs/burns.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from fryer.devices import Device
    from fryer.records import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What one worker is asked to do. Seconds are of the run's clock."""

    seconds: float
    """How long to measure. A burn ends by itself soon after; the runner ends it for good at the deadline."""
    seed: int
    """Equal on all devices, so that their products can be compared."""
    dtypes: tuple[str, ...]
    memory_ratio: float
    """Share of the free memory to use, above 0 and below 1."""
    stop: Callable[[], bool]
    """True once the run is to end; a burn looks at it at least once a second."""
    rank: int = 0
    """Of this device among those of the node."""
    num_ranks: int = 1
    rendezvous: str = ""
    """`file://` URL for torch.distributed, where `num_ranks` > 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Burn:
    """A way to load devices. `run` yields records while it works and may be stopped between any two of them."""

    summary: str
    """One line: what it loads and what it would find."""
    scope: Literal["device", "node"]
    """One process a device, or one process that holds all devices of the node."""
    module: str
    """Imported in the worker only, since it imports torch."""
    share: float
    """Part of the run's duration that this burn gets, relative to the others."""

    gpu_memory_ratio: float = 0.9
    """Share of a GPU's free memory to use where the user names none: products need room for their library."""
    is_simulated: bool = True
    """False: lanes that run at the same time would measure the machine that simulates."""

    def run(self, devices: Sequence[Device], task: Task) -> Iterator[Record]:
        """Run it in this process; `devices` holds one device where the scope is ``device``."""
        records: Iterator[Record] = import_module(self.module).run(devices, task)
        return records


BURNS = MappingProxyType(
    {
        "gemm": Burn(
            summary="matrix products in each number format, every result verified",
            scope="device",
            module="fryer.burns.gemm",
            share=4.0,
        ),
        "memory": Burn(
            summary="patterns over the free memory, written and read back",
            scope="device",
            module="fryer.burns.memory",
            gpu_memory_ratio=0.95,
            share=1.0,
        ),
        "hbm": Burn(summary="memory bandwidth: copy and triad", scope="device", module="fryer.burns.hbm", share=1.0),
        "pcie": Burn(
            summary="host to device, device to host, and both at once",
            scope="device",
            module="fryer.burns.pcie",
            share=1.0,
        ),
        "p2p": Burn(
            summary="every pair of devices, both directions", scope="node", module="fryer.burns.p2p", share=1.0
        ),
        "soak": Burn(
            summary="products, copies and a collective together, once hot",
            scope="device",
            module="fryer.burns.soak",
            share=2.0,
            is_simulated=False,
        ),
    }
)
"""Every burn, in the order in which they run."""
