"""The sinks of one rank, as plan and place want them."""

import sys
import time
from pathlib import Path
from typing import TextIO

from trainer.evaluation.external import Commands
from trainer.metrics.daemon import ToDaemon
from trainer.metrics.fan import Metrics, Sink
from trainer.metrics.jsonl import JsonLines
from trainer.metrics.progress import progress_on
from trainer.metrics.tensorboard import ToTensorBoard
from trainer.plan import Plan
from watchdog.client import Client
from watchdog.vocabulary.errors import UsageError

METRICS, TENSORBOARD, LOGS = "metrics.jsonl", "tensorboard", "evaluations"
"""In the run's directory."""


def open_metrics(
    plan: Plan,
    run: Path,
    *,
    rank: int,
    local_rank: int,
    client: Client,
    from_step: int,
    stream: TextIO | None,
) -> Metrics:
    """Of a rank whose run goes on after `from_step`; `stream`: where rank 0 shows its progress, None: nowhere.

    Raises `UsageError` where rank 0 can't write into the run's directory, TensorBoard is wanted and not installed, or
    the evaluation command can't be split into words.
    """
    daemon = ToDaemon(client, tells_checkpoints=local_rank == 0)
    sinks: list[Sink] = [daemon]
    if rank == 0:
        sinks += _of_first(plan, run, from_step, stream)
    metrics = Metrics(sinks, watch=daemon.section, complain=_complain)
    if rank == 0 and plan.evaluation.command:
        metrics.add(Commands(plan.evaluation.command, run / LOGS, metrics.write))
    return metrics


def _of_first(plan: Plan, run: Path, from_step: int, stream: TextIO | None) -> list[Sink]:
    try:
        sinks: list[Sink] = [JsonLines(run / METRICS)]
    except OSError as error:
        raise UsageError(f"{run / METRICS} can't be written ({error.strerror}); give another --run") from error
    if plan.metrics.tensorboard:
        sinks.append(ToTensorBoard(run / TENSORBOARD, from_step=from_step))
    if stream is not None:
        sinks.append(progress_on(stream, plan, time.monotonic))
    return sinks


def _complain(line: str) -> None:
    sys.stderr.write(f"fryer: {line}\n")
    sys.stderr.flush()
