"""What a kernel line says, whichever driver wrote it. Pure: no clock, no I/O; one line at a time never raises.

`parse_text` takes the text without its stamp (`kmsg_prefix.take_apart`); `LogReader` reads the lines of a log in order.
"""

import re

from watchdog.collectors.kmsg_event import PCI, KernelEvent, pci_address
from watchdog.collectors.kmsg_nvidia import parse_sxid, parse_xid
from watchdog.collectors.kmsg_rules import Rule, rules_for

_IDENTITY = re.compile(rf"NVRM: GPU at PCI:({PCI}): (GPU-[0-9a-f-]{{1,40}})\b")
_LOADED = re.compile(r"NVRM: loading NVIDIA UNIX .{0,80}? Kernel Module .{0,40}? (\d{1,4}(?:\.\d{1,4}){1,3}) ")
_MOST_GPUS = 256
"""More than any node has; a log that says more is not true."""
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


class LogReader:
    """Reads the lines of one log in order, and remembers what later lines need.

    That is: the driver's version and the names of GPUs, where the log says them, and a message of three lines that is
    under way.
    """

    def __init__(self, driver: str | None = None) -> None:
        self.driver = driver
        self.uuids: dict[str, str] = {}
        """UUID by PCI address, as the driver said."""
        self._begun: str | None = None
        self._num_since = 0

    def parse(self, text: str) -> KernelEvent | None:
        """As `parse_text`; the last line of a spread message gives the event of the whole."""
        self._num_since += 1
        if text.startswith("NVRM: ") and not text.startswith("NVRM: Xid"):
            return self._parse_nvrm(text)
        return parse_text(text, self.driver)

    def _parse_nvrm(self, text: str) -> KernelEvent | None:
        if loaded := _LOADED.match(text):
            self.driver = loaded[1]
        elif identity := parse_identity(text):
            if len(self.uuids) < _MOST_GPUS:
                self.uuids[identity[0]] = identity[1]
        elif begin := _PARTS_BEGIN.match(text):
            self._begun, self._num_since = pci_address(begin[1]), 0
        elif text.startswith(_PARTS_END):
            pci, self._begun = self._begun, None
            return _fallen_off(pci) if pci is not None and self._num_since <= _PARTS_APART else None
        else:
            return parse_text(text, self.driver)
        return None


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
        label=rule.label.replace("{word}", str(word or "")),
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
