"""``fryer checkpoints``: what a training can go back to, and what a person says of it. Only export loads torch."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from watchdog.vocabulary.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from trainer.checkpoints.listing import Listed
    from trainer.checkpoints.states import Status

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)

SCHEMA = "fryer/checkpoints"
VERSION = 1

Where = Annotated[
    Path,
    typer.Argument(metavar="DIR|PLAN", help="A run's directory, its checkpoints, or a plan.toml: then runs/NAME."),
]
Step = Annotated[int, typer.Argument(metavar="STEP", min=0, help="Of the checkpoint, as list shows it.")]
Why = Annotated[str, typer.Option(metavar="TEXT", help="Kept in its history.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@app.callback()
def checkpoints() -> None:
    """List, verify, pin and export a training's durable checkpoints.

    \b
    Examples:
      fryer checkpoints list runs/smoke
      fryer checkpoints verify runs/smoke --step 400
      fryer checkpoints export runs/smoke --out smoke-hf

    \b
    Exit codes: 0 good; 1 a checkpoint is damaged, or a change makes no sense; 2 wrong usage; 3 it could not be told.
    """


@app.command("list")
def list_all(where: Where, as_json: AsJson = False) -> None:
    """Show each checkpoint: step, stage, state, size, age, and what is wrong with it.

    It reads manifests and sizes of files, no tensors: a flipped bit shows in `verify` alone.

    \b
    Examples:
      fryer checkpoints list runs/smoke
      fryer checkpoints list plans/smoke.toml --json

    \b
    Exit codes: 0 listed; 1 one of them is damaged; 2 no such directory.
    """
    from trainer.checkpoints.listing import list_durable, read_latest
    from trainer.checkpoints.words import State
    from trainer.cli.checkpoint_table import print_table, row

    directory = directory_of(where)
    found = list_durable(directory)
    latest = read_latest(directory)
    if as_json:
        rows = [row(listed, latest) for listed in found]
        print(_document(directory, rows))
    elif found:
        print_table(found, latest)
    else:
        print(f"no checkpoints in {directory}", file=sys.stderr)
    damaged = any(listed.problem and listed.status.state is not State.WRITING for listed in found)
    raise typer.Exit(1 if damaged else 0)


@app.command()
def verify(
    where: Where,
    step: Annotated[int | None, typer.Option(metavar="STEP", help="Only this one. Default: all.")] = None,
    as_json: AsJson = False,
) -> None:
    """Read checkpoints back from the disk and compare every hash; what is found becomes their state.

    One that is complete becomes verified; a damaged one becomes bad, and no resume uses it. A training that runs
    does this by itself after each save.

    \b
    Examples:
      fryer checkpoints verify runs/smoke
      fryer checkpoints verify runs/smoke --step 400 --json

    \b
    Exit codes: 0 every hash agrees; 1 one is damaged; 2 no such checkpoint; 3 a state could not be written.
    """
    from trainer.checkpoints.listing import list_durable
    from trainer.checkpoints.verify import read_back
    from trainer.checkpoints.words import State

    directory = directory_of(where)
    whole = [each for each in list_durable(directory) if each.status.state is not State.WRITING]
    chosen = whole if step is None else [_one(directory, step)]
    rows = []
    for listed in chosen:
        problem = read_back(listed.path).problem
        state = _mark(listed, problem)
        rows.append({"step": listed.step, "path": str(listed.path), "state": state, "problem": problem or None})
        if not as_json:
            print(f"step {listed.step}: {f'DAMAGED, {problem}' if problem else 'every hash agrees'}; it is {state}")
    if as_json:
        print(_document(directory, rows))
    elif not rows:
        print(f"no checkpoints in {directory}", file=sys.stderr)
    raise typer.Exit(1 if any(row["problem"] for row in rows) else 0)


def _mark(listed: Listed, problem: str) -> str:
    """What reading back says, where that is news; the state that it has then. A good one stays good."""
    from trainer.checkpoints.manifest import BadCheckpoint
    from trainer.checkpoints.states import set_state
    from trainer.checkpoints.words import State
    from watchdog.vocabulary.errors import FryerError

    state = listed.status.state
    if not problem and state is not State.COMPLETE:
        return state
    try:
        after = State.BAD if problem else State.VERIFIED
        return set_state(listed.path, after, why=problem or "every hash agrees").state
    except BadCheckpoint as error:
        return f"not known ({error})"
    except OSError as error:
        raise FryerError(f"{listed.path}: its state can't be written ({error.strerror})") from error


@app.command()
def pin(where: Where, step: Step, why: Why = "") -> None:
    """Keep a checkpoint until it is unpinned, whatever the rules say.

    \b
    Examples:
      fryer checkpoints pin runs/smoke 400 --why "for the paper"

    \b
    Exit codes: 0 pinned; 2 no such checkpoint; 3 it could not be written.
    """
    from trainer.checkpoints.states import set_pinned

    listed = _one(directory_of(where), step)
    _changed(listed, lambda: set_pinned(listed.path, True, why=why))


@app.command()
def unpin(where: Where, step: Step, why: Why = "") -> None:
    """Let the rules decide again.

    \b
    Examples:
      fryer checkpoints unpin runs/smoke 400

    \b
    Exit codes: 0 unpinned; 2 no such checkpoint; 3 it could not be written.
    """
    from trainer.checkpoints.states import set_pinned

    listed = _one(directory_of(where), step)
    _changed(listed, lambda: set_pinned(listed.path, False, why=why))


@app.command("mark-bad")
def mark_bad(
    where: Where,
    step: Step,
    why: Why = "marked by hand",
    undo: Annotated[bool, typer.Option("--undo", help="Take it back: it is complete again, to be verified.")] = False,
) -> None:
    """Say that a checkpoint must not be used; a resume then takes the next older one.

    \b
    Examples:
      fryer checkpoints mark-bad runs/smoke 400 --why "loss was wrong since 380"
      fryer checkpoints mark-bad runs/smoke 400 --undo

    \b
    Exit codes: 0 marked; 1 it makes no sense in its state; 2 no such checkpoint; 3 it could not be written.
    """
    from trainer.checkpoints.states import set_state
    from trainer.checkpoints.words import State

    listed = _one(directory_of(where), step)
    state = State.COMPLETE if undo else State.BAD
    _changed(listed, lambda: set_state(listed.path, state, why="taken back" if undo else why))


@app.command()
def export(
    where: Where,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="New directory, for transformers to load.")],
    step: Annotated[int | None, typer.Option(metavar="STEP", help="Default: the newest that can be used.")] = None,
    plan: Annotated[
        Path | None, typer.Option(metavar="FILE", help="plan.toml. Default: the checkpoint's own copy.")
    ] = None,
    tokenizer: Annotated[
        Path | None, typer.Option(metavar="FILE", help="tokenizer.json. Default: the checkpoint's or plan's own.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a checkpoint as Hugging Face safetensors, with config and tokenizer: transformers gives equal logits.

    Any layout, one process, tensor by tensor. Documents that share a row are not masked there: give it one a row.

    \b
    Examples:
      fryer checkpoints export runs/smoke --out smoke-hf
      fryer checkpoints export runs/smoke --step 400 --out smoke-400 --json

    \b
    Exit codes: 0 written; 1 the checkpoint is damaged; 2 wrong usage, or a model that SmolLM3 can't express.
    """
    from trainer.checkpoints.export import export as write_export
    from trainer.checkpoints.manifest import BadCheckpoint
    from trainer.plan import load_plan
    from watchdog.vocabulary.units import show_quantity

    directory = directory_of(where)
    path = _newest(directory) if step is None else _one(directory, step).path
    try:
        found = write_export(path, out, plan=load_plan(plan) if plan else None, tokenizer=tokenizer)
    except BadCheckpoint as error:
        print(f"fryer: {error}", file=sys.stderr)
        raise typer.Exit(1) from error
    if as_json:
        rows = {"step": found.step, "out": str(found.directory), "parameters": found.num_parameters}
        print(json.dumps({"schema": SCHEMA, "version": VERSION, **rows, "bytes": found.num_bytes}))
        return
    figures = f"{show_quantity(found.num_parameters, '')} parameters, {show_quantity(found.num_bytes, 'B')}"
    print(f"step {found.step} is in {found.directory}: {figures}")
    if not found.has_tokenizer:
        print("no tokenizer.json: the plan's tokenizer is bytes, or its file was not kept", file=sys.stderr)


