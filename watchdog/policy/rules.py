"""What an incident asks of a run, before any permission: one wish an incident.

1. Nothing known is no reason to act; an application's own errors never are one.
2. The driver's own verdict (field 230, Xid 154) decides the repair.
3. A contained or remapped memory error (63, 94, remapping pending) waits for the next checkpoint.
4. A failure that needs a reset, a reboot or a person takes the node away: drain. Slow, hot or narrow is excluded, not
   drained; a full disk or tight memory is for people.
5. A warning that needs a reset asks for a checkpoint; any other warning is for people to read.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from watchdog.vocabulary.families import Family, family_of
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.incidents import Incident
from watchdog.vocabulary.signals import Action

_RESETS = frozenset({"reset_gpu", "drain_reset", "reboot_node"})
_PEOPLE = frozenset({"inspect", "contact_support"})
_WAITS: dict[str, str] = {
    "xid_63": "a row is to be remapped",
    "row_remap_pending": "a row is to be remapped",
    "remap_pending": "a row is to be remapped",
    "xid_94": "the memory error was contained: the rank on it died, the GPU is usable after a reset",
}
"""Codes that wait for the next checkpoint (NVIDIA's catalogue: 63 none, 94 restart the application)."""
_GO_WITH_IT = frozenset({"ecc_uncorrected", "ecc_corrected", "row_remap_few_spares", "row_remap_no_spares", "xid_92"})
"""Counters and warnings of the very errors above: they ask for no more than those do."""
_FROM_VERDICT, _FROM_FAIL, _FROM_WARN = 1.0, 0.9, 0.6
"""Confidence, our own scale: the driver says so; a detector is certain; it is likely."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What one incident asks for."""

    incident: Incident
    action: Action
    why: str
    """One sentence."""
    confidence: float


def wish_of(incident: Incident, findings: Iterable[Finding]) -> Wish:
    """What `incident` asks for. `findings`: all that stand, among which may be the driver's verdict on its root."""
    family = family_of(incident.root_code)
    if incident.severity is Severity.UNKNOWN or family is Family.UNKNOWN:
        return _wish(incident, Action.NONE, "not known is no reason to act", _FROM_WARN)
    if incident.severity is Severity.OK:
        return _wish(incident, Action.NONE, "nothing is wrong", _FROM_WARN)
    if family is Family.APPLICATION:
        return _wish(incident, Action.NONE, "an error of the application, not of the hardware", _FROM_FAIL)
    verdict = _verdict(incident, findings)
    if not verdict and _only_waits(incident):
        waits = next(_WAITS[code] for code in incident.codes if code in _WAITS)
        return _wish(incident, Action.SAVE, f"{waits}; save, and reset the GPU at the next checkpoint", _FROM_FAIL)
    return _by_word(incident, family, verdict or incident.action, is_verdict=bool(verdict))


def _by_word(incident: Incident, family: Family, word: str, *, is_verdict: bool) -> Wish:
    says = f"the driver asks for {word}" if is_verdict else f"it needs {word}"
    is_fail = incident.severity is Severity.FAIL or is_verdict
    confidence = _FROM_VERDICT if is_verdict else _FROM_FAIL if is_fail else _FROM_WARN
    if word == "stop_job":
        return _wish(incident, Action.STOP, says, confidence)
    if word == "save" or (word in _RESETS and not is_fail):
        return _wish(incident, Action.SAVE, says, confidence)
    if family is Family.TRAINING or not is_fail or word not in _RESETS | _PEOPLE:
        return _wish(incident, Action.NONE, f"{says}: nothing for the run to do", confidence)
    if family is Family.HOST and word in _PEOPLE:
        return _wish(incident, Action.NONE, f"{says}: for people to look at", confidence)
    is_usable = family in (Family.SYMPTOM, Family.BUS) and word in _PEOPLE
    return _wish(incident, Action.EXCLUDE if is_usable else Action.DRAIN, says, confidence)


def _only_waits(incident: Incident) -> bool:
    """Whether every hardware code in it may wait for a checkpoint, and a repair has not failed already."""
    ignored = (Family.APPLICATION, Family.TRAINING, Family.VERDICT)
    codes = {code for code in incident.codes if family_of(code) not in ignored}
    has_failed_before = incident.severity is Severity.FAIL and incident.action in _PEOPLE
    return not codes.isdisjoint(_WAITS) and codes <= _WAITS.keys() | _GO_WITH_IT and not has_failed_before


def _verdict(incident: Incident, findings: Iterable[Finding]) -> str:
    """The repair that the driver asks for on the root, or nothing."""
    words = [
        finding.action
        for finding in findings
        if finding.subject == incident.root
        and family_of(finding.code) is Family.VERDICT
        and finding.action in _RESETS | _PEOPLE
    ]
    if words:
        return words[0]
    was_said = any(family_of(code) is Family.VERDICT for code in incident.codes)
    return incident.action if was_said and incident.action in _RESETS else ""


def _wish(incident: Incident, action: Action, why: str, confidence: float) -> Wish:
    return Wish(incident=incident, action=action, why=why, confidence=confidence)
