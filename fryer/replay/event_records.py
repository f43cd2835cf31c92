"""TensorBoard's event files as scalars: records framed as TFRecords, events as protocol buffers. Opens no file.

A record: length (8 bytes), masked CRC-32C of those, data, masked CRC-32C of the data; all little-endian. Of an event
only what a scalar needs is looked at (tensorflow's util/event.proto, framework/summary.proto, framework/tensor.proto).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, TypeAlias

from fryer.replay.crc32c import masked
from fryer.replay.words import Unreadable

_MOST_RECORD = 64 << 20
"""No event with a scalar is as long; a longer one is a damaged length."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_TENSOR_FORMATS = {1: "<f", 2: "<d"}
"""DT_FLOAT and DT_DOUBLE."""

Fields: TypeAlias = Iterator[tuple[int, int | bytes]]


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value of one tag."""

    at: float
    """Unix seconds."""
    step: int
    tag: str
    value: float


def is_event_file(head: bytes) -> bool:
    """Whether a file begins with a record."""
    return len(head) >= 12 and masked(head[:8]) == struct.unpack_from("<I", head, 8)[0]


def records(file: BinaryIO) -> Iterator[bytes]:
    """The data of each record. A last one that was cut off is left out; raises `Unreadable` for a damaged one."""
    place = 0
    while len(head := file.read(12)) == 12:
        (length, checksum) = struct.unpack("<QI", head)
        if masked(head[:8]) != checksum or length > _MOST_RECORD:
            raise Unreadable(f"it is damaged at byte {place}: the length of a record does not match its checksum")
        data, tail = file.read(length), file.read(4)
        if len(tail) < 4:
            return
        if masked(data) != struct.unpack("<I", tail)[0]:
            raise Unreadable(f"it is damaged at byte {place}: a record does not match its checksum")
        yield data
        place += 16 + length


def scalars(event: bytes) -> Iterator[Scalar]:
    """The scalars of one event. Raises ValueError, IndexError or struct.error for what is no event."""
    at, step, summaries = 0.0, 0, []
    for number, value in fields(event):
        if number == 1 and isinstance(value, bytes):
            (at,) = struct.unpack("<d", value)
        elif number == 2 and isinstance(value, int):
            step = value - (1 << 64) if value >> 63 else value
        elif number == 5 and isinstance(value, bytes):
            summaries.append(value)
    for summary in summaries:
        for number, value in fields(summary):
            if number == 1 and isinstance(value, bytes):
                tag, scalar = _value(value)
                if scalar is not None:
                    yield Scalar(at, step, tag, scalar)


def fields(data: bytes) -> Fields:
    """(number, value) of each field of a message: an integer for a varint, else bytes."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        wire = key & 7
        if wire == _VARINT:
            number, place = _varint(data, place)
            yield key >> 3, number
            continue
        if wire == _BYTES:
            length, place = _varint(data, place)
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {wire} is none of those in use")
        if place + length > len(data):
            raise ValueError("a field is longer than its message")
        yield key >> 3, data[place : place + length]
        place += length


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, place
        if shift > 63:
            raise ValueError("a varint is longer than 64 bits")


def _value(data: bytes) -> tuple[str, float | None]:
    """A tag and its scalar; None for an image, a histogram, a text."""
    tag, scalar = "", None
    for number, value in fields(data):
        if number == 1 and isinstance(value, bytes):
            tag = value.decode(errors="replace")
        elif number == 2 and isinstance(value, bytes) and len(value) == 4:
            (scalar,) = struct.unpack("<f", value)
        elif number == 8 and isinstance(value, bytes):
            scalar = _tensor(value)
    return tag, scalar


def _tensor(data: bytes) -> float | None:
    """The one value of a float tensor; None for any other."""
    kind, shape, content = 0, b"", b""
    for number, value in fields(data):
        if number == 1 and isinstance(value, int):
            kind = value
        elif number == 2 and isinstance(value, bytes):
            shape = value
        elif number == 4 and isinstance(value, bytes):
            content = value
        elif number in (5, 6) and isinstance(value, bytes):
            content = content or value
    form = _TENSOR_FORMATS.get(kind)
    if form is None or shape or len(content) != struct.calcsize(form):
        return None
    number_: float = struct.unpack(form, content)[0]
    return number_
