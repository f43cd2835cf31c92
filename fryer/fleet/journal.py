"""What an unfinished run over many nodes has so far, on the disk: so that it can go on where it was cut off.

One file a run, ``unfinished/RUN.jsonl`` beside the store: a line for the run, one for each node that ended its burns,
one for each round, for each group that measured, and for each sweep. It is gone once the result is in the store. While
a run goes on, or is gone on with, its file is locked: two controllers would load the same nodes twice.
"""

import fcntl
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from fryer.collectives.swept import Swept
from fryer.evidence import NodeEvidence
from fryer.exchange import DocumentError, decode, encode
from fryer.fleet.merge import Gathered
from fryer.localise import Round, Trial
from fryer.platform import versions
from fryer.result import Network, RunInfo
from watchdog.vocabulary.errors import StoreError, UsageError

SCHEMA, VERSION = "fryer/unfinished", 1
_DIRECTORY = "unfinished"
Piece = NodeEvidence | Round | Trial | Swept
_KINDS: dict[type, str] = {NodeEvidence: "evidence", Round: "round", Trial: "trial", Swept: "sweep"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """A run that was cut off, taken up again."""

    info: RunInfo
    known: Gathered
    """What it has."""
    lock: int
    """Descriptor of its file, locked until this is closed or the process ends."""


class Journal:
    """The open file of one run; each piece is on the disk when `keep` returns."""

    def __init__(self, directory: Path, info: RunInfo, known: Gathered | None = None) -> None:
        """Begin the file, with what an earlier run has found. Raises `StoreError`."""
        self.path = directory / _DIRECTORY / f"{info.run_id}.jsonl"
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a")
            _lock(self._file)
        except OSError as error:
            raise StoreError(
                f"can't write {self.path}: {error.strerror}; give another directory with --state"
            ) from error
        begin = {"type": "run", "schema": SCHEMA, "version": VERSION, "fryer": versions()["fryer"]}
        self._write({**begin, "info": encode(info)})
        if known is not None:
            network = known.network or Network()
            pieces: list[Piece] = [*known.evidence.values(), *network.rounds, *network.trials, *network.sweeps]
            for piece in pieces:
                self.keep(piece)

    def keep(self, piece: Piece) -> None:
        """One more piece. A disk that is full ends the journal, not the run."""
        kind = _KINDS[type(piece)]
        self._write({"type": kind, kind: encode(piece)})

    def close(self) -> None:
        """Leave it for `--resume`."""
        self._file.close()

    def _write(self, document: dict[str, Any]) -> None:
        try:
            self._file.write(json.dumps(document, allow_nan=False) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except (OSError, ValueError):  # closed already by an earlier failure
            self._file.close()


def discard(directory: Path, run_id: str) -> None:
    """The run is in the store."""
    (directory / _DIRECTORY / f"{run_id}.jsonl").unlink(missing_ok=True)


def unfinished(directory: Path) -> Sequence[str]:
    """Ids of runs that did not come to their end, newest last."""
    found = sorted((directory / _DIRECTORY).glob("*.jsonl"), key=lambda path: path.stat().st_mtime)
    return [path.stem for path in found]


def resume(directory: Path, start: str) -> Unfinished:
    """The unfinished run whose id begins with `start`. Raises `UsageError`, also for one that is still going on, and
    `StoreError`."""
    found = [run for run in unfinished(directory) if run.startswith(start)]
    if len(found) != 1:
        there = f"unfinished are {', '.join(found or unfinished(directory)) or 'none'}"
        raise UsageError(
            f"--resume {start}: {'more than one run begins' if found else 'no unfinished run begins'} so; {there}"
        )
    path = directory / _DIRECTORY / f"{found[0]}.jsonl"
    try:
        lock = os.open(path, os.O_RDWR)
    except OSError as error:
        raise StoreError(f"{path} can't be read: {error.strerror}; begin a new run") from error
    is_taken_up = False
    try:
        if not _lock(lock):
            raise UsageError(f"--resume {start}: that run is still going on; wait for its end, or stop it first")
        with os.fdopen(os.dup(lock)) as file:
            info, known = _read(file)
        is_taken_up = True
    except (ValueError, DocumentError, KeyError, OSError) as error:
        raise StoreError(f"{path} can't be read: {error}; begin a new run") from error
    finally:
        if not is_taken_up:
            os.close(lock)
    return Unfinished(info=info, known=known, lock=lock)


def _lock(file: int | IO[str]) -> bool:
    """Whether nobody else has it. Where the file system knows no locks, nobody has."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _read(file: IO[str]) -> tuple[RunInfo, Gathered]:
    """Raises ValueError, `DocumentError` and KeyError for what no `Journal` of this version wrote, and `UsageError` for
    a run of another Fryer: figures of both would stand side by side."""
    info: RunInfo | None = None
    evidence: dict[str, NodeEvidence] = {}
    rounds: list[Round] = []
    trials: list[Trial] = []
    sweeps: list[Swept] = []
    for document in _documents(file):
        match document.get("type"):
            case "run":
                _check_version(document)
                info = decode(RunInfo, document["info"])
            case "evidence":
                piece = decode(NodeEvidence, document["evidence"])
                evidence[piece.node] = piece
            case "round":
                rounds.append(decode(Round, document["round"]))
            case "trial":
                trials.append(decode(Trial, document["trial"]))
            case "sweep":
                sweeps.append(decode(Swept, document["sweep"]))
    if info is None:
        raise ValueError("it does not say which run it is of")
    return info, Gathered(evidence=evidence, network=_network(rounds, trials, sweeps))


def _check_version(document: dict[str, Any]) -> None:
    schema, version, fryer = (document.get(name) for name in ("schema", "version", "fryer"))
    if (schema, version) != (SCHEMA, VERSION):
        raise ValueError(f"it is {schema} of version {version}, and this Fryer reads {SCHEMA} of version {VERSION}")
    own = versions()["fryer"]
    if fryer != own:
        raise UsageError(f"that run is of Fryer {fryer}, and this is {own}; install that one, or begin a new run")


def _network(rounds: Sequence[Round], trials: Sequence[Trial], sweeps: Sequence[Swept]) -> Network:
    """Of a round that was cut off before all its groups were kept, those count that were; one without any is begun
    again under its number."""
    begun = {(trial.round, trial.rail) for trial in trials}
    kept = tuple(each for each in rounds if (each.number, each.rail) in begun)
    return Network(rounds=kept, trials=tuple(trials), sweeps=tuple(sweeps))


def _documents(file: IO[str]) -> Sequence[dict[str, Any]]:
    """All whole lines: the last one may have been cut off by whatever ended the run."""
    documents = []
    for line in file.read().splitlines():
        try:
            document = json.loads(line)
        except ValueError:
            break
        if not isinstance(document, dict):
            raise ValueError("a line of it is no JSON object")
        documents.append(document)
    return documents
