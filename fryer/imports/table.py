"""Judged files as text for people: who is what, then why, gravest first, then one line a file. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from fryer.evidence import Reason
from fryer.imports.documents import verdict_of
from fryer.imports.verdict import FileVerdict
from fryer.outputs.rows import fixed_width
from fryer.outputs.wording import count_of, one_line
from watchdog.vocabulary.verdicts import Verdict

_GRAVEST_FIRST = (
    Verdict.FAIL,
    Verdict.ERROR,
    Verdict.INCONCLUSIVE,
    Verdict.WARN,
    Verdict.SKIPPED,
    Verdict.PASS,
)

_MOST_ALIKE = 3


def table(files: Sequence[FileVerdict]) -> str:
    """The whole text, which ends with the line that scripts and people look for."""
    parts = [_file(file) for file in files]
    endings = [f"{one_line(file.file)}: {file.verdict}" for file in files]
    if len(files) > 1:
        verdict = verdict_of(files)
        same = sum(file.verdict is verdict for file in files)
        endings.append(f"all files: {verdict} ({same} of {count_of(len(files), 'file')})")
    return "\n\n".join([*parts, "\n".join(endings)]) + "\n"


def _file(file: FileVerdict) -> str:
    lines = [f"{one_line(file.file)}  {file.format or 'unknown format'}"]
    if file.devices:
        lines += ["", *_devices(file), ""]
    for who, reason in _reasons(file):
        lines.append(one_line(f"{who}{reason.verdict} {reason.code}: {reason.message}"))
        if reason.remedy:
            lines.append(f"  {one_line(reason.remedy)}")
    return "\n".join(lines).rstrip()


def _devices(file: FileVerdict) -> list[str]:
    rows = [
        (device.device, known.part or "-", known.pci_bus_id or known.uuid or "-", str(device.verdict))
        for device, known in zip(file.devices, file.known, strict=True)
    ]
    return fixed_width(
        ("device", "part", "address", "verdict"), [tuple(map(one_line, row)) for row in rows], frozenset()
    )


def _reasons(file: FileVerdict) -> list[tuple[str, Reason]]:
    """Whom each reason concerns: the file's own, and those of devices, where equal ones of several are one line."""
    same: dict[tuple[str, str, str], tuple[list[str], Reason]] = {}
    for device in file.devices:
        for reason in device.reasons:
            if reason.verdict is not Verdict.PASS:
                key = (reason.code, reason.verdict, reason.message)
                same.setdefault(key, ([], reason))[0].append(device.device)
    found = [("", reason) for reason in _shortened(file.reasons)]
    found += [(f"{_listed(names)} ", reason) for names, reason in same.values()]
    return sorted(found, key=lambda each: _GRAVEST_FIRST.index(each[1].verdict))


def _shortened(reasons: Sequence[Reason]) -> list[Reason]:
    """Without most of the passes that are alike: a sweep over node counts has one for each."""
    kept: list[Reason] = []
    num_alike: Counter[str] = Counter()
    for reason in reasons:
        num_alike[reason.code] += reason.verdict is Verdict.PASS
        if reason.verdict is not Verdict.PASS or num_alike[reason.code] <= _MOST_ALIKE:
            kept.append(reason)
    for code, number in num_alike.items():
        if number > _MOST_ALIKE:
            last = next(reason for reason in reversed(kept) if reason.code == code)
            kept.append(replace(last, message=f"and {number - _MOST_ALIKE} more"))
    return kept


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
