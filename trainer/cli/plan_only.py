"""What ``fryer train PLAN --plan-only`` prints: the plan with every default, and what it means in figures."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.plan import load_plan
from trainer.plan.flops import FORMULA
from trainer.plan.identity import plan_hash
from trainer.plan.summary import StageSummary, Summary, summarize, summary_to_json
from trainer.plan.toml_form import show_resolved
from watchdog.vocabulary.units import show_quantity

if TYPE_CHECKING:
    from rich.table import Table

DAY_SECONDS = 86_400


def print_plan(path: Path, *, as_json: bool) -> None:
    """Print it; raises `UsageError` for a plan that isn't right."""
    summary = summarize(load_plan(path))
    if as_json:
        print(json.dumps(summary_to_json(summary)))
        return
    from rich.console import Console

    print(f"# plan {plan_hash(summary.plan)}, resolved\n{show_resolved(summary.plan)}")
    console = Console(highlight=False)
    for section in (_model_lines(summary), _stage_table(summary), _rate_lines(summary), _source_table(summary)):
        _show(console, section)
    for section in (_memory_table(summary), _checkpoint_lines(summary), _pace_lines(summary)):
        _show(console, section)


def _show(console: object, section: "Table | Iterator[str]") -> None:
    from rich.console import Console
    from rich.table import Table

    assert isinstance(console, Console)
    if isinstance(section, Table):
        # what does not fit a terminal is wrapped by it; in a file or pipe nothing is cut
        widest = console.measure(section, options=console.options.update(width=2000)).maximum
        console.width = max(console.width, widest)
        console.print(section.title, style="bold", markup=False)
        section.title = None
        console.print(section, crop=False)
    else:
        for line in section:
            console.print(line, markup=False, soft_wrap=True)
    console.print()


def _table(title: str, left: tuple[str, ...], right: tuple[str, ...]) -> "Table":
    from rich.table import Table

    table = Table(title=title, box=None, header_style="dim", padding=(0, 2, 0, 0))
    for name in left:
        table.add_column(name, no_wrap=True)
    for name in right:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _model_lines(summary: Summary) -> Iterator[str]:
    plan = summary.plan
    layout = plan.parallel
    yield f"parameters  {summary.parameters:,} ({_count(summary.parameters)})"
    if len(set(summary.rank_parameters)) > 1 or summary.rank_parameters[0] != summary.parameters:
        each = ", ".join(f"{count:,}" for count in dict.fromkeys(summary.rank_parameters))
        yield f"a rank      {each}"
    yield (
        f"layout      {_ranks(layout.world)} = {summary.data_parallel} data x {layout.tensor} tensor x "
        f"{layout.pipeline} pipeline x {layout.context} context"
    )
    yield f"in all      {plan.num_steps:,} steps, {_count(summary.tokens)} tokens ({summary.tokens:,})"


def _stage_table(summary: Summary) -> "Table":
    right = ("steps", "first", "last", "length", "sequences", "tokens a step", "micro-batches", "tokens", "days")
    table = _table("stages", ("stage",), right)
    for stage, planned in zip(summary.stages, summary.plan.stages, strict=True):
        table.add_row(
            stage.name,
            f"{planned.steps:,}",
            f"{stage.first_step:,}",
            f"{stage.last_step:,}",
            f"{planned.sequence_length:,}",
            f"{planned.batch:,}",
            f"{stage.step_tokens:,}",
            str(stage.micro_batches),
            _count(stage.tokens),
            _days(stage.seconds),
        )
    return table


def _rate_lines(summary: Summary) -> Iterator[str]:
    yield "learning rate"
    width = max(len(stage.name) for stage in summary.stages)
    for stage, planned in zip(summary.stages, summary.plan.stages, strict=True):
        fresh = "; fresh optimizer" if planned.fresh_optimizer else ""
        phases = "; ".join(stage.lr_phases)
        yield f"  {stage.name:<{width}}  {phases}; rope theta {planned.rope_theta:,.0f}{fresh}"


def _source_table(summary: Summary) -> "Table":
    names = [stage.name for stage in summary.stages]
    table = _table("tokens of sources, and times that all of a source is gone through", ("source",), (*names, "all"))
    for source in summary.sources:
        cells = [_cell(stage, source.source) for stage in summary.stages]
        table.add_row(source.source, *cells, _times(source.tokens, source.epochs))
    return table


