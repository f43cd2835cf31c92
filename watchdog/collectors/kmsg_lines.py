"""What a kernel line says, whichever driver wrote it. Pure: no clock, no I/O; one line at a time never raises.

`parse_text` takes the text without its stamp (`kmsg_prefix.take_apart`). `Joiner` adds the one message that the driver
spreads over three lines.
"""

import re

from watchdog.collectors.kmsg_event import PCI, KernelEvent, pci_address
from watchdog.collectors.kmsg_nvidia import parse_sxid, parse_xid
from watchdog.collectors.kmsg_rules import Rule, rules_for

_IDENTITY = re.compile(rf"NVRM: GPU at PCI:({PCI}): (GPU-[0-9a-f-]{{1,40}})\b")
_PARTS_BEGIN = re.compile(rf"NVRM: The NVIDIA GPU ({PCI})")
_PARTS_END = "NVRM: fallen off the bus and is not responding to commands."
_PARTS_APART = 8
"""Lines of other drivers may come between; further apart they belong to different messages."""


def parse_text(text: str, driver: str | None = None) -> KernelEvent | None:
    """What `text` reports; None when it is of no concern, or only part of a neighbour's message.

    `driver`, as "570.124.06", tells numbers apart that changed their meaning.
    """
    if text.startswith("NVRM: Xid"):
        return parse_xid(text, driver)
    if text.startswith("nvidia-nvswitch"):
        return parse_sxid(text, driver)
    return next((event for rule in rules_for(text) if (event := _apply(rule, text)) is not None), None)


def parse_identity(text: str) -> tuple[str, str] | None:
    """(PCI address, UUID) where the driver says which GPU it is: names a GPU that NVML can't."""
    found = _IDENTITY.match(text)
    return None if found is None else (pci_address(found[1]), found[2])


class Joiner:
    """Reads lines in order, and puts a message of three lines together into one event."""

    def __init__(self) -> None:
        self._begun: str | None = None
        self._num_since = 0

    def parse(self, text: str, driver: str | None = None) -> KernelEvent | None:
        """As `parse_text`; the last line of a spread message gives the event of the whole."""
        self._num_since += 1
        begin = _PARTS_BEGIN.match(text)
        if begin is not None:
            self._begun, self._num_since = pci_address(begin[1]), 0
            return None
        if text.startswith(_PARTS_END) and self._begun is not None:
            pci, self._begun = self._begun, None
            return _fallen_off(pci) if self._num_since <= _PARTS_APART else None
        return parse_text(text, driver)


def _fallen_off(pci: str) -> KernelEvent:
    return KernelEvent(
        kind="nvrm",
        label="nvrm_fallen_off_bus",
        severity="fatal",
        action="reboot_node",
        message="the GPU has fallen off the bus",
        pci=pci,
        about="gpu",
    )


def _apply(rule: Rule, text: str) -> KernelEvent | None:
    found = rule.pattern.match(text)
    if found is None:
        return None
    data: dict[str, object] = {key: _value(key, word) for key, word in found.groupdict().items() if word is not None}
    pci, name, word = (data.pop(key, None) for key in ("pci", "name", "word"))
    if name:
        data["device"] = name
    return KernelEvent(
        kind=rule.kind,
        label=rule.label.replace("{word}", str(word or "").lower().replace("-", "")),
        severity=rule.severity,
        action=rule.action,
        message=f"{rule.meaning}: {text[:200]}",
        pci=pci_address(str(pci)) if pci else None,
        about="gpu" if data.get("driver") == "nvidia" and rule.about == "node" else rule.about,
        name=str(name or ""),
        data=data,
    )


def _value(key: str, word: str) -> object:
    if key == "syndrome":
        return int(word, 16)
    return int(word) if key in ("pid", "errors", "seconds", "cpu", "limit", "module") else word