def directory_of(where: Path) -> Path:
    """The directory with the checkpoints that `where` means. Raises `UsageError`."""
    from trainer.checkpoints.names import LATEST, partial_of, step_of

    if where.suffix == ".toml":
        from trainer.plan import load_plan

        plan = load_plan(where)
        return directory_of(Path("runs") / plan.name / plan.checkpoints.directory)
    if not where.is_dir():
        raise UsageError(f"{where} is no directory; give a run's directory, its checkpoints, or a plan.toml")
    names = {path.name for path in where.iterdir()}
    if LATEST in names or any(step_of(name) is not None or partial_of(name) for name in names):
        return where
    inner = where / "checkpoints"
    return inner if inner.is_dir() else where


def _one(directory: Path, step: int) -> Listed:
    from trainer.checkpoints.listing import list_durable
    from trainer.checkpoints.words import State

    whole = {each.step: each for each in list_durable(directory) if each.status.state is not State.WRITING}
    if step in whole:
        return whole[step]
    known = ", ".join(map(str, whole)) or "none"
    raise UsageError(f"{directory} has no whole checkpoint of step {step}; there are: {known}")


def _newest(directory: Path) -> Path:
    from trainer.checkpoints.find import choose_to_resume, resume_or_begin
    from trainer.checkpoints.listing import list_durable

    choice = choose_to_resume([each.candidate() for each in list_durable(directory)])
    chosen = resume_or_begin(choice)
    if chosen is None or chosen.path is None:
        raise UsageError(f"no checkpoints in {directory}")
    for passed in choice.passed:
        print(passed, file=sys.stderr)
    return chosen.path


def _changed(listed: Listed, change: Callable[[], Status]) -> None:
    from trainer.checkpoints.states import NotAllowed
    from watchdog.vocabulary.errors import FryerError

    try:
        status = change()
    except NotAllowed as error:
        print(f"fryer: step {listed.step}: {error}", file=sys.stderr)
        raise typer.Exit(1) from error
    except OSError as error:
        raise FryerError(f"{listed.path}: its state can't be written ({error.strerror})") from error
    print(f"step {listed.step} is {status.state}{' and pinned' if status.is_pinned else ''}")


def _document(directory: Path, rows: list[dict[str, object]]) -> str:
    return json.dumps({"schema": SCHEMA, "version": VERSION, "directory": str(directory), "checkpoints": rows})
