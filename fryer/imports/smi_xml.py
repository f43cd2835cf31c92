"""``nvidia-smi -q -x``. Entities are refused, since an XML parser may expand them without bound."""

import re
from xml.etree import ElementTree

from fryer.imports.facts import NODE, Device, Fact, Facts, Malformed
from fryer.imports.json_text import whole
from fryer.imports.smi_fields import facts_of
from fryer.imports.smi_text import lost_devices, too_few, unreadable_facts

_MOST_DEPTH = 16
"""nvidia-smi nests 6 deep."""
_SKIPPED = frozenset({"supported_clocks", "processes", "mig_devices", "accounted_processes"})


def recognise(text: str) -> bool:
    """True for such a document, whole or cut off."""
    return "<nvidia_smi_log" in text or "nvsmi_device" in text[:4000]


def parse(text: str) -> Facts:
    """Every GPU with its fields; raises `Malformed` for a document that is not whole."""
    root = _root(text)
    found = [(gpu.get("id", ""), _paths(gpu)) for gpu in root.findall("gpu")]
    devices = [
        Device(
            name=f"gpu{index}",
            part=paths.get("product_name", ""),
            uuid=paths.get("uuid", ""),
            serial=paths.get("serial", ""),
            pci_bus_id=address.lower(),
        )
        for index, (address, paths) in enumerate(found)
    ]
    facts = [
        fact
        for device, (_, paths) in zip(devices, found, strict=True)
        for fact in (*facts_of(device.name, paths, is_xml=True), *unreadable_facts(device.name, paths))
    ]
    lost, lost_facts = lost_devices(text, len(devices))
    attached = whole(root.findtext("attached_gpus"))
    missing = [] if found or lost else ["no GPU is in it"]
    if attached is None:
        missing.append("attached_gpus, the number of GPUs, is missing")
    elif len(found) + len(lost) < attached:
        missing.append(too_few(len(found), attached))
    is_partial = not any("product_name" in paths for _, paths in found)
    return Facts(
        devices=(*devices, *lost),
        facts=(*facts, *lost_facts, Fact(subject=NODE, metric="is_partial", value=is_partial)),
        missing=tuple(missing),
    )


def _root(text: str) -> ElementTree.Element:
    start = re.search(r"<\?xml|<!DOCTYPE|<nvidia_smi_log", text)
    end = text.rfind("</nvidia_smi_log>")
    if "<!ENTITY" in text:
        raise Malformed("its XML defines entities, which nvidia-smi's never does")
    if start is None or end < 0:
        raise Malformed("its XML is cut off: </nvidia_smi_log> is missing")
    if text.count("<nvidia_smi_log") > 1:
        raise Malformed("it holds several XML documents: give each a file of its own")
    body = text[start.start() : end + len("</nvidia_smi_log>")]
    try:
        return ElementTree.fromstring(body.encode())  # noqa: S314 - has no entities, as checked above
    except (ElementTree.ParseError, ValueError) as error:
        raise Malformed(f"its XML is broken: {error}") from None


def _paths(gpu: ElementTree.Element) -> dict[str, str]:
    """Text of each leaf by its path below the GPU."""
    paths: dict[str, str] = {}
    waiting = [("", gpu, 0)]
    while waiting:
        prefix, element, depth = waiting.pop()
        for child in element:
            path = f"{prefix}{child.tag}"
            if len(child) and depth < _MOST_DEPTH and child.tag not in _SKIPPED:
                waiting.append((f"{path}/", child, depth + 1))
            elif not len(child):
                paths.setdefault(path, (child.text or "").strip())
    return paths
