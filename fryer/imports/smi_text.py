"""``nvidia-smi -q``: indented fields by GPU. A part of it (``-d ECC``) is told from a whole one by what it has."""

import re
from collections.abc import Mapping

from fryer.imports.facts import NODE, Device, Fact, Facts
from fryer.imports.smi_fields import UNREADABLE, facts_of

_GPU = re.compile(r"^GPU (?P<id>[0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-9A-Fa-f])\s*$")
_ADDRESS = re.compile(r"[0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-9A-Fa-f]")
_ATTACHED = re.compile(r"^Attached GPUs\s*:\s*(\d{1,5})\s*$", re.MULTILINE)
LOST = re.compile(
    r"^(?:Unable to determine the device handle for GPU|GPU is lost"
    r"|[^ <|{#].{0,200}(?:GPU is lost|GPU has fallen off)).*",
    re.MULTILINE | re.IGNORECASE,
)
"""nvidia-smi stops at a GPU that has gone, and says only this."""
FAILED = re.compile(
    r"^(?:NVIDIA-SMI has failed because|Failed to initialize NVML|No devices were found).*", re.MULTILINE
)
_MOST_DEPTH = 8
"""Fields are nested 4 deep at most."""
_WHOLE, _LAST = "product name", "processes"
"""The first field of a GPU in a whole listing, and the last one that every driver prints."""


def recognise(text: str) -> bool:
    """True for such a listing, or for the sentence that nvidia-smi says in its place."""
    if "<nvidia_smi_log" in text:
        return False
    return "NVSMI LOG" in text or any(sign.search(text) for sign in (_ATTACHED, LOST, FAILED))


def parse(text: str) -> Facts:
    """Every GPU with its fields; GPUs that are lost are devices too."""
    sections = _sections(text)
    devices = [
        Device(
            name=f"gpu{index}",
            part=paths.get("product name", ""),
            uuid=paths.get("gpu uuid", ""),
            serial=paths.get("serial number", ""),
            pci_bus_id=address.lower(),
        )
        for index, (address, paths) in enumerate(sections)
    ]
    facts = [
        fact
        for device, (_, paths) in zip(devices, sections, strict=True)
        for fact in (*facts_of(device.name, paths, is_xml=False), *unreadable_facts(device.name, paths))
    ]
    failures = [found.strip() for found in FAILED.findall(text)]
    lost, lost_facts = lost_devices(text, len(devices))
    is_partial = bool(sections) and not any(_WHOLE in paths for _, paths in sections)
    return Facts(
        devices=(*devices, *lost),
        facts=(*facts, *lost_facts, Fact(subject=NODE, metric="is_partial", value=is_partial)),
        missing=tuple(_missing(text, sections, len(lost), failed=bool(failures))),
        failures=tuple(f"nvidia-smi says: {each[:200]}" for each in failures[:2]),
    )


def too_few(listed: int, attached: int) -> str:
    """The sentence for a listing that ends before its last GPU."""
    return f"{attached} GPUs are attached and {listed} {'is' if listed == 1 else 'are'} listed: the rest is missing"


def lost_devices(text: str, first_index: int) -> tuple[list[Device], list[Fact]]:
    """A device for each line that says that a GPU has gone."""
    lines = [found.strip() for found in LOST.findall(text)]
    addresses = [_ADDRESS.search(line) for line in lines]
    devices = [
        Device(name=f"gpu{first_index + index}", pci_bus_id=address[0].lower() if address else "")
        for index, address in enumerate(addresses)
    ]
    facts = [
        Fact(subject=device.name, metric="lost", value=line[:200]) for device, line in zip(devices, lines, strict=True)
    ]
    return devices, facts


def unreadable_facts(subject: str, paths: Mapping[str, str]) -> list[Fact]:
    """Fields in whose place the driver says that it can't reach the GPU."""
    found = [f"{path}: {value.strip()}" for path, value in paths.items() if UNREADABLE.search(value)]
    if not found:
        return []
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return [Fact(subject=subject, metric="unreadable", value="; ".join(found[:3]) + more)]


def _sections(text: str) -> list[tuple[str, dict[str, str]]]:
    """Address and fields of each GPU; a field's path is made of the keys that it is indented under."""
    sections: list[tuple[str, dict[str, str]]] = []
    stack: list[tuple[int, str]] = []
    for line in text.split("\n"):
        if found := _GPU.match(line):
            sections.append((found["id"], {}))
            stack = []
        elif sections and line.startswith(" ") and line.strip():
            key, _, value = line.partition(":")
            depth, key = len(key) - len(key.lstrip()), key.strip().lower()
            while stack and stack[-1][0] >= depth:
                stack.pop()
            path = "/".join([*(name for _, name in stack), key])
            if len(stack) < _MOST_DEPTH:
                stack.append((depth, key))
            sections[-1][1].setdefault(path, value.strip())
    return sections


def _missing(text: str, sections: list[tuple[str, dict[str, str]]], num_lost: int, *, failed: bool) -> list[str]:
    attached = sum(int(count) for count in _ATTACHED.findall(text))
    if failed or (num_lost and not sections):
        return []
    if not sections:
        return ["no GPU is in it: the listing is cut off after its first lines"]
    missing = []
    if len(sections) + num_lost < attached:
        missing.append(too_few(len(sections), attached))
    for address, paths in sections:
        if _WHOLE in paths and _LAST not in paths:
            missing.append(f"the listing of GPU {address} ends before its processes: the rest is missing")
    if not _ATTACHED.search(text):
        missing.append("the first lines, which say how many GPUs are attached, are missing")
    return missing
