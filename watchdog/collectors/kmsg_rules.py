"""Every other kernel line that matters on a training node, as data: one rule a wording.

Severities and actions are our own choice; each wording was seen in a public log or is the kernel's own format. Patterns
are matched at the start of the text, so that a line which only quotes another is none, and repeat over bounded lengths.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from watchdog.collectors.kmsg_event import PCI
from watchdog.vocabulary.subjects import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One wording. Named groups of the pattern: `pci`; `name` of the part; all others go into the event's data."""

    starts: str
    """Literal start of the text, its first word whole; empty where it varies."""
    pattern: re.Pattern[str]
    kind: str
    label: str
    """May contain ``{word}``: what the group `word` matched."""
    severity: str
    action: str
    meaning: str
    about: Kind = "node"


def _rule(starts: str, rest: str, kind: str, label: str, grade: str, meaning: str, about: Kind = "node") -> Rule:
    severity, _, action = grade.partition(" ")
    pattern = re.compile(re.escape(starts) + rest)
    return Rule(
        starts=starts,
        pattern=pattern,
        kind=kind,
        label=label,
        severity=severity,
        action=action,
        meaning=meaning,
        about=about,
    )


_GPU = rf"(?P<pci>{PCI})"
_DEVICE = rf"(?P<driver>[\w-]{{1,32}}) {_GPU}: "
_AER = rf"{_DEVICE}(?:AER: )?(?:Multiple )?"
_PORT = rf"{_GPU}(?: \S{{1,32}})?: (?:\w{{1,64}}:\d{{1,6}}:\(pid \d{{1,10}}\): )?"
_DISK = r"(?P<name>[\w!-]{1,64})"

