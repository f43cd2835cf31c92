"""What a checkpoint holds, as its manifest.json says: the header, and each file with its size and SHA-256.

The manifest is written once, before the checkpoint gets its name, and never changed: what becomes of a checkpoint is in
its state.json (`states`). SHA-256, so that ``sha256sum`` can check a file without Fryer; it was also the fastest of
hashlib's cryptographic hashes where it was measured (0.8 GB/s a core without SHA instructions, blake2b 0.65).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from math import inf, isfinite, nan
from pathlib import Path
from typing import Any

from trainer.checkpoints.names import MANIFEST
from trainer.checkpoints.words import Header, Layout
from trainer.ledger import ledger_from_json
from watchdog.vocabulary.errors import FryerError

SCHEMA = "fryer/checkpoint"
VERSION = 1

_WORDS = {"nan": nan, "inf": inf, "-inf": -inf}
_FLOAT = "$float"
"""Key that stands for a number which JSON does not have."""


class BadCheckpoint(FryerError):  # noqa: N818 - a fact about a directory
    """A checkpoint can't be used, for the reason that is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """One file, as it was when it was written."""

    num_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """All that is known of a checkpoint without its tensors."""

    header: Header
    files: Mapping[str, FileEntry]
    """By path relative to the checkpoint, with slashes."""
    created_at: float
    """Unix seconds at which the state was taken."""

    @property
    def num_bytes(self) -> int:
        """Of all files."""
        return sum(entry.num_bytes for entry in self.files.values())


def to_text(manifest: Manifest) -> str:
    """As manifest.json has it; `parse_manifest` gives back an equal one, NaN apart."""
    document = {
        "schema": SCHEMA,
        "version": VERSION,
        "created_at": manifest.created_at,
        "header": header_to_json(manifest.header),
        "files": {
            name: {"bytes": entry.num_bytes, "sha256": entry.sha256} for name, entry in sorted(manifest.files.items())
        },
    }
    return _dumped(document | {"sha256": _digest(document)}) + "\n"


def _dumped(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=1, allow_nan=False)


def _digest(document: Mapping[str, Any]) -> str:
    """Of the manifest without its own hash: it is the one file that no other vouches for."""
    return hashlib.sha256(_dumped(document).encode()).hexdigest()


def read_manifest(directory: Path) -> Manifest:
    """Of the checkpoint in `directory`. Raises `BadCheckpoint`."""
    file = directory / MANIFEST
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise BadCheckpoint(f"{directory.name} has no {MANIFEST}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise BadCheckpoint(f"{file} can't be read ({error})") from error
    return parse_manifest(text, where=str(file))


def parse_manifest(text: str, *, where: str) -> Manifest:
    """A manifest from its text; `where` names it in errors. Raises `BadCheckpoint`."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise BadCheckpoint(f"{where} is no JSON ({error}); it was cut off or changed") from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise BadCheckpoint(f"{where} is no manifest of a checkpoint: its schema is not {SCHEMA!r}")
    if document.get("version") != VERSION:
        raise BadCheckpoint(
            f"{where} has format version {document.get('version')!r} and this Fryer reads {VERSION}; "
            "use the Fryer that wrote it"
        )
    try:
        if document.pop("sha256") != _digest(document):
            raise BadCheckpoint(f"{where} has another SHA-256 than when it was written: bits changed on the disk")
        return Manifest(
            header=header_from_json(document["header"]),
            files={_safe(name): _entry(row) for name, row in document["files"].items()},
            created_at=float(document["created_at"]),
        )
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise BadCheckpoint(f"{where} is not as it was written ({type(error).__name__}: {error})") from error


def _entry(row: Mapping[str, Any]) -> FileEntry:
    size, digest = row["bytes"], row["sha256"]
    if type(size) is not int or size < 0 or not isinstance(digest, str):
        raise ValueError(f"a file has size {size!r} and hash {digest!r}")
    return FileEntry(num_bytes=size, sha256=digest)


def _safe(name: str) -> str:
    # a manifest must not send a reader, or a deletion, out of its directory
    if not name or name.startswith("/") or ".." in name.split("/"):
        raise ValueError(f"a file is named {name!r}")
    return name


def header_to_json(header: Header) -> dict[str, Any]:
    """A header without NaN or infinity: those become words."""
    return {
        "run": header.run,
        "plan_hash": header.plan_hash,
        "step": header.step,
        "stage": header.stage,
        "layout": asdict(header.layout),
        "ledger": header.ledger.to_json(),
        "tokens": header.tokens,
        "versions": dict(header.versions),
        "losses": {str(step): _number_to_json(loss) for step, loss in header.losses.items()},
        "extra": _to_json(dict(header.extra)),
    }


def header_from_json(row: Mapping[str, Any]) -> Header:
    """What `header_to_json` made. Raises KeyError, ValueError, TypeError or AttributeError for anything else."""
    if set(row["layout"]) != {field.name for field in fields(Layout)}:
        raise ValueError(f"the layout has the keys {sorted(row['layout'])}")
    step, tokens = row["step"], row["tokens"]
    if type(step) is not int or step < 0 or type(tokens) is not int:
        raise ValueError(f"step is {step!r} and tokens is {tokens!r}")
    return Header(
        run=str(row["run"]),
        plan_hash=str(row["plan_hash"]),
        step=step,
        stage=str(row["stage"]),
        layout=Layout(**row["layout"]),
        ledger=ledger_from_json(row["ledger"]),
        tokens=tokens,
        versions={str(name): str(version) for name, version in row["versions"].items()},
        losses={int(step): _number_from_json(loss) for step, loss in row["losses"].items()},
        extra=_from_json(row["extra"]),
    )


def _number_to_json(value: float) -> float | str:
    return value if isfinite(value) else str(value)


def _number_from_json(value: object) -> float:
    if isinstance(value, str):
        return _WORDS[value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return float(value)


def _to_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _to_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_to_json(each) for each in value]
    if isinstance(value, float) and not isfinite(value):
        return {_FLOAT: str(value)}
    return value


def _from_json(value: Any) -> Any:
    if isinstance(value, dict):
        return _WORDS[value[_FLOAT]] if set(value) == {_FLOAT} else {key: _from_json(v) for key, v in value.items()}
    return [_from_json(each) for each in value] if isinstance(value, list) else value
