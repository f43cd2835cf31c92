"""Runs as TensorBoard keeps them: a file, or a folder with a folder a run."""

import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from fryer.replay.columns import VALUES, layout_of, unknown
from fryer.replay.event_records import Scalar, records, scalars
from fryer.replay.points import Maker
from fryer.replay.words import Item, Options, Reading

NAME = "events.out.tfevents."


def event_files(folder: Path) -> list[Path]:
    """All event files under a folder, by folder and then in order of time, with which their names go on."""
    return sorted(folder.rglob(f"*{NAME}*"), key=lambda path: (str(path.parent), path.name))


def read(paths: Sequence[Path], root: Path | None, options: Options, reading: Reading) -> Iterator[Item]:
    """Everything in event files. With a `root`, each folder below it is a run, named by its path."""
    tags: dict[str, str] = {}
    makers: dict[tuple[str, ...], Maker] = {}
    for path in paths:
        run = "" if root is None or path.parent == root else path.parent.relative_to(root).as_posix()
        for step, cells in _steps(_scalars(path, reading), tags, options, reading):
            names = tuple(cells)
            if names not in makers:
                makers[names] = Maker(layout_of(("step", *names)))
            for _, thing in makers[names].make([step, *cells.values()]):
                yield run, thing
    if not reading.columns:
        names = ("step", *tags)
        raise unknown(names, layout_of(names))


def _scalars(path: Path, reading: Reading) -> Iterator[Scalar]:
    with path.open("rb") as file:
        for number, record in enumerate(records(file), start=1):
            try:
                yield from scalars(record)
            except (ValueError, IndexError, struct.error):
                reading.unread(number)


def _steps(
    found: Iterator[Scalar], tags: dict[str, str], options: Options, reading: Reading
) -> Iterator[tuple[int, Mapping[str, float]]]:
    """Scalars of one step, which stand beside each other, as its fields."""
    step: int | None = None
    cells: dict[str, float] = {}
    for each in found:
        if each.tag not in tags:
            tags[each.tag] = _field_of(each.tag, options, reading)
        name = tags[each.tag]
        if not name:
            continue
        if step is not None and (each.step != step or name in cells):
            yield step, cells
            cells = {}
        step = each.step
        cells |= {name: each.value, "at_seconds": each.at}
    if step is not None:
        yield step, cells


def _field_of(tag: str, options: Options, reading: Reading) -> str:
    """The field that a tag holds, empty for none; of several tags for one field the first that comes is taken."""
    fields = [place.field for place in layout_of([tag], options.columns).numbers]
    name = next((each for each in fields if each in (*VALUES, "tokens")), "")
    return name if name and reading.columns.setdefault(name, tag) == tag else ""
