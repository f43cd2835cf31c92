"""Lines of NVIDIA's drivers that carry a number: Xids of GPUs and SXids of NVSwitches. Pure.

Formats, from the open kernel modules: ``NVRM: Xid (PCI:%04x:%02x:%02x[ GPU-I:%02u[ GPU-CI:%02u]]): %d, pid=%s, name=%s,
msg[ caused by previous Xid %d]`` and ``nvidia-nvswitch%d: SXid (PCI:%04x:%02x:%02x.%x): %05d, `` followed by
``Fatal|Non-fatal, Link %02d text``, by ``Severity`` or ``Data {`` (continuations of the line before), or by free text.
"""

import re
from collections.abc import Mapping

from watchdog.collectors.kmsg_event import PCI, KernelEvent, pci_address
from watchdog.xids import Entry, recovery, sxid, xid

RECOVERY_CHANGED = 154
_XID = re.compile(
    rf"NVRM: Xid \((?:PCI:)?({PCI})(?: GPU-I:(\d{{1,4}}))?(?: GPU-CI:(\d{{1,4}}))?\): (\d{{1,6}})\b"
    r"(?:, pid=([^,]{0,64}))?(?:,\s{1,8}name=([^,]{0,64}))?(?:,|$)\s{0,8}(.*)"
)
_SXID = re.compile(rf"nvidia-nvswitch(\d{{1,4}}): SXid \(PCI:({PCI})\): (\d{{1,6}}), (.*)")
_SXID_CONTINUATION = re.compile(r"Data \{|Severity \d")
_WORD = re.compile(r"(Fatal|Non-fatal), ")
_LINK = re.compile(r"\b[Ll]ink (-?\d{1,4})\b")
_NVLINK5_WORD = re.compile(r"\S{1,32}\s{1,8}(Fatal|Nonfatal)\b")
_PREVIOUS = re.compile(r"\bcaused by previous Xid (\d{1,6})")
_CHANGED = re.compile(r"recovery action changed from 0x([0-9a-fA-F]{1,8})\b[^)]{0,64}\) to 0x([0-9a-fA-F]{1,8})\b")
_SM = re.compile(r"\(GPC (\d{1,4}), TPC (\d{1,4})(?:, SM (\d{1,4}))?\)")
_PID = re.compile(r"[0-9]{1,10}")
_SHOWN_CHARACTERS = 200


def parse_xid(text: str, driver: str | None = None) -> KernelEvent | None:
    """The Xid in `text`, or None when it is no such line. Xid 154 is of kind ``recovery``."""
    found = _XID.match(text)
    if found is None:
        return None
    printed, gpu_instance, compute_instance, number, pid, process, message = found.groups()
    entry = xid(int(number), driver=driver, text=message)
    previous = _PREVIOUS.search(message)
    data = {
        "pid": int(pid) if pid and _PID.fullmatch(pid) else None,
        "process": process if process and process != "<unknown>" else None,
        "gpu_instance": _number(gpu_instance),
        "compute_instance": _number(compute_instance),
        "previous_xid": _number(previous[1]) if previous else None,
        **_nvlink_data(entry, message),
        **_place(message),
    }
    pci = pci_address(printed)
    if entry.code == RECOVERY_CHANGED:
        return _recovery(pci, message, data)
    return _event(entry, entry.code, pci, message, data)


def parse_sxid(text: str, driver: str | None = None) -> KernelEvent | None:
    """The SXid in `text`; None for another line, and for a continuation: that belongs to the SXid before it."""
    found = _SXID.match(text)
    if found is None or _SXID_CONTINUATION.match(found[4]):
        return None
    switch, printed, number, message = found.groups()
    entry = sxid(int(number), driver=driver, text=message)
    word = _WORD.match(message)
    link = _LINK.search(message)
    data = {
        "switch": int(switch),
        "is_fatal": word[1] == "Fatal" if word else None,
        "link": int(link[1]) if link else None,
        "current_code": entry.code if entry.code != int(number) else None,
    }
    return _event(entry, int(number), pci_address(printed), message[word.end() :] if word else message, data)


def _event(entry: Entry, code: int, pci: str, message: str, data: Mapping[str, object]) -> KernelEvent:
    is_fatal = data.get("is_fatal")
    judged = entry.as_printed(is_fatal if isinstance(is_fatal, bool) else None)
    name = "Xid" if entry.family == "xid" else "SXid"
    return KernelEvent(
        kind=entry.family,
        label=entry.family,
        code=code,
        severity=judged.severity,
        action=judged.action,
        message=f"{name} {code} ({entry.meaning}): {message[:_SHOWN_CHARACTERS].strip()}",
        pci=pci,
        about="gpu" if entry.family == "xid" else "switch",
        data=_present({**data, "group": entry.group}),
    )


def _recovery(pci: str, message: str, data: Mapping[str, object]) -> KernelEvent:
    """The driver's own verdict. A line whose numbers can't be read still says that something changed."""
    changed = _CHANGED.search(message)
    asked = recovery(int(changed[2], 16)) if changed else None
    entry = xid(RECOVERY_CHANGED)
    return KernelEvent(
        kind="recovery",
        label="xid",
        code=RECOVERY_CHANGED,
        severity=asked.severity if asked else entry.severity,
        action=asked.action if asked else entry.action,
        message=f"recovery action {asked.number:#x}: {asked.meaning}" if asked else message[:_SHOWN_CHARACTERS],
        pci=pci,
        about="gpu",
        data=_present(
            {
                **data,
                "group": entry.group,
                "recovery_from": int(changed[1], 16) if changed else None,
                "recovery_to": asked.number if asked else None,
            }
        ),
    )


def _nvlink_data(entry: Entry, message: str) -> dict[str, object]:
    if entry.scope != "nvlink":
        return {}
    link = _LINK.search(message)
    word = _NVLINK5_WORD.match(message) if entry.driver_word else None
    return {"link": int(link[1]) if link else None, "is_fatal": word[1] == "Fatal" if word else None}


def _place(message: str) -> dict[str, object]:
    """Where on the GPU: the same GPC and TPC again is what makes an Xid 13 suspect."""
    found = _SM.search(message)
    return {} if found is None else {"gpc": int(found[1]), "tpc": int(found[2]), "sm": _number(found[3])}


def _number(digits: str | None) -> int | None:
    return None if digits is None else int(digits)


def _present(data: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in data.items() if value is not None}
