"""What is found as text for people: a run, its events by step, why, and what the policy would have done. Pure."""

from collections.abc import Sequence

from fryer.outputs.rows import fixed_width
from fryer.outputs.wording import count_of, one_line
from fryer.replay.judged import File
from fryer.replay.run import Run
from fryer.replay.told import Labels, Told
from watchdog.attribution.causes import NOT_KNOWN

_MOST_ALIKE = 12
"""Events of one kind and class that are told one by one; of more, the first and the last of them."""


def table(files: Sequence[File], told: Sequence[Told]) -> str:
    """The whole text; its last line says how much was found in how much."""
    labels = Labels(files)
    parts = [_file(file, told, labels) for file in files]
    rules = _rules(files, told, labels)
    found = f"{count_of(len(told), 'finding')} in {count_of(_num_points(files), 'point')}"
    bad = sum(bool(file.problem) for file in files)
    unread = f"; {count_of(bad, 'file')} of {len(files)} can't be read" if bad else ""
    return "\n\n".join([*parts, *([rules] if rules else []), f"{found}{unread}"]) + "\n"


def _num_points(files: Sequence[File]) -> int:
    return sum(run.num_points or run.counts["rank"] for file in files for run in file.runs)


def _file(file: File, told: Sequence[Told], labels: Labels) -> str:
    lines = [one_line(f"{file.name}  {file.format or 'unknown format'}")]
    if file.problem:
        return "\n".join([*lines, one_line(f"  can't be read: {file.problem}")])
    if file.reading.note:
        lines.append(one_line(f"  note: {file.reading.note}"))
    if file.reading.num_unread:
        number = count_of(file.reading.num_unread, "line")
        lines.append(f"  note: {number} could not be read, the first is line {file.reading.first_unread}")
    for run in file.runs:
        lines += ["", *_run(run, [each for each in told if each.run is run], labels)]
    return "\n".join(lines)


def _run(run: Run, told: Sequence[Told], labels: Labels) -> list[str]:
    unit = "tokens" if run.is_by_tokens and run.num_points else "step"
    stretches = run.attempts.stretches
    if stretches:
        newest = run.attempts.newest
        span = f"{unit} {min(each.first for each in stretches):,} to {newest:,}"
    else:
        span = "by rank"
    number = count_of(run.num_points or run.counts["rank"], "point")
    lines = [one_line(f"{labels.run(run)}: {number}, {span}")]
    if len(stretches) > 1:
        listed = ", ".join(f"{each.first:,}" for each in stretches[1:9])
        lines.append(f"  went back to {listed}{', ...' if len(stretches) > 9 else ''} and trained again from there")
    if not told:
        return [*lines, "  nothing found"]
    for group in _groups(told):
        lines += _group(group)
    return lines


def _groups(told: Sequence[Told]) -> list[list[Told]]:
    """Events in order of step; many of one kind that also have one cause and one remedy stand together."""
    groups: dict[tuple[str, ...], list[Told]] = {}
    for each in told:
        code = each.causes[0].code if each.causes else ""
        groups.setdefault((each.finding.kind, each.finding.shape, code, each.remedy.action), []).append(each)
    parts: list[list[Told]] = []
    for group in groups.values():
        parts += [group] if len(group) > _MOST_ALIKE else [[each] for each in group]
    return sorted(parts, key=lambda part: (part[0].event.attempt, part[0].finding.start))


def _group(group: Sequence[Told]) -> list[str]:
    first, found = group[0], group[0].finding
    head = f"  {found.severity.name:4}  {found.kind} ({found.shape})"
    if len(group) > 1:
        shown = ", ".join(f"{each.finding.start:,}" for each in group[:_MOST_ALIKE])
        lines = [f"{head}  {count_of(len(group), 'event')} at {shown}, ... {group[-1].finding.start:,}"]
        worst = max(group, key=lambda each: each.finding.severity)
        lines.append(one_line_indented(f"first: {found.message}"))
        first = worst
    else:
        lines = [f"{head}  {found.start:,} to {first.end:,}" + (" (lasts)" if found.is_open else "")]
        lines.append(one_line_indented(found.message))
    if first.is_trained_again:
        lines.append(one_line_indented("these steps were trained again later"))
    if first.cause != NOT_KNOWN:
        lines.append(one_line_indented(f"cause: {first.cause}"))
        lines += [one_line_indented(f"or: {cause.code}: {cause.message}") for cause in first.causes[1:3]]
    lines.append(one_line_indented(f"policy: {first.remedy.action}: {first.remedy.why}"))
    return lines


def one_line_indented(text: str) -> str:
    """A line that belongs to the event above it."""
    return f"        {one_line(text)}"


def _rules(files: Sequence[File], told: Sequence[Told], labels: Labels) -> str:
    """Others' rules beside ours: how many of our events each saw, and how often it spoke elsewhere."""
    rows = []
    for run in (run for file in files for run in file.runs if run.alarms):
        ours = [each for each in told if each.run is run]
        rows.append((labels.run(run), "ours", str(len(ours)), "-", "-"))
        for alarms in run.alarms:
            spans = alarms.spans
            seen = sum(any(a <= each.end and b >= each.finding.onset for a, b in spans) for each in ours)
            alone = sum(not any(a <= each.end and b >= each.finding.onset for each in ours) for a, b in spans)
            rows.append((labels.run(run), alarms.rule, str(len(spans)), f"{seen} of {len(ours)}", str(alone)))
    if not rows:
        return ""
    heads = ("run", "rule", "events", "of ours", "elsewhere")
    return "\n".join(fixed_width(heads, [tuple(map(one_line, row)) for row in rows], frozenset({2, 3, 4})))
