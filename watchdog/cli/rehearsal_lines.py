"""Kernel lines to rehearse with, exactly as drivers and kernel print them. Pure; what codes mean is the catalogue's.

The wordings are those of the open kernel modules and of public logs. A process in them is ``fryer-inject``, so that
whoever reads the log later sees that it was a rehearsal.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from watchdog.collectors.kmsg_event import PCI, KernelEvent, pci_address
from watchdog.collectors.kmsg_lines import LogReader
from watchdog.vocabulary.errors import UsageError, nearest
from watchdog.xids import sxid, sxids, xid, xids

PROCESS = "fryer-inject"
EXAMPLE_PCI = "0000:1b:00"
MOST_CHARACTERS = 900
"""The kernel takes records of about 1,000 bytes."""
_BY = "pid={pid}, name={process}, "
_ADDRESS = re.compile(PCI)
_SHORT_ADDRESS = re.compile(r"[0-9a-fA-F]{2}:[0-9a-fA-F]{2}(?:\.[0-9a-fA-F])?")

_XIDS: Mapping[int, str] = MappingProxyType(
    {
        13: _BY + "Graphics SM Warp Exception on (GPC 9, TPC 1, SM 1): Out Of Range Address",
        31: _BY + "Ch 00000008, intr 00000000. MMU Fault: ENGINE GRAPHICS GPCCLIENT_T1_0 faulted @ 0x7f4a_5c000000. "
        "Fault is of type FAULT_PDE ACCESS_TYPE_VIRT_READ",
        43: _BY + "Ch 00000008",
        45: _BY + "Ch 00000001",
        48: _BY + "An uncorrectable double bit error (DBE) has been detected on GPU in the framebuffer at physAddr "
        "0x12bac1c3e0 partition 2, subpartition 1.",
        63: _BY + "Row Remapper: New row marked for remapping, reset gpu to activate.",
        64: _BY + "Row Remapper Error: (0x00000002eebc4100) - All reserved rows for bank are remapped",
        74: _BY + "NVLink: fatal error detected on link 14(0x0, 0x0, 0x10000, 0x0, 0x0, 0x0, 0x0)",
        79: _BY + "GPU has fallen off the bus.",
        94: _BY + "Contained: SM (0x1). RST: No, D-RST: No",
        95: _BY + "Uncontained: LTC TAG (0x2,0x0). RST: Yes, D-RST: No",
        119: _BY + "Timeout after 6s of waiting for RPC response from GPU0 GSP! Expected function 76 (GSP_RM_CONTROL) "
        "(0x20803032 0x58c).",
        120: "GSP task exception: load access page fault (cause:0xd) @ pc:0x140ca4a, partition:4#0, task:3",
        149: "NETIR_LINK_EVT  Fatal   XC0 i0 Link 01 (0x021425c6 0x00000000 0x00000000 0x00000000 0x00000000 "
        "0x00000000)",
        154: "GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)",
    }
)
"""What follows the code."""
_RECOVERIES = {"none": "0x0 (None)", "reset": "0x1 (GPU Reset Required)", "drain": "0x4 (Drain and Reset)"}
_SXIDS: Mapping[int, str] = MappingProxyType(
    {
        20034: "Fatal, Link 48 LTSSM Fault Up",
        22013: "Non-fatal, Link 44 Minion Link DLREQ interrupt",
        24007: "Fatal, Link 28 sourcetrack timeout error (First)",
        26006: "SOE HALTED",
    }
)
_OTHERS: Mapping[str, str] = MappingProxyType(
    {
        "aer_fatal": "pcieport {pci}.0: AER: Uncorrected (Fatal) error received: id=0010",
        "aer_corrected": "pcieport {pci}.0: AER: Corrected error received: id=0010",
        "oom": "Out of memory: Killed process {pid} ({process}) total-vm:3149468kB, anon-rss:164992kB, "
        "file-rss:52176kB, shmem-rss:92kB, UID:0 pgtables:1372kB oom_score_adj:0",
        "oom_cgroup": "Memory cgroup out of memory: Killed process {pid} ({process}) total-vm:3149468kB, "
        "anon-rss:164992kB, file-rss:52176kB, shmem-rss:92kB, UID:0 pgtables:1372kB oom_score_adj:986",
        "hung_task": "INFO: task {process}:{pid} blocked for more than 120 seconds.",
        "soft_lockup": "watchdog: BUG: soft lockup - CPU#3 stuck for 22s! [{process}:{pid}]",
        "edac_ue": "EDAC MC0: 1 UE memory read error on CPU_SrcID#0_MC#0_Chan#0_DIMM#0 (channel:0 slot:0 page:0x0 "
        "offset:0x0 grain:32)",
        "mce": "mce: [Hardware Error]: Machine check events logged",
        "filesystem_readonly": "EXT4-fs (nvme0n1p1): Remounting filesystem read-only",
        "nvme_timeout": "nvme nvme0: I/O 24 (I/O Cmd) QID 3 timeout, aborting",
        "nvme_dead": "nvme nvme0: Disabling device after reset failure: -19",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A line that `--list` shows."""

    name: str
    template: str

    @property
    def needs_pci(self) -> bool:
        """Whether the line names a device."""
        return "{pci}" in self.template


