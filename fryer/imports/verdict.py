"""One text to one verdict. Pure.

A pass must be said: a file is PASS only where a judge concluded so. Whatever a file that is not whole shows until its
cut, the file as a whole is an ERROR; what it shows is listed all the same, and counts for the device that it is about.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from fryer.evidence import DeviceVerdict, Reason
from fryer.imports.cleaning import cleaned
from fryer.imports.conclusions import conclude
from fryer.imports.facts import NODE, Device, Facts, Malformed
from fryer.imports.formats import FORMATS, recognised
from fryer.judges.conclusion import Conclusion
from watchdog.vocabulary.verdicts import Verdict, gravest

_REPEAT = "repeat the run and keep its whole output"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileVerdict:
    """What was concluded of one file."""

    file: str
    """Its path as given; ``-`` for standard input."""
    format: str | None
    """Name of a format; None: unknown."""
    verdict: Verdict
    reasons: tuple[Reason, ...]
    """What concerns the file and no single device."""
    devices: tuple[DeviceVerdict, ...] = ()
    known: tuple[Device, ...] = ()
    """Who the devices are, in the order of `devices`."""
    facts: Facts = field(default_factory=Facts)


def judge_text(file: str, text: str, expected_bytes_per_second: float | None = None) -> FileVerdict:
    """The verdict on what `file` holds; never raises for what a file may hold."""
    plain = cleaned(text)
    if not plain.strip():
        return not_read(file, "empty", "it is empty: the tool's output is missing")
    found = recognised(plain)
    if found is None:
        names = ", ".join(each.name for each in FORMATS)
        return not_read(file, "unknown_format", f"it is none of the formats that are read: {names}")
    try:
        facts = found.parse(plain)
    except Malformed as error:
        return not_read(file, "cut_off", str(error), found.name)
    return _conclude(file, found.name, facts, found.judge(facts, expected_bytes_per_second))


def not_read(file: str, code: str, sentence: str, format_name: str | None = None) -> FileVerdict:
    """The verdict on a file that says nothing: ERROR, with one sentence on what is missing."""
    reason = conclude(code, Verdict.ERROR, sentence, remedy=_REPEAT).reason
    return FileVerdict(file=file, format=format_name, verdict=Verdict.ERROR, reasons=(reason,))


def _conclude(file: str, format_name: str, facts: Facts, found: Sequence[Conclusion]) -> FileVerdict:
    broken = [
        *(conclude("cut_off", Verdict.ERROR, sentence, remedy=_REPEAT) for sentence in facts.missing),
        *(conclude("failed", Verdict.ERROR, sentence, remedy=_REPEAT) for sentence in facts.failures),
    ]
    told = [conclude("tool_complained", Verdict.WARN, sentence) for sentence in facts.remarks]
    everything = [*broken, *found, *told] or [_nothing()]
    return FileVerdict(
        file=file,
        format=format_name,
        verdict=Verdict.ERROR if broken else gravest(each.reason.verdict for each in everything),
        reasons=tuple(each.reason for each in everything if each.device == NODE),
        devices=tuple(_device(device, everything) for device in facts.devices),
        known=facts.devices,
        facts=facts,
    )


def _nothing() -> Conclusion:
    return conclude("nothing_measured", Verdict.ERROR, "nothing that can be judged is in it", remedy=_REPEAT)


def _device(device: Device, found: Sequence[Conclusion]) -> DeviceVerdict:
    reasons = tuple(each.reason for each in found if each.device == device.name)
    return DeviceVerdict(device=device.name, verdict=gravest(reason.verdict for reason in reasons), reasons=reasons)
