"""Orders and messages as lines of JSON, and back. Pure: it neither reads nor writes, and keeps no clock.

    {"schema":"fryer/worker","version":1,"type":"hello","node":"node001",...}

Each line names its version. A line that is not ours (a message of the day, what ``module load`` prints) is `Noise`; one
of ours that can't be read is `Unreadable`, a value and never an exception: it comes from another machine. A line that
a transport would cut is sent in pieces, each a line of its own, in their order:

    {"schema":"fryer/worker","version":1,"type":"piece","node":"node001","id":7,"index":0,"of":3,"text":"eJy..."}

``text`` is a part of the base64 of the zlib-compressed line: no character of it needs an escape, so its length is
known.
"""

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from fryer.exchange import DocumentError, decode
from fryer.exchange import encode as to_json
from fryer.fleet.orders import (
    PROTOCOL,
    Collect,
    Collected,
    Ended,
    Hello,
    Message,
    Order,
    Progress,
    Qualified,
    Qualify,
    Stop,
)

SCHEMA = "fryer/worker"
MARK = f'{{"schema":"{SCHEMA}",'
"""How each line of ours begins, in every version. Chatter without a line's end may stand before it."""
SHORTEST_PIECE_BYTES = 300
"""Below this a piece is mostly envelope."""
MOST_BYTES = 256 * 2**20
"""Of one line, whole or put together again. Evidence of a node is a few MB, and a tenth of that in pieces; that of
eight GPUs that changed state all day comes near it."""
MOST_OPEN = 4096
"""Lines in pieces that may be under way at once on one stream: one a node where a stream carries all nodes."""
_SHOWN = 160

W = TypeVar("W")
Kinds = Mapping[str, type[W]]

