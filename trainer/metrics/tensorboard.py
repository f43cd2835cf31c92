"""Records for TensorBoard, where the package is installed."""

from pathlib import Path
from typing import Any

from trainer.metrics.record import Evaluated, Record, StageBegins, StepDone
from watchdog.vocabulary.errors import UsageError

FIGURES = ("loss", "z_loss", "grad_norm", "update_norm", "lr", "tokens", "seconds", "tokens_per_second", "mfu")
"""Of `StepDone`, a curve each; one that a step lacks has no point there."""


class ToTensorBoard:
    """Event files in a directory."""

    name = "TensorBoard's event file"

    def __init__(self, directory: Path, *, from_step: int = 0) -> None:
        """Points of steps after `from_step` that are there already belong to a past that is no more: TensorBoard
        leaves them out. Raises `UsageError` where TensorBoard is not installed."""
        try:
            from torch.utils import tensorboard  # noqa: PLC0415 - optional, and heavy
        except ImportError as error:
            raise UsageError(
                "the plan has metrics.tensorboard = true and TensorBoard is not installed: "
                "pip install 'fryer[tensorboard]', or set it to false"
            ) from error
        self._make: Any = tensorboard.SummaryWriter
        self._directory = directory
        self._from_step = from_step
        self._writer: Any = None

    def write(self, record: Record) -> None:
        """Steps, evaluations and begins of stages; the rest has no curve."""
        try:
            self._writer = self._writer or self._make(str(self._directory), purge_step=self._from_step + 1)
            match record:
                case StepDone():
                    self._step(record)
                case Evaluated():
                    for source, loss in record.losses.items():
                        self._add(f"held_out/{source}", loss, record)
                case StageBegins():
                    self._writer.add_text("stage", record.stage, record.step, walltime=record.at)
        except OSError:
            self._writer = None  # it raises for good once it has failed
            raise

    def _step(self, record: StepDone) -> None:
        for name in FIGURES:
            self._add(f"train/{name}", getattr(record, name), record)
        for source, loss in record.losses.items():
            self._add(f"loss/{source}", loss, record)
        for phase, seconds in record.times.items():
            self._add(f"seconds/{phase}", seconds, record)

    def _add(self, name: str, value: float | None, record: StepDone | Evaluated) -> None:
        if value is not None:
            self._writer.add_scalar(name, value, record.step, walltime=record.at)

    def close(self) -> None:
        """Flush. Raises OSError where the disk is full."""
        if self._writer:
            self._writer.close()
