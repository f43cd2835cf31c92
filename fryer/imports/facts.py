"""What a parser makes of a text: words for all formats. It judges nothing."""

from dataclasses import dataclass
from enum import StrEnum

from watchdog.vocabulary.errors import FryerError

Value = float | int | str | bool

NODE = ""
"""In place of a device: what concerns the file as a whole."""


class Malformed(FryerError):  # noqa: N818 - what a text is, not what went wrong here
    """A text that is cut off or broken; the message is one sentence that says what is missing."""


class Outcome(StrEnum):
    """What a tool said of one of its own tests."""

    PASS = "PASS"  # noqa: S105 - an outcome, not a password
    WARN = "WARN"
    FAIL = "FAIL"
    SKIP = "SKIP"
    ERROR = "ERROR"
    UNKNOWN = "UNKNOWN"
    """A word that this version does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A GPU that a file tells of."""

    name: str
    """``gpu3``: its index in the file's own numbering."""
    part: str = ""
    """Product name; empty where the file has none."""
    uuid: str = ""
    serial: str = ""
    pci_bus_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One figure or word of one subject. A reading that the file marks as not available makes no fact."""

    subject: str
    """Name of a device, or `NODE`."""
    metric: str
    """Its unit, a base unit, last in the name: ``power_limit_watts``."""
    value: Value
    case: str = ""
    """Which of several: ``device_to_device_memcpy_read_ce from gpu5``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What a tool said beside a test's outcome."""

    message: str
    error_id: int | None = None
    severity: int | None = None
    category: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One test of a tool on one subject."""

    name: str
    subject: str
    outcome: Outcome
    category: str = ""
    notices: tuple[Notice, ...] = ()
    info: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectiveFigure:
    """One row of a collective's table, in or out of place."""

    size_bytes: int
    is_in_place: bool
    seconds: float | None
    algbw_bytes_per_second: float | None
    busbw_bytes_per_second: float
    num_wrong: float | None
    """None: results were not verified."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectiveRun:
    """One sweep of one collective over message sizes."""

    name: str
    """``all_reduce_perf``, ``nodes_14``."""
    operation: str | None
    """A name of `fryer.collectives.cases.OPERATIONS`; None: the file does not say, nor do its figures."""
    num_ranks: int | None
    num_nodes: int | None
    parts: tuple[str, ...]
    """Product names of its GPUs, each once."""
    figures: tuple[CollectiveFigure, ...]
    num_out_of_bounds: int | None
    """As the tool counted; None where it did not."""
    is_below_own_limit: bool = False
    """The tool itself was given a least bandwidth (NCCL_TESTS_MIN_BW) and found less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that a file says."""

    devices: tuple[Device, ...] = ()
    facts: tuple[Fact, ...] = ()
    checks: tuple[Check, ...] = ()
    runs: tuple[CollectiveRun, ...] = ()
    missing: tuple[str, ...] = ()
    """A sentence for each thing that a whole file has and this one lacks."""
    failures: tuple[str, ...] = ()
    """A sentence for each way in which the tool itself failed."""
    remarks: tuple[str, ...] = ()
    """What the tool complained of although it ended as it should."""

    @property
    def is_complete(self) -> bool:
        """The file has all that its format ends with, and the tool did not fail."""
        return not self.missing and not self.failures

    def of(self, subject: str) -> dict[str, Value]:
        """The facts of one subject by metric, without those of a case."""
        return {fact.metric: fact.value for fact in self.facts if fact.subject == subject and not fact.case}