ORDERS: Kinds[Order] = MappingProxyType({"qualify": Qualify, "collect": Collect, "stop": Stop})
"""What a worker reads, by the ``type`` of its line."""
MESSAGES: Kinds[Message] = MappingProxyType(
    {"hello": Hello, "progress": Progress, "qualified": Qualified, "collected": Collected}
)
"""What a controller reads of a worker, which says no `Ended`: that is its launcher's word."""
RELAYED: Kinds[Message] = MappingProxyType({**MESSAGES, "ended": Ended})
"""What it reads of a relay, which is a launcher."""
_NAMES: Mapping[type[object], str] = MappingProxyType({kind: name for name, kind in {**ORDERS, **RELAYED}.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """A line that is not ours: worth showing when the worker fails, and else nothing."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A line of ours that says nothing to this Fryer."""

    code: str
    """A code of `Ended`: ``garbled``, or ``version_skew`` for a line of another version."""
    message: str
    """What is wrong with it, without a subject: ``its line is of protocol 2, and this Fryer speaks 1``."""
    node: str = ""
    """Who wrote it, where the line still says so."""


def encode(word: Order | Message, piece_bytes: int | None = None, serial: int = 0) -> tuple[str, ...]:
    """The lines, without their ends, that say `word`; all ASCII, so that characters are bytes.

    One line, unless `piece_bytes` (at least `SHORTEST_PIECE_BYTES`) is given and it is longer: then pieces of at most
    that length, marked with `serial`, which no other word under way from the same writer has.
    """
    name = _NAMES[type(word)]
    line = _line({"type": name, **to_json(word)})
    if piece_bytes is None or len(line) <= piece_bytes:
        return (line,)
    packed = base64.b64encode(zlib.compress(line.encode("ascii"))).decode("ascii")
    node = getattr(word, "node", "")
    envelope = len(_piece(node, serial, len(packed), len(packed), ""))
    size = max(piece_bytes, SHORTEST_PIECE_BYTES) - envelope
    if size <= 0:
        raise ValueError(f"a piece of {piece_bytes} bytes has no room beside the name of node {node:.40}")
    texts = [packed[start : start + size] for start in range(0, len(packed), size)]
    return tuple(_piece(node, serial, index, len(texts), text) for index, text in enumerate(texts))


def _piece(node: str, serial: int, index: int, count: int, text: str) -> str:
    return _line({"type": "piece", "node": node, "id": serial, "index": index, "of": count, "text": text})


def _line(fields: Mapping[str, Any]) -> str:
    document = {"schema": SCHEMA, "version": PROTOCOL, **fields}
    return json.dumps(document, allow_nan=False, separators=(",", ":"))


@dataclass(slots=True)
class _Open:
    """A line of which some pieces have come."""

    of: int
    texts: list[str]
    num_bytes: int = 0


class Reader(Generic[W]):
    """Reads the lines of one stream, in their order, which may carry several writers. Its memory is bounded."""

    def __init__(self, kinds: Kinds[W], most_bytes: int = MOST_BYTES) -> None:
        """`kinds` is `ORDERS`, `MESSAGES` or `RELAYED`."""
        self._kinds = kinds
        self._most_bytes = most_bytes
        self._open: dict[tuple[str, int], _Open] = {}
        self._num_bytes = 0
        """Of all lines in pieces that are under way."""

    def read(self, line: str) -> W | Noise | Unreadable | None:
        """What `line` (without its end) says; None for a piece after which others must come."""
        start = line.find(MARK)
        if start < 0:
            return Noise(text=line)
        if len(line) - start > self._most_bytes:
            return _garbled(f"its line has {len(line):,} bytes, and {self._most_bytes:,} is the most")
        fields = _fields(line[start:])
        if isinstance(fields, Unreadable):
            return fields
        kind = fields.pop("type", None)
        if kind == "piece":
            whole = self._join(fields)
            return whole if whole is None or isinstance(whole, Unreadable) else self._read_whole(whole)
        return self._word(kind, fields)

    def _read_whole(self, line: str) -> W | Unreadable:
        fields = _fields(line)
        return fields if isinstance(fields, Unreadable) else self._word(fields.pop("type", None), fields)

    def _word(self, name: object, fields: dict[str, Any]) -> W | Unreadable:
        node = _node_of(fields)
        kind = self._kinds.get(name) if isinstance(name, str) else None
        if kind is None:
            return _garbled(f"its line is of type {name!r:.60}, none of {', '.join(self._kinds)}", node)
        try:
            return decode(kind, fields, str(name))
        except DocumentError as error:
            if name == "hello":  # who can't even say who it is in our words is of another version
                return Unreadable(code="version_skew", message=f"its Hello can't be read here: {error}", node=node)
            return _garbled(f"its line can't be read: {error}", node)

    def _join(self, fields: Mapping[str, Any]) -> str | Unreadable | None:
        """The whole line, when this was its last piece."""
        node, serial, index, count, text = (fields.get(name) for name in ("node", "id", "index", "of", "text"))
        if not (isinstance(node, str) and _is_count(serial) and _is_count(index) and _is_count(count)):
            return _garbled("a piece of its line does not say which one it is", _node_of(fields))
        if not isinstance(text, str):
            return _garbled("a piece of its line has no text", node)
        key = (node, int(serial or 0))
        part = self._open.get(key)
        if part is None:
            part = self._open[key] = _Open(of=int(count or 0), texts=[])
        part.texts.append(text)
        part.num_bytes += len(text)
        self._num_bytes += len(text)
        if index != len(part.texts) - 1 or count != part.of or len(part.texts) > part.of:
            self._forget(key)
            return _garbled(f"piece {index} of {count} of its line {serial} came out of order or is missing", node)
        if self._num_bytes > self._most_bytes or len(self._open) > MOST_OPEN:
            self._forget(key)
            return _garbled(f"the pieces under way have over {self._most_bytes:,} bytes", node)
        if len(part.texts) < part.of:
            return None
        self._forget(key)
        return _unpack("".join(part.texts), self._most_bytes, node)

    def _forget(self, key: tuple[str, int]) -> None:
        self._num_bytes -= self._open.pop(key).num_bytes


def _fields(line: str) -> dict[str, Any] | Unreadable:
    """The object in `line`, without what every line has; of our version."""
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        return _garbled(f"its line is no JSON ({error}): {line:.{_SHOWN}}")
    if not isinstance(fields, dict) or fields.pop("schema", None) != SCHEMA:
        return _garbled(f"its line is no object of ours: {line:.{_SHOWN}}")
    version = fields.pop("version", None)
    if version != PROTOCOL:
        message = f"its lines are of protocol {version!r:.20}, and this Fryer speaks {PROTOCOL}"
        return Unreadable(code="version_skew", message=message, node=_node_of(fields))
    return fields


def _unpack(text: str, most_bytes: int, node: str) -> str | Unreadable:
    try:
        unpacker = zlib.decompressobj()
        line = unpacker.decompress(base64.b64decode(text, validate=True), most_bytes)
        if not unpacker.eof:
            return _garbled(f"its pieces are cut off, or more than {most_bytes:,} bytes together", node)
        return line.decode("ascii")
    except (binascii.Error, zlib.error, ValueError) as error:
        return _garbled(f"its pieces don't fit together: {error}", node)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _node_of(fields: Mapping[str, Any]) -> str:
    node = fields.get("node", "")
    return node if isinstance(node, str) else ""


def _garbled(message: str, node: str = "") -> Unreadable:
    return Unreadable(code="garbled", message=message, node=node)
