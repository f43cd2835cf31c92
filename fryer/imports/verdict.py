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
from fryer.imports.unread import hint
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
    if len(found) > 1:
        names = ", ".join(each.name for each in found)
        sentence = f"it holds outputs of several tools ({names}): give each a file of its own"
        return not_read(file, "several_formats", sentence, remedy="")
    if not found:
        names = ", ".join(each.name for each in FORMATS)
        sentence = hint(plain) or f"it is none of the formats that are read: {names}"
        return not_read(file, "unknown_format", sentence, remedy="")
    try:
        facts = found[0].parse(plain)
    except Malformed as error:
        return not_read(file, "cut_off", str(error), found[0].name)
    return _conclude(file, found[0].name, facts, found[0].judge(facts, expected_bytes_per_second))


def not_read(
    file: str, code: str, sentence: str, format_name: str | None = None, *, remedy: str = _REPEAT
) -> FileVerdict:
    """The verdict on a file that says nothing: ERROR, with one sentence on what is missing."""
    reason = conclude(code, Verdict.ERROR, sentence, remedy=remedy).reason
    return FileVerdict(file=file, format=format_name, verdict=Verdict.ERROR, reasons=(reason,))


def _conclude(file: str, format_name: str, facts: Facts, found: Sequence[Conclusion]) -> FileVerdict:
    broken = [
        *(conclude("cut_off", Verdict.ERROR, sentence, remedy=_REPEAT) for sentence in facts.missing),
        *(conclude("failed", Verdict.ERROR, sentence, remedy=_REPEAT) for sentence in facts.failures),
    ]
    told = [conclude("tool_complained", Verdict.WARN, sentence) for sentence in facts.remarks]
    kept = [each for each in found if not (broken and each.reason.verdict is Verdict.PASS)]
    everything = [*broken, *kept, *told] or [_nothing()]
    return FileVerdict(
        file=file,
        format=format_name,
        verdict=Verdict.ERROR if broken else gravest(each.reason.verdict for each in everything),
        reasons=tuple(each.reason for each in everything if each.device == NODE),
        devices=tuple(_device(device, everything, is_broken=bool(broken)) for device in facts.devices),
        known=facts.devices,
        facts=facts,
    )


def _nothing() -> Conclusion:
    return conclude("nothing_measured", Verdict.ERROR, "nothing that can be judged is in it", remedy=_REPEAT)


def _device(device: Device, found: Sequence[Conclusion], *, is_broken: bool) -> DeviceVerdict:
    """In a file that is not whole nothing passes: what is missing may have been of this device."""
    reasons = tuple(each.reason for each in found if each.device == device.name)
    if is_broken and not reasons:
        return DeviceVerdict(device=device.name, verdict=Verdict.ERROR, reasons=())
    return DeviceVerdict(device=device.name, verdict=gravest(reason.verdict for reason in reasons), reasons=reasons)
