"""One row of the catalogue, and what the line's own word does to it."""

from dataclasses import dataclass, replace
from typing import Literal, Self

Family = Literal["xid", "sxid"]

SEVERITIES = ("info", "warning", "critical", "fatal")
"""Gravest last. warning: the node stays usable; critical: a reset or an inspection after the job; fatal: act now."""
ACTIONS = ("none", "restart_app", "reset_gpu", "drain_reset", "reboot_node", "inspect", "contact_support")
CLASSES = ("application", "hardware", "driver", "nvlink", "info")
SCOPES = ("app", "gpu", "nvlink", "node")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is known of one code. An unknown code has one too, so that it is shown and never dropped."""

    family: Family
    code: int
    mnemonic: str
    """The driver's own name; ``UNKNOWN``."""
    meaning: str
    note: str = ""
    """What to look at, or what if it repeats; may be empty."""
    severity: str
    """One of `SEVERITIES`; ours, from the driver's word and the immediate action."""
    action: str
    """One of `ACTIONS`."""
    scope: str
    """What the action concerns: one of `SCOPES`."""
    group: str
    """The row's ``class``: one of `CLASSES`, or ``unknown``."""
    source: str
    """Where severity and action come from, and what of it is our own choice."""
    driver_word: str = ""
    """``fatal nonfatal always_fatal``, as driver and Fabric Manager guide say; ``disputed``; empty: neither says."""
    since: str = ""
    """First driver that has this meaning, where that is known."""
    absent_on: str = ""
    """Part that never has it."""

    @property
    def is_known(self) -> bool:
        """Whether the catalogue has the code."""
        return self.group != "unknown"

    def as_printed(self, is_fatal: bool | None) -> Self:
        """With the word of the line itself, Fatal or Non-fatal, which goes before any table; None: it has none.

        A row that is nonfatal by its sources, and grave by our own choice (jobs die of it), stays so.
        """
        is_grave = SEVERITIES.index(self.severity) > SEVERITIES.index("warning")
        if is_fatal and not is_grave:
            return replace(self, severity="critical", action="reset_gpu")
        if is_fatal is False and is_grave and self.driver_word != "nonfatal":
            return replace(self, severity="warning", action="none")
        return self


def unknown(family: Family, code: int) -> Entry:
    """The entry of a code that the catalogue does not have."""
    return Entry(
        family=family,
        code=code,
        mnemonic="UNKNOWN",
        meaning="not in this version's catalogue",
        note="look it up in NVIDIA's catalogue for the driver in use",
        severity="warning",
        action="contact_support",
        scope="gpu" if family == "xid" else "nvlink",
        group="unknown",
        source="own choice",
    )
