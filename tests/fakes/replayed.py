"""Files for replays, and what a replay says of them."""

from pathlib import Path

from fryer.replay.opening import log_of
from fryer.replay.words import Options, Reading
from watchdog.detectors.training.words import Mark, Point, RankPoint

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"


def read(path: Path, **options: object) -> tuple[list[tuple[str, object]], Reading]:
    """Everything that a file says, and what became known on the way."""
    reading = Reading()
    return list(log_of(str(path), path, Options(**options)).read(reading)), reading  # type: ignore[arg-type]


def write(path: Path, text: str) -> Path:
    """A file with this text."""
    path.write_text(text, encoding="utf-8")
    return path


def points(items: list[tuple[str, object]]) -> list[tuple[str, Point]]:
    """The points among what was read."""
    return [(name, thing) for name, thing in items if isinstance(thing, Point)]


def marks(items: list[tuple[str, object]]) -> list[Mark]:
    """The planned events among what was read."""
    return [thing for _, thing in items if isinstance(thing, Mark)]


def rank_points(items: list[tuple[str, object]]) -> list[RankPoint]:
    """The ranks' points among what was read."""
    return [thing for _, thing in items if isinstance(thing, RankPoint)]


def curve(num_points: int, *, spikes: dict[int, float] | None = None, first: int = 1) -> str:
    """A calm loss as CSV, with a loss of its own at some steps. The noise is a fixed pattern."""
    rows = []
    for step in range(first, first + num_points):
        loss = (spikes or {}).get(step, 2.5 + 0.02 * ((step * 7919) % 97 / 48.5 - 1))
        rows.append(f"{step},{loss:.5f}")
    return "step,loss\n" + "\n".join(rows) + "\n"
