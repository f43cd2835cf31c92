"""What text and JSON of nvbandwidth share: who its devices are, and facts out of its matrices. Pure."""

import re
from collections.abc import Iterator, Sequence

from fryer.imports.facts import NODE, Device, Fact

_DEVICE = re.compile(
    r"^(?:Device )?(?P<index>\d{1,4}): (?P<part>[^()\n]{1,100})"
    r"(?:\((?P<id>[0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2})\).*)?$"
)
BYTES, SECONDS = "bytes_per_second", "latency_seconds"


def device_of(line: str) -> Device | None:
    """``Device 0: NVIDIA H100 80GB HBM3 (00000000:19:00)``, in JSON without its first word."""
    found = _DEVICE.match(line.strip())
    if found is None:
        return None
    return Device(name=f"gpu{int(found['index'])}", part=found["part"].strip(), pci_bus_id=(found["id"] or "").lower())


def cells(
    name: str, description: str, rows: Sequence[Sequence[float | None]], *, scale: float, unit: str
) -> Iterator[Fact]:
    """A fact for each cell that has a value, on the GPU of its column; ``N/A`` and the diagonal of pairs have none.

    The case of a pair is ``NAME gpuROW``, with the direction that the description draws: ``->`` or ``<-``.
    """
    is_pairs = "GPU(row)" in description
    arrow = next((each for each in ("<->", "->", "<-") if each in description), "")
    kind = next(
        (f" {each}" for each in ("Total", "Read1", "Read2", "Write1", "Write2") if f" {each} " in description), ""
    )
    for row_index, row in enumerate(rows):
        for column, value in enumerate(row):
            if value is None or (is_pairs and row_index == column):
                continue
            peer = f" gpu{row_index} {arrow}" if is_pairs else ""
            yield Fact(
                subject=f"gpu{column}" if "GPU(column)" in description else NODE,
                metric=SECONDS if unit == "us" else BYTES,
                value=value * scale,
                case=f"{name}{kind}{peer}".rstrip(),
            )
