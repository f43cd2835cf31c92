"""``fryer run``: qualify nodes. It turns arguments into a plan, carries it out, shows and keeps the result."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fryer.stopper import Stopper
from watchdog.vocabulary.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fryer.cli.fleet import FleetOptions
    from fryer.outputs import Output
    from fryer.outputs.fleet_guarded import FleetGuarded
    from fryer.outputs.guarded import Guarded
    from fryer.plan import Plan
    from fryer.result import RunInfo, RunResult
    from watchdog.store import Store

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def run(  # noqa: PLR0913, PLR0917 - one parameter an option
    context: typer.Context,
    nodes: Annotated[
        str, typer.Option(metavar="SET", help="Which nodes: localhost, node[001-048], @group.", show_default=False)
    ] = "",
    duration: Annotated[
        str, typer.Option(metavar="TIME", help="How long to measure, all burns together: 90s, 10m, 2h.")
    ] = "60s",
    dtypes: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            help="Number formats of the products: bf16, fp16, fp32, tf32, "
            "fp8, fp64, int8. Default: what LLMs are trained in here.",
        ),
    ] = "",
    burns: Annotated[
        str, typer.Option(metavar="LIST", help="Only these burns: gemm, memory, hbm, pcie, p2p, soak. Default: all.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document a line; the last is the verdict.")] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Also write a page with every series and the evidence.")
    ] = None,
    simulate: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="A scenario in place of the hardware: a file, or the name of a ready one (fryer scenarios).",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the random operands; equal seeds give equal products.")] = 1,
    memory: Annotated[
        float | None,
        typer.Option(metavar="RATIO", help="Share of the free memory to use. Default: 0.9 on a GPU, 0.02 on a CPU."),
    ] = None,
    expect: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="GPUs that the node must have. Default: as many as its PCI bus shows."),
    ] = None,
    early_stop: Annotated[
        bool,
        typer.Option(
            "--early-stop/--no-early-stop",
            help="End a node's burns early where a device fails beyond doubt after 20 s and over a minute is left.",
        ),
    ] = True,
    strict: Annotated[bool, typer.Option("--strict", help="A warning exits 1 too.")] = False,
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where results are kept. Default: "
            "$FRYER_STATE_DIRECTORY; else /var/lib/fryer for root, "
            "~/.local/state/fryer for a user.",
        ),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep/--no-keep", help="Keep the result in the history.")] = True,
    network: Annotated[
        bool, typer.Option("--network/--no-network", help="Of several nodes: also measure between them.")
    ] = True,
    collectives: Annotated[
        str,
        typer.Option(
            metavar="LIST",
            help="Sweep these over all nodes that are fit, and inside each: all_reduce, alltoall, ..., all, none. "
            "Default: all_reduce over a dozen sizes.",
        ),
    ] = "",
    sizes: Annotated[
        str,
        typer.Option(
            metavar="BEGIN:END:FACTOR", help="Of that sweep, as -b -e -f of nccl-tests: 8:8G:2. Its default suits."
        ),
    ] = "",
    nccl_json: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write the sweep over all nodes as the JSON of nccl-tests."),
    ] = None,
    launcher: Annotated[
        str,
        typer.Option(metavar="NAME", help="How other nodes are reached: auto, local, ssh, slurm."),
    ] = "auto",
    partition: Annotated[str | None, typer.Option(help="Of Slurm, for a job of our own.")] = None,
    reservation: Annotated[str | None, typer.Option(help="Of Slurm.")] = None,
    account: Annotated[str | None, typer.Option(help="Of Slurm.")] = None,
    qos: Annotated[str | None, typer.Option(help="Of Slurm.")] = None,
    time: Annotated[
        str | None, typer.Option(metavar="TIME", help="Limit of that job, as sbatch has it. Default: the partition's.")
    ] = None,
    wait: Annotated[
        str, typer.Option(metavar="TIME", help="For that job to get its nodes; with --batch for ever.")
    ] = "10m",
    exclusive: Annotated[
        bool, typer.Option("--exclusive/--no-exclusive", help="Whether that job takes its nodes whole.")
    ] = True,
    slurm_options: Annotated[
        str, typer.Option(metavar="WORDS", help="More options for salloc or sbatch: --constraint=h100.")
    ] = "",
    batch: Annotated[
        bool,
        typer.Option("--batch", help="Submit the run to Slurm and end; it goes on when this session is gone."),
    ] = False,
    drain: Annotated[
        bool, typer.Option("--drain", help="Set nodes that failed to DRAIN in Slurm; none if more than a tenth failed.")
    ] = False,
    undrain: Annotated[
        bool, typer.Option("--undrain", help="Give nodes that passed back to Slurm, where Fryer drained them.")
    ] = False,
    spares: Annotated[
        int, typer.Option(min=0, metavar="K", help="Propose K healthy nodes to leave out of the job, as spares.")
    ] = 0,
    resume: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Go on with a run over many nodes that was cut off; all else is as it was."),
    ] = None,
    ssh_options: Annotated[str, typer.Option(metavar="WORDS", help="For ssh, as on its command line.")] = "",
    remote_command: Annotated[
        str | None,
        typer.Option(metavar="WORDS", help="What starts Fryer on a node. Default: the path of this one."),
    ] = None,
) -> None:
    """Qualify nodes: load every device, verify every result, and say with evidence which one is not fit.

    \b
    Examples:
      fryer run --nodes localhost --duration 10m --report qualification.html
      fryer run --nodes node001 --duration 20s --simulate slow_gpu

    \b
    Exit codes: 0 fit; 1 a device or node failed (or warned, with --strict); 2 wrong usage;
    3 cannot tell: inconclusive, stopped early, or the tool's own failure.
    """
    with Stopper().listening() as stopper:
        from fryer.cli.after import After, follow
        from fryer.cli.asked import Asked, check_asked, check_resumed
        from fryer.cli.batch import slurm_options_of, submit_run
        from fryer.cli.files import check_files, write_files
        from fryer.cli.fleet import FleetOptions
        from fryer.cli.kept import close_journals, open_store, take_up
        from fryer.collectives.choice import parse_choice
        from fryer.fleet.simulated import unconcerned_in_fleet
        from fryer.hardware import parse_nodes, unconcerned
        from fryer.plan import make_plan
        from watchdog.simulator.scenario import load
        from watchdog.vocabulary.units import parse_duration
        from watchdog.vocabulary.verdicts import exit_code

        store = unfinished = None
        if resume is not None:
            check_resumed(lambda name: _is_given(context, name), keep=keep)
            store = open_store(state)
            unfinished = take_up(store, resume)
        simulate = unfinished.info.plan.scenario if unfinished else simulate
        scenario = load(simulate) if simulate else None
        plan = (
            unfinished.info.plan
            if unfinished
            else make_plan(
                nodes=parse_nodes(nodes, scenario),
                seconds=parse_duration(duration),
                dtypes=_words(dtypes),
                burns=_words(burns),
                seed=seed,
                memory_ratio=memory,
                scenario=simulate,
                expected_gpus=expect,
                collectives=parse_choice(_words(collectives), sizes),
                has_early_stop=early_stop,
            )
        )
        check_asked(
            Asked(
                launcher=launcher,
                remote_command=remote_command,
                nccl_json=nccl_json,
                has_network=network,
                has_drain=drain,
                has_undrain=undrain,
                num_spares=spares,
            ),
            plan,
        )
        check_files(report, nccl_json)
        fleet = None
        if _is_fleet(plan, has_network=network):
            fleet = FleetOptions(
                nodes=plan.nodes,
                scenario=simulate,
                has_network=network,
                launcher=launcher,
                ssh_options=ssh_options,
                remote_command=remote_command,
                slurm=slurm_options_of(
                    (partition, reservation, account, qos), time, wait, slurm_options, remote_command, exclusive
                ),
                known=unfinished.known if unfinished else None,
            )
        if batch:
            submit_run(fleet, sys.argv[1:], has_page=report is not None)
            return
        if scenario:
            _say_left_aside((unconcerned_in_fleet if fleet else unconcerned)(scenario))
        store = store or (open_store(state) if keep else None)
        done = _carry_out(plan, fleet, store, stopper, as_json=as_json)
    if fleet and store and done.is_kept:
        close_journals(store, done.result, resume, is_over=done.is_whole)
    is_well = write_files(done.result, report, nccl_json)
    is_well = follow(done.result, After(has_drain=drain, has_undrain=undrain, num_spares=spares)) and is_well
    code = exit_code(done.result.verdict, strict=strict)
    raise typer.Exit(code if (is_well and done.is_well) or code == 1 else 3)


def _say_left_aside(faults: Sequence[str]) -> None:
    if faults:
        print(f"fryer: these faults do not concern fryer run: {', '.join(faults)}", file=sys.stderr)


def _is_fleet(plan: Plan, *, has_network: bool) -> bool:
    """Whether it goes by workers: over several nodes, another one than this, or with a sweep that was asked for."""
    from fryer.launchers import is_here

    has_sweep = plan.collectives is not None and plan.collectives.operations != ()
    if has_sweep and not has_network:
        raise UsageError("--collectives and --sizes measure the network; leave out --no-network")
    return len(plan.nodes) > 1 or has_sweep or not (plan.scenario or is_here(plan.nodes[0]))


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    """What became of a run."""

    result: RunResult
    is_kept: bool
    """Or was not to be."""
    is_whole: bool
    """Nothing stopped it before all was measured."""
    is_well: bool
    """It could be kept and shown."""


def _carry_out(
    plan: Plan, fleet: FleetOptions | None, store: Store | None, stopper: Stopper, *, as_json: bool
) -> _Done:
    """Run it, keep the result, then show it."""
    from datetime import UTC, datetime
    from uuid import uuid4

    from fryer.cli.fleet import open_fleet
    from fryer.cli.kept import save
    from fryer.result import RunInfo

    info = RunInfo(
        run_id=str(uuid4()),
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        plan=plan,
        command=shlex.join(["fryer", *sys.argv[1:]]),
    )
    output: Guarded | FleetGuarded
    if fleet:
        output, measure = open_fleet(fleet, store, stopper, as_json=as_json)
    else:
        output, measure = _open_one(plan, store, stopper, as_json=as_json)
    try:
        result = measure(info)
        is_whole = stopper.reason is None
        is_kept = store is None or save(store, result)
        output.finish(result)
    finally:
        output.close()
    if isinstance(output.error, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else the interpreter fails once more when it flushes
    if output.error is not None:
        print(f"fryer: the output could not be written ({output.error.strerror}); see fryer history", file=sys.stderr)
    return _Done(result=result, is_kept=is_kept, is_whole=is_whole, is_well=is_kept and output.error is None)


def _open_one(
    plan: Plan, store: Store | None, stopper: Stopper, *, as_json: bool
) -> tuple[Guarded, Callable[[RunInfo], RunResult]]:
    """The output, and what carries a run out, for one node."""
    from fryer.cli.kept import past_of
    from fryer.outputs.guarded import Guarded
    from fryer.runner import run as carry_out

    output = Guarded(_output(as_json=as_json), lambda: stopper.stop("nobody reads the output any more"))
    past = past_of(store, is_simulated=plan.scenario is not None)
    return output, lambda info: carry_out(info, output, past, stopper)


def _output(*, as_json: bool) -> Output:
    if sys.stdout is None or sys.stderr is None:
        raise UsageError("stdout or stderr is closed; redirect it to /dev/null instead")
    if as_json:
        from fryer.outputs.ndjson import JsonOutput

        return JsonOutput(sys.stdout)
    if sys.stderr.isatty() and sys.stdout.isatty():
        import time

        from rich.console import Console

        from fryer.outputs.live import LiveOutput

        return LiveOutput(Console(stderr=True), sys.stdout, time.monotonic)
    from fryer.outputs.table import TableOutput

    return TableOutput(sys.stdout, sys.stderr)


def _is_given(context: typer.Context, name: str) -> bool:
    """Whether the command line itself has this parameter."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
