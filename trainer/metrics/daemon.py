"""Records on their way to the node's daemon, through the client that never blocks and never raises."""

from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Final

from trainer.metrics.record import CheckpointChanged, Record, RunBegins, RunEnds, StageBegins, StepDone
from watchdog.client import Client

SECTIONS: Final = MappingProxyType({"evaluation": "eval"})
"""Phases that the daemon has another word for."""
STATES: Final = frozenset({"writing", "complete", "verified", "good", "suspect", "bad"})
"""Of checkpoints, that it knows; a save that failed leaves no checkpoint."""


class ToDaemon:
    """Of one rank."""

    def __init__(self, client: Client, *, tells_checkpoints: bool = True) -> None:
        """`tells_checkpoints`: of the ranks of one node, one is enough."""
        self._client = client
        self._tells_checkpoints = tells_checkpoints

    def section(self, name: str) -> AbstractContextManager[None]:
        """What this rank is in: so that a hang is named."""
        return self._client.section(SECTIONS.get(name, name))

    def write(self, record: Record) -> None:
        """Told where the daemon has a word for it."""
        match record:
            case RunBegins():
                self._client.begin(resume_step=record.from_step + 1)
            case StageBegins():
                self._client.begin(stage=record.stage, resume_step=record.step)
            case StepDone():
                self._step(record)
            case CheckpointChanged() if self._tells_checkpoints and record.state in STATES:
                self._client.checkpoint(
                    record.step, record.path, record.state, seconds=record.seconds, num_bytes=record.num_bytes
                )
            case RunEnds():
                self._client.end(record.reason)

    def _step(self, record: StepDone) -> None:
        self._client.step(
            record.step,
            seconds=record.seconds,
            tokens=record.tokens,
            loss=record.loss,
            grad_norm=record.grad_norm,
            lr=record.lr,
            times={SECTIONS.get(name, name): seconds for name, seconds in record.times.items()},
            batch_id=record.batch,
        )

    def close(self) -> None:
        """`RunEnds` has ended the client already; without one the daemon is to see that the run broke off."""
