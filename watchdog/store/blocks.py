"""Readings and steps as blocks of bytes, many at a time. The encodings are part of the schema: files outlive programs.

readings  zlib(for each: uint32 subject, double at, uint16 N, N x uint16 metric, N x double value), little-endian,
          where subject and metric are ids of the tables of these names
steps     `numbers.pack_table`, a column for each field of `Step`, and one ``times.SECTION`` for each section
"""

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from watchdog.store.numbers import pack_table, unpack_table
from watchdog.store.packing import PackingError
from watchdog.vocabulary.runs import Step
from watchdog.vocabulary.samples import Row
from watchdog.vocabulary.subjects import Subject

MOST_METRICS = 0xFFFF
"""Ids of metrics are 16 bits wide."""
_HEAD = struct.Struct("<IdH")
_NUMBERS = ("step", "rank", "at", "seconds", "tokens", "loss", "grad_norm", "lr")
_INTEGERS = ("step", "rank", "tokens")
_TIMES = "times."


def pack_rows(
    rows: Iterable[Row], subject_id: Callable[[Subject], int], metric_ids: Callable[[tuple[str, ...]], bytes]
) -> bytes:
    """`rows` as bytes. `metric_ids` gives the packed 16-bit ids of the metrics of a row."""
    parts = []
    for row in rows:
        names = tuple(row.values)
        parts.append(_HEAD.pack(subject_id(row.subject), row.at, len(names)))
        parts.append(metric_ids(names))
        parts.append(struct.pack(f"<{len(names)}d", *row.values.values()))
    return zlib.compress(b"".join(parts))


def unpack_rows(
    packed: bytes, metrics: Mapping[int, str], only: int | None = None
) -> Iterator[tuple[int, float, dict[str, float]]]:
    """(id of the subject, at, values) of each reading, or of those of the subject `only`; raises `PackingError`."""
    try:
        data = zlib.decompress(packed)
        place = 0
        while place < len(data):
            subject, at, count = _HEAD.unpack_from(data, place)
            place += _HEAD.size
            if only is None or subject == only:
                ids = struct.unpack_from(f"<{count}H", data, place)
                values = struct.unpack_from(f"<{count}d", data, place + 2 * count)
                yield subject, at, {metrics[id_]: value for id_, value in zip(ids, values, strict=True)}
            place += 10 * count
    except (zlib.error, struct.error, KeyError) as error:
        raise PackingError(f"readings of {len(packed)} bytes can't be unpacked: {error!r}") from error


def pack_steps(steps: Sequence[Step]) -> bytes:
    """`steps` of one run as bytes; durations to seven digits, which is 0.1 us of a second, all else exact."""
    numbers: dict[str, list[float | None]] = {name: [getattr(step, name) for step in steps] for name in _NUMBERS}
    for section in dict.fromkeys(section for step in steps for section in step.times):
        numbers[_TIMES + section] = [step.times.get(section) for step in steps]
    texts = {name: [getattr(step, name) for step in steps] for name in ("batch_id", "open_section")}
    durations = [name for name in numbers if name == "seconds" or name.startswith(_TIMES)]
    return pack_table(len(steps), numbers, texts, singles=durations)


def unpack_steps(packed: bytes, run: str) -> list[Step]:
    """The steps in `packed`, as they came; raises `PackingError`."""
    numbers, texts = unpack_table(packed)
    try:
        sections = {name.removeprefix(_TIMES): numbers[name] for name in numbers if name.startswith(_TIMES)}
        columns = [numbers[name] for name in _NUMBERS]
        rows = zip(*columns, texts["batch_id"], texts["open_section"], strict=True)
        return [_step(run, row, index, sections) for index, row in enumerate(rows)]
    except (KeyError, ValueError, TypeError) as error:
        raise PackingError(f"steps of {len(packed)} bytes can't be unpacked: {error!r}") from error


def _step(run: str, row: tuple[object, ...], index: int, sections: Mapping[str, Sequence[float | None]]) -> Step:
    *numbers, batch_id, open_section = row
    fields: dict[str, object] = dict(zip(_NUMBERS, numbers, strict=True))
    for name in _INTEGERS:
        value = fields[name]
        fields[name] = int(value) if isinstance(value, float) else None
    times = {name: value for name, column in sections.items() if (value := column[index]) is not None}
    return Step(run=run, times=times, batch_id=batch_id, open_section=open_section, **fields)  # type: ignore[arg-type]