NVRM = (
    _rule("NVRM: GPU ", rf"{_GPU}: GPU has fallen off the bus", "nvrm", "nvrm_fallen_off_bus", "fatal reboot_node",
          "the GPU has fallen off the bus", "gpu"),
    _rule("NVRM: GPU ", rf"{_GPU}: RmInitAdapter failed! \((?P<reason>[\w:]{{1,64}})\)", "nvrm", "nvrm_init_failed",
          "critical reset_gpu", "the driver can't initialise the GPU", "gpu"),
    _rule("NVRM: ", r"[^\[]{0,300}\[NV_ERR_RESET_REQUIRED\]", "nvrm", "nvrm_reset_required", "critical reset_gpu",
          "a GPU must be reset before it can be used"),
    _rule("NVRM: Rate limiting GSP RPC error prints for GPU at PCI:", _GPU, "nvrm", "nvrm_gsp_rate_limited",
          "critical reset_gpu", "GSP errors are printed 1 in 30 from here on", "gpu"),
)  # fmt: skip
OF_NVIDIA = (
    _rule("nvidia-peermem ", r".{0,200}ERROR detected invalid context", "peermem", "peermem_invalid_context",
          "info none", "peer memory was freed in a context that is gone"),
    _rule("", r"(?P<process>.{1,64})\[(?P<pid>\d{1,10})\]: segfault at .{1,300} in libnccl\.so", "segfault",
          "nccl_segfault", "warning restart_app", "a process crashed in NCCL"),
)  # fmt: skip
PCIE = (
    _rule("", rf"{_AER}Uncorrect(?:ed|able) \(Fatal\) error", "aer", "aer_fatal", "critical reboot_node",
          "uncorrected fatal PCIe error"),
    _rule("", rf"{_AER}PCIe Bus Error: severity=Uncorrect(?:ed|able) \(Fatal\)", "aer", "aer_fatal",
          "critical reboot_node", "uncorrected fatal PCIe error"),
    _rule("", rf"{_AER}Uncorrect(?:ed|able) \(Non-Fatal\) error", "aer", "aer_nonfatal", "warning inspect",
          "uncorrected PCIe error"),
    _rule("", rf"{_AER}PCIe Bus Error: severity=Uncorrect(?:ed|able) \(Non-Fatal\)", "aer", "aer_nonfatal",
          "warning inspect", "uncorrected PCIe error"),
    _rule("", rf"{_AER}Correct(?:ed|able) error", "aer", "aer_corrected", "info none", "corrected PCIe error"),
    _rule("", rf"{_AER}PCIe Bus Error: severity=Correct(?:ed|able)", "aer", "aer_corrected", "info none",
          "corrected PCIe error"),
    _rule("", rf"{_DEVICE}(?:AER: )? {{0,8}}\[ ?5\] (?:Surprise Down|SDES)", "aer", "aer_surprise_down",
          "critical reboot_node", "a PCIe link went down by itself"),
    _rule("", rf"{_DEVICE}[\d.]{{1,16}} Gb/s available PCIe bandwidth, limited by ", "pcie", "pcie_bw_limited",
          "warning inspect", "a PCIe link is narrower or slower than its device"),
)  # fmt: skip
HOST = (
    _rule("", r"(?:mce: )?\[Hardware Error\]: Machine check events logged", "mce", "mce", "warning inspect",
          "the CPU reported a machine check"),
    _rule("", r"(?:mce: )?\[Hardware Error\]: CPU \d{1,5}: Machine Check Exception: ", "mce", "mce_exception",
          "critical inspect", "machine check exception"),
    _rule("EDAC ", r"(?P<name>MC\d{1,4}): (?P<errors>\d{1,9}) CE ", "edac", "edac_ce", "warning none",
          "corrected errors of host memory"),
    _rule("EDAC ", r"(?P<name>MC\d{1,4}): (?P<errors>\d{1,9}) UE ", "edac", "edac_ue", "critical inspect",
          "uncorrected errors of host memory"),
    _rule("", r"(?:\{\d{1,9}\})?\[Hardware Error\]: event severity: (?P<word>fatal)", "ghes", "ghes_{word}",
          "critical inspect", "the firmware reports a fatal hardware error"),
    _rule("", r"(?:\{\d{1,9}\})?\[Hardware Error\]: event severity: (?P<word>recoverable|corrected|info)", "ghes",
          "ghes_{word}", "warning inspect", "the firmware reports a hardware error"),
    _rule("Memory failure: ", r"0x[0-9a-f]{1,16}: ", "memory_failure", "memory_failure", "critical inspect",
          "a page of host memory is bad"),
    _rule("Out of memory: Killed process ", r"(?P<pid>\d{1,10}) \((?P<process>[^)]{0,64})\)", "oom", "oom_kill",
          "warning restart_app", "the host ran out of memory and killed a process"),
    _rule("Killed process ", r"(?P<pid>\d{1,10}) \((?P<process>[^)]{0,64})\)", "oom", "oom_kill",
          "warning restart_app", "the host ran out of memory and killed a process"),
    _rule("Memory cgroup out of memory: Killed process ", r"(?P<pid>\d{1,10}) \((?P<process>[^)]{0,64})\)", "oom",
          "oom_kill_cgroup", "warning restart_app", "a job ran out of its memory limit and lost a process"),
    _rule("INFO: task ", r"(?P<process>.{1,64}):(?P<pid>\d{1,10}) blocked for more than (?P<seconds>\d{1,9}) sec",
          "hung_task", "hung_task", "warning none", "a process hangs in the kernel"),
    _rule("", r"(?:NMI )?(?:watchdog: )?BUG: soft lockup - CPU#(?P<cpu>\d{1,5}) stuck for (?P<seconds>\d{1,9})s",
          "lockup", "soft_lockup", "critical reboot_node", "a CPU is stuck in the kernel"),
    _rule("", r"(?:NMI )?watchdog: Watchdog detected hard LOCKUP on cpu (?P<cpu>\d{1,5})", "lockup", "hard_lockup",
          "critical reboot_node", "a CPU is stuck with interrupts off"),
    _rule("VFS: file-max limit ", r"(?P<limit>\d{1,20}) reached", "file_max", "file_max", "warning none",
          "no more files can be opened on this host"),
    _rule("Kernel panic - not syncing: ", "", "panic", "kernel_panic", "fatal reboot_node", "the kernel panicked"),
)  # fmt: skip
STORAGE = (
    _rule("", rf"(?:blk_update_request: |print_req_error: )?(?:critical \w{{1,16}}|I/O) error, dev {_DISK}, sector ",
          "io_error", "io_error", "warning inspect", "a disk could not be read or written", "disk"),
    _rule("Buffer I/O error on dev ", rf"{_DISK},", "io_error", "io_error", "warning inspect",
          "a disk could not be read or written", "disk"),
    _rule("Aborting journal on device ", r"(?P<name>[\w!-]{1,64})-\d{1,9}\.", "filesystem", "fs_journal_abort",
          "critical inspect", "a file system stopped its journal", "disk"),
    _rule("EXT4-fs (", rf"{_DISK}\): I/O error while writing superblock", "filesystem", "fs_io_error",
          "critical inspect", "a file system could not write its superblock", "disk"),
    _rule("EXT4-fs (", rf"{_DISK}\): Remounting filesystem read-only", "filesystem", "fs_readonly",
          "critical inspect", "a file system is read-only from here on", "disk"),
    _rule("EXT4-fs error (device ", rf"{_DISK}\)", "filesystem", "fs_error", "critical inspect",
          "a file system is damaged", "disk"),
    _rule("XFS (", rf"{_DISK}\): (?:log|metadata) I/O error", "filesystem", "fs_io_error", "critical inspect",
          "a file system could not read or write its metadata", "disk"),
    _rule("XFS (", rf"{_DISK}\): .{{0,120}}(?:Shutting down filesystem|Filesystem has been shut down)", "filesystem",
          "fs_shutdown", "critical inspect", "a file system shut itself down", "disk"),
    _rule("", r"md/raid[^ ]{1,40}: Disk failure on (?P<name>\w{1,64})", "raid", "raid_failure", "critical inspect",
          "a disk of an array failed", "disk"),
    _rule("nvme ", r"(?P<name>nvme\d{1,5}): I/O .{1,120}timeout, ", "nvme", "nvme_timeout", "warning inspect",
          "an NVMe disk does not answer in time", "disk"),
    _rule("nvme ", r"(?P<name>nvme\d{1,5}): Disabling device after reset failure: ", "nvme", "nvme_dead",
          "critical inspect", "an NVMe disk is gone", "disk"),
    _rule("nvme ", r"(?P<name>nvme\d{1,5}): Removing after probe failure", "nvme", "nvme_dead", "critical inspect",
          "an NVMe disk is gone", "disk"),
    _rule("nvme ", r"(?P<name>nvme\d{1,5}): controller is down; will reset", "nvme", "nvme_reset", "warning inspect",
          "an NVMe disk went down and is reset", "disk"),
    _rule("nfs: server ", r"(?P<server>\S{1,255}) not responding, ", "nfs", "nfs_timeout", "warning none",
          "an NFS server does not answer"),
)  # fmt: skip
NETWORK = (
    _rule("mlx5_core ", rf"{_PORT}(?P<command>\w{{1,64}})\(0x[0-9a-f]{{1,8}}\) timeout\. Will cause a leak", "mlx5",
          "mlx5_cmd_timeout", "warning inspect", "a NIC does not answer its driver", "nic"),
    _rule("mlx5_core ", rf"{_PORT}device's health compromised", "mlx5", "mlx5_health", "critical inspect",
          "a NIC's firmware stopped", "nic"),
    _rule("mlx5_core ", rf"{_PORT}synd 0x(?P<syndrome>[0-9a-f]{{1,8}}): ", "mlx5", "mlx5_health", "critical inspect",
          "a NIC's firmware reports a fault", "nic"),
    _rule("mlx5_core ", rf"{_PORT}Detected insufficient power on the PCIe slot", "mlx5", "mlx5_power",
          "warning inspect", "a NIC has too little power", "nic"),
    _rule("mlx5_core ", rf"{_PORT}Port module event\[error\]: module (?P<module>\d{{1,4}}), Cable error, High Temp",
          "mlx5", "mlx5_module_temp", "warning inspect", "a cable or optics module is too hot", "nic"),
    _rule("mlx5_core ", rf"{_PORT}Port module event\[error\]: module (?P<module>\d{{1,4}}), Cable error", "mlx5",
          "mlx5_module_error", "warning inspect", "a cable or optics module is bad", "nic"),
    _rule("mlx5_core ", rf"{_PORT}ACCESS_REG\(0x[0-9a-f]{{1,8}}\) op_mod\(0x[0-9a-f]{{1,8}}\) failed", "mlx5",
          "mlx5_access_reg", "info none", "a NIC refused a register read, often a monitor's own", "nic"),
    _rule("mlx5_core ", rf"{_PORT}NETDEV WATCHDOG: ", "netdev", "netdev_tx_timeout", "warning inspect",
          "a network interface stopped sending", "nic"),
    _rule("NETDEV WATCHDOG: ", r"(?P<interface>\S{1,32}) \(\S{1,32}\): transmit queue \d{1,5} timed out", "netdev",
          "netdev_tx_timeout", "warning inspect", "a network interface stopped sending", "nic"),
)  # fmt: skip
RULES = (*NVRM, *OF_NVIDIA, *PCIE, *HOST, *STORAGE, *NETWORK)
"""In order; the first that matches decides."""


def rules_for(text: str) -> Iterator[Rule]:
    """The rules that can match `text`, in order: most lines of a log are ruled out by their first word."""
    yield from _BY_FIRST_WORD.get(text.partition(" ")[0], ())
    yield from _BY_FIRST_WORD[""]


def _by_first_word() -> Mapping[str, tuple[Rule, ...]]:
    words = {rule.starts.partition(" ")[0] for rule in RULES}
    return {word: tuple(rule for rule in RULES if rule.starts.partition(" ")[0] == word) for word in words}


_BY_FIRST_WORD = _by_first_word()
