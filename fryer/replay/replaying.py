"""A whole replay: files opened, judged, explained, drawn. What a command asked for goes in; nothing is printed here."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from fryer.replay.columns import VALUES, parse_map
from fryer.replay.joining import joined, points_of
from fryer.replay.judged import File, judge_log
from fryer.replay.opening import STDIN, given, log_of
from fryer.replay.run import Judging
from fryer.replay.told import NodeFacts, Told, told_of
from fryer.replay.words import Log, Options, Unreadable
from watchdog.detectors.training.rivals import RIVALS
from watchdog.detectors.training.words import Mark, MarkKind
from watchdog.vocabulary.errors import UsageError, nearest

ALL = "all"
_UNITS = {"k": 10**3, "m": 10**6, "b": 10**9, "t": 10**12}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a command asked for."""

    files: Sequence[str]
    columns: Sequence[str] = ()
    """``FIELD=COLUMN`` each."""
    wide: str = ""
    is_joined: bool = False
    reference: str = ""
    rules: tuple[str, ...] = ()
    marks: Sequence[Mark] = ()
    plot: Path | None = None
    state: Path | None = None


def replay_files(asked: Asked) -> tuple[list[File], list[Told]]:
    """(files judged, what was found in them). Raises `UsageError` for what a person must change."""
    if asked.files.count(STDIN) > 1:
        raise UsageError("- (standard input) can be given once")
    if asked.wide and asked.wide not in VALUES:
        raise UsageError(f"--wide {asked.wide!r} is no field that is judged{nearest(asked.wide, VALUES)}")
    if asked.plot is not None:
        from fryer.outputs.html import check_path  # noqa: PLC0415 - only where a page is made

        check_path(asked.plot)
    nodes = _nodes(asked.state)
    options = Options(columns=parse_map(asked.columns), wide=asked.wide)
    with ExitStack() as stack:
        paths = [(name, stack.enter_context(given(name))) for name in asked.files]
        opened = [_open(name, path, options) for name, path in paths]
        files = _judge(opened, asked)
    told = told_of(files, nodes)
    if asked.plot is not None:
        from fryer.replay.page import write_page  # noqa: PLC0415 - plotly and jinja2, only where a page is made

        write_page(files, told, asked.plot)
    return files, told


def exit_code(files: Sequence[File], told: Sequence[Told]) -> int:
    """0 nothing found, 1 something found, 3 a file can't be read and nothing was found in the others."""
    if told:
        return 1
    return 3 if any(file.problem for file in files) else 0


def rules_of(names: Sequence[str]) -> tuple[str, ...]:
    """Names of others' rules, ``all`` for each. Raises `UsageError` for an unknown one."""
    if ALL in names:
        return tuple(RIVALS)
    for name in names:
        if name not in RIVALS:
            raise UsageError(f"--compare: there is no rule {name!r}{nearest(name, (*RIVALS, ALL))}")
    return tuple(dict.fromkeys(names))


def marks_of(**given_marks: Sequence[str] | None) -> list[Mark]:
    """Marks of options: kind -> what was typed, ``STEP`` or ``FROM:TO``. Raises `UsageError` for anything else."""
    found = []
    for kind, texts in given_marks.items():
        for text in texts or ():
            first, colon, last = text.partition(":")
            try:
                start, end = _step(first), _step(last) if colon else None
            except ValueError:
                raise UsageError(f"--{kind} {text!r} is no STEP or FROM:TO, as in 4198001, 8.14T or 100:110") from None
            if end is not None and end < start:
                raise UsageError(f"--{kind} {text!r} ends before it begins")
            found.append(Mark(kind=MarkKind(kind), start=start, end=end))
    return found


def _step(text: str) -> int:
    unit = _UNITS.get(text[-1:].lower())
    if unit is None:
        return int(text)
    value = float(text[:-1]) * unit
    return round(value)


def _open(name: str, path: Path, options: Options) -> Log | File:
    try:
        return log_of(name, path, options)
    except Unreadable as error:
        return File(name=name, problem=str(error))


def _judge(opened: Sequence[Log | File], asked: Asked) -> list[File]:
    logs = [each for each in opened if isinstance(each, Log)]
    judging = Judging(marks=asked.marks, rules=asked.rules, is_drawn=asked.plot is not None)
    if asked.reference:
        points = points_of(logs, asked.reference)
        if not points:
            raise UsageError(f"--reference {asked.reference!r}: no run of these files with a loss has that name")
        judging = replace(judging, reference=points, reference_name=asked.reference)
    if asked.is_joined and logs:
        return [*(each for each in opened if isinstance(each, File)), judge_log(joined(logs), judging)]
    return [each if isinstance(each, File) else judge_log(each, judging) for each in opened]


def _nodes(state: Path | None) -> NodeFacts | None:
    if state is None:
        return None
    from fryer.replay.node_facts import facts_from  # noqa: PLC0415 - SQLAlchemy, only where a store is asked

    return facts_from(state)
