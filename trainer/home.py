"""A run's directory: its id, the plan that it was trained by, and the lock that keeps a second run out."""

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO
from uuid import uuid4

from trainer.checkpoints.durably import write_whole
from trainer.plan import Plan
from trainer.plan.json_form import plan_from_json, to_json
from watchdog.vocabulary.errors import UsageError

PLAN, RUN, LOCK = "plan.json", "run.json", "lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """What rank 0 finds there."""

    run_id: str
    attempt: int
    """From 1: how often the run was started."""
    before: Plan | None
    """What it was trained by until now."""


def enter(directory: Path) -> tuple[Home, TextIO]:
    """Rank 0's: the run there, or a new one; and the lock, held as long as the file is open.

    Raises `UsageError` where another process trains there, or its files can't be read.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / LOCK).open("a+", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"the run's directory {directory} can't be used: {error}") from error
    try:
        # not flock: a writer that was forked off would hold that on when this process is killed
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise UsageError(f"another process trains in {directory}; end it, or give another --run") from None
    try:
        return _enter(directory), lock
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{directory} holds a run that can't be read: {error}") from error


def _enter(directory: Path) -> Home:
    file, plan = directory / RUN, directory / PLAN
    known: dict[str, Any] = {"run": str(uuid4()), "attempt": 0}
    if file.exists():
        known = json.loads(file.read_text(encoding="utf-8"))
    home = Home(
        run_id=known["run"],
        attempt=known["attempt"] + 1,
        before=plan_from_json(json.loads(plan.read_text(encoding="utf-8"))) if plan.exists() else None,
    )
    write_whole(file, json.dumps({"run": home.run_id, "attempt": home.attempt, "pid": os.getpid()}) + "\n")
    return home


def keep_plan(directory: Path, plan: Plan) -> None:
    """From now on the run is trained by it."""
    write_whole(directory / PLAN, json.dumps(to_json(plan), indent=1) + "\n")