def _cell(stage: StageSummary, source: str) -> str:
    found = next((each for each in stage.sources if each.source == source), None)
    return _times(found.tokens, found.epochs) if found else "-"


def _times(tokens: int, epochs: float | None) -> str:
    if not tokens:
        return "-"
    return f"{_count(tokens)}, {epochs:.2f}x" if epochs is not None else _count(tokens)


def _memory_table(summary: Summary) -> "Table":
    part = f" of {summary.plan.parallel.part}" if summary.part_bytes else ""
    right = ("weights", "gradients", "optimizer", "activations", "logits", "total", f"share{part}")
    table = _table("memory of a rank by formula, without CUDA's and NCCL's own 1 to 3 GB", ("stage",), right)
    for stage in summary.stages:
        memory = stage.memory
        parts = (memory.weights, memory.gradients, memory.optimizer, memory.activations, memory.logits, memory.total)
        table.add_row(stage.name, *(show_quantity(each, "B") for each in parts), _share(summary, memory.total))
    return table


def _share(summary: Summary, total: int) -> str:
    if not summary.part_bytes:
        return "-"
    fits = "" if total < summary.part_bytes else ", does not fit"
    return f"{total / summary.part_bytes:.0%}{fits}"


def _checkpoint_lines(summary: Summary) -> Iterator[str]:
    found, pace, rank_bytes = summary.plan.checkpoints, summary.pace, summary.rank_state_bytes
    step_seconds = summary.stages[0].seconds / summary.plan.stages[0].steps if summary.stages[0].seconds else None
    yield "checkpoints"
    durable = f"{show_quantity(summary.durable_bytes, 'B')} each"
    if not found.every_steps:
        yield f"  durable  {durable}; at stages' ends only"
    else:
        every = f", {_span(found.every_steps * step_seconds)}" if step_seconds and pace else ""
        kept = found.keep_last + (summary.plan.num_steps // found.keep_every_steps if found.keep_every_steps else 0)
        kept += len(summary.stages)
        most = show_quantity(kept * summary.durable_bytes, "B")
        yield f"  durable  {durable}; every {found.every_steps:,} steps{every}; about {kept:,} are kept: {most}"
    for name, every_steps, keep, place in (
        ("local", found.local_every_steps, found.local_keep, f"in {found.local_directory}"),
        ("memory", found.memory_every_steps, found.memory_keep, "of host memory"),
    ):
        if every_steps:
            size = show_quantity(keep * rank_bytes, "B")
            yield f"  {name:<7}  {size} a rank {place} ({keep} states); every {every_steps:,} steps"


def _pace_lines(summary: Summary) -> Iterator[str]:
    pace, parallel = summary.pace, summary.plan.parallel
    yield "pace"
    flops = show_quantity(summary.stages[0].flops_per_token, "FLOP")
    yield f"  of a token        {flops} in the first stage: {FORMULA}"
    if summary.peak_flops:
        yield f"  peak of a rank    {show_quantity(summary.peak_flops, 'FLOP/s')}"
    if pace is None or summary.seconds is None:
        yield "  days              unknown: give parallel.rank_tokens_per_second, or parallel.part"
        return
    share = f", MFU {pace.mfu:.1%}" if pace.mfu is not None else ""
    yield f"  rate              {pace.origin}{share}"
    days = _span(summary.seconds)
    yield f"  in all            {days} on {_ranks(parallel.world)}, without start-up, evaluation and failures"


def _ranks(number: int) -> str:
    return "1 rank" if number == 1 else f"{number:,} ranks"


def _days(seconds: float | None) -> str:
    return f"{seconds / DAY_SECONDS:.2f}" if seconds is not None else "-"


def _span(seconds: float) -> str:
    if seconds >= DAY_SECONDS:
        return f"{seconds / DAY_SECONDS:.1f} days"
    return f"{seconds / 60:.1f} minutes" if seconds >= 60 else f"{seconds:.1f} s"


def _count(number: int) -> str:
    """As the field counts tokens and parameters: K, M, B, T."""
    return show_quantity(number, "").replace(" ", "").replace("G", "B")
