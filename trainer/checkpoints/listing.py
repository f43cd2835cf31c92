"""What lies in a directory of durable checkpoints, without reading tensors: manifests, states and sizes of files."""

from dataclasses import dataclass
from pathlib import Path

from trainer.checkpoints.find import Candidate, Tier
from trainer.checkpoints.manifest import BadCheckpoint, Manifest, read_manifest
from trainer.checkpoints.names import LATEST, WRITING, partial_of, step_of
from trainer.checkpoints.states import Status, read_status
from trainer.checkpoints.words import State
from watchdog.vocabulary.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One durable checkpoint as it lies there."""

    path: Path
    step: int
    status: Status
    manifest: Manifest | None
    """None where it can't be read."""
    problem: str = ""
    """Why it can't be used, as far as sizes and words tell; hashes are not looked at."""

    def candidate(self) -> Candidate:
        """For `find`."""
        return Candidate(
            tier=Tier.DURABLE, step=self.step, state=self.status.state, problem=self.problem, path=self.path
        )


def list_durable(directory: Path) -> list[Listed]:
    """All in `directory`, oldest step first, half-written ones too; none where there is no directory.

    Raises `UsageError` where `directory` can't be read: that must not look like an empty one.
    """
    found = []
    try:
        paths = sorted(directory.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UsageError(f"checkpoints in {directory} can't be listed ({error})") from error
    for path in paths:
        if (step := step_of(path.name)) is not None:
            found.append(look_at(path, step))
        elif (partial := partial_of(path.name)) is not None and partial[1] == WRITING:
            status = Status(state=State.WRITING)
            found.append(Listed(path=path, step=partial[0], status=status, manifest=None, problem="it is half-written"))
    return sorted(found, key=lambda listed: listed.step)


def look_at(path: Path, step: int) -> Listed:
    """One that has its name."""
    status, manifest, problem = Status(), None, ""
    try:
        status = read_status(path)
        manifest = read_manifest(path)
        problem = missing_files(path, manifest)
        if manifest.header.step != step:
            problem = f"its manifest is of step {manifest.header.step}"
    except BadCheckpoint as error:
        problem = str(error)
    return Listed(path=path, step=step, status=status, manifest=manifest, problem=problem)


def missing_files(path: Path, manifest: Manifest) -> str:
    """The first file that is not there or has another size, in words; empty: none."""
    for name, entry in sorted(manifest.files.items()):
        try:
            size = (path / name).stat().st_size
        except OSError as error:
            return f"{name} can't be read ({error.strerror})"
        if size != entry.num_bytes:
            return f"{name} has {size} bytes and had {entry.num_bytes} when it was written"
    return ""


def read_latest(directory: Path) -> str | None:
    """The name that the pointer holds; None where there is no pointer or it can't be read."""
    try:
        return (directory / LATEST).read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def lost_latest(directory: Path, listed: list[Listed]) -> Candidate | None:
    """The checkpoint that the pointer names and that is not there: deleted by hand, or a file system that is not
    mounted. None where all is as it should be."""
    name = read_latest(directory)
    step = step_of(name) if name else None
    if step is None or any(each.step == step and each.status.state is not State.WRITING for each in listed):
        return None
    return Candidate(tier=Tier.DURABLE, step=step, problem=f"{directory / LATEST} names it and it isn't there")
