"""``fryer train``: a training by a plan, on this node or as one of the ranks that torchrun or srun started."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from trainer.options import Options
    from trainer.plan import Plan

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def train(  # noqa: PLR0913, PLR0917 - one parameter an option
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="plan.toml; see docs/plan.md.")],
    plan_only: Annotated[
        bool, typer.Option("--plan-only", help="Print the resolved plan, its hash, sizes and durations; train nothing.")
    ] = False,
    verify_resume: Annotated[
        bool,
        typer.Option("--verify-resume", help="Prove on this plan that a resume is exact to the bit; a few minutes."),
    ] = False,
    run: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where checkpoints and metrics are; an unfinished run there goes on. Default: runs/NAME.",
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where prepared data are kept. Default: in the run's directory.")
    ] = None,
    ranks: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Processes on this node. Default: one a GPU; else the model's own size."),
    ] = None,
    device: Annotated[str, typer.Option(metavar="NAME", help="auto, cpu or cuda.")] = "auto",
    until: Annotated[
        int | None, typer.Option(min=1, metavar="STEP", help="Stop after this step, with a checkpoint.")
    ] = None,
    layouts: Annotated[
        str, typer.Option(metavar="LIST", help="For --verify-resume: plan, dp2, tp2, pp2, cp2.")
    ] = "plan,dp2,tp2,pp2",
    socket: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The node's daemon. Default: /run/fryer/watchdog.sock.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="With --plan-only or --verify-resume: one document.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress on stderr.")] = False,
) -> None:
    """Train by a plan; go on from the newest valid checkpoint where the run has one.

    SIGTERM, SIGINT or SIGUSR1 end it at the next step with a checkpoint; the second one ends it at once.

    \b
    Examples:
      fryer train plans/smoke.toml --run /tmp/smoke
      fryer train plans/smollm3-3b.toml --plan-only
      fryer train plans/smoke.toml --verify-resume
      srun fryer train plan.toml --run /shared/run
      torchrun --nnodes 4 --nproc-per-node 8 --no-python fryer train plan.toml --run /shared/run

    \b
    Exit codes: 0 done; 1 failed; 2 wrong plan or usage; 10 a rollback is wanted; 11 stopped for a person;
    16, 17 as Megatron's; 128 + N ended by signal N (the first one: with a checkpoint).
    """
    if plan_only:
        from trainer.cli.plan_only import print_plan

        print_plan(plan, as_json=as_json)
        return
    from trainer.options import Options
    from trainer.plan import load_plan
    from trainer.world import read_world

    wanted = load_plan(plan)
    options = Options(
        plan=plan.resolve(),
        run=(run or Path("runs") / wanted.name).resolve(),
        data=data.resolve() if data else None,
        device=device,
        until=until,
        socket=socket,
        is_quiet=quiet,
    )
    if verify_resume:
        raise typer.Exit(_verify(wanted, options, layouts, as_json=as_json))
    world = read_world(os.environ)
    if world is not None:
        from trainer.rank import run_rank

        raise typer.Exit(run_rank(options, world))
    from trainer.launch import launch

    raise typer.Exit(launch(options, ranks or _ranks_here(wanted, device)))


def _ranks_here(plan: Plan, device: str) -> int:
    """One a GPU; without one, as many as one copy of the model has."""
    from trainer.device.count import count_gpus

    layout = plan.parallel
    return (count_gpus() if device != "cpu" else 0) or layout.tensor * layout.pipeline * layout.context


def _verify(plan: Plan, options: Options, layouts: str, *, as_json: bool) -> int:
    from trainer.verify_resume import show, verify

    found = verify(plan, options, [word.strip() for word in layouts.split(",") if word.strip()], print_line=_say)
    show(found, sys.stdout, as_json=as_json)
    return 0 if all(each.is_equal for each in found) else 1


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