def ready_lines() -> Mapping[str, Ready]:
    """Every ready line by name, in the order in which they are shown."""
    templates = {f"xid_{code}": _xid_template(code, words) for code, words in _XIDS.items()}
    for name, asked in _RECOVERIES.items():
        templates[f"xid_154_{name}"] = _xid_template(154, f"GPU recovery action changed from 0x0 (None) to {asked}")
    templates |= {f"sxid_{code}": _sxid_template(code, words) for code, words in _SXIDS.items()}
    templates |= _OTHERS
    return {name: Ready(name=name, template=line) for name, line in templates.items()}


def named_line(name: str) -> str:
    """The template of a ready line; raises `UsageError` with the nearest name."""
    ready = ready_lines()
    if name not in ready:
        raise UsageError(f"no ready line {name!r}{nearest(name, ready)}")
    return ready[name].template


def xid_line(code: int) -> str:
    """The template of an Xid of the catalogue; raises `UsageError` for a code that it does not have.

    Where no wording is known here, the catalogue's meaning stands after the code: readers go by the code.
    """
    if code not in xids():
        raise UsageError(f"no Xid {code} in the catalogue; write a whole line with --kmsg to rehearse an unknown one")
    return _xid_template(code, _XIDS.get(code, _BY + xid(code).meaning))


def sxid_line(code: int) -> str:
    """The template of an SXid of the catalogue; raises `UsageError` for a code that it does not have."""
    if code not in sxids():
        raise UsageError(f"no SXid {code} in the catalogue; write a whole line with --kmsg to rehearse an unknown one")
    word = "Fatal" if sxid(code).driver_word in ("fatal", "always_fatal") else "Non-fatal"
    return _sxid_template(code, _SXIDS.get(code, f"{word}, Link 00 {sxid(code).meaning}"))


def filled(template: str, *, pci: str | None, pid: int) -> str:
    """The line itself; raises `UsageError` where an address is missing, is none, or is given in vain."""
    if "{pci}" not in template:
        if pci is not None:
            raise UsageError("--pci is given, and this line names no device; leave it out")
        return template.format(pid=pid, process=PROCESS)
    if pci is None:
        raise UsageError(f"this line names a device: give --pci BUS, as nvidia-smi and lspci show it: {EXAMPLE_PCI}.0")
    return template.format(pci=address(pci), pid=pid, process=PROCESS)


def address(text: str) -> str:
    """``00000000:1B:00.0``, ``1b:00.0`` -> ``0000:1b:00``; raises `UsageError`."""
    whole = f"0000:{text}" if _SHORT_ADDRESS.fullmatch(text) else text
    if not _ADDRESS.fullmatch(whole):
        raise UsageError(f"--pci {text!r} is no PCI address; write one as nvidia-smi and lspci do: {EXAMPLE_PCI}.0")
    return pci_address(whole)


def checked_line(text: str) -> str:
    """A line of a person's own; raises `UsageError` where the kernel would not take it as one."""
    if not text.strip() or not text.isprintable() or len(text.encode()) > MOST_CHARACTERS:
        raise UsageError(f"--kmsg: give one line of 1 to {MOST_CHARACTERS} bytes, without control characters")
    return text


def as_read(line: str) -> KernelEvent | None:
    """What the daemon's reader makes of the line; None where it says nothing to it."""
    return LogReader(None).parse(line)


def _xid_template(code: int, words: str) -> str:
    return f"NVRM: Xid (PCI:{{pci}}): {code}, {words}"


def _sxid_template(code: int, words: str) -> str:
    return f"nvidia-nvswitch0: SXid (PCI:{{pci}}.0): {code:05d}, {words}"
