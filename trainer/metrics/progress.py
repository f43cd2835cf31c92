"""A training as a person sees it: a bar on a terminal, a line now and then elsewhere. Meant for stderr."""

from collections import deque
from collections.abc import Callable
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from trainer.metrics.record import Record, RunBegins, StepDone
from trainer.metrics.sentences import figures, sentence
from trainer.plan import Plan
from trainer.plan.position import place_of
from watchdog.vocabulary.units import show_duration

LINE_SECONDS = 10.0
"""Between two lines of steps, where there is no terminal."""
DRAW_SECONDS = 0.1
"""Between two drawings of the bar."""
RECENT_STEPS = 50
"""That the time left is told from."""


class Lines:
    """Plain lines."""

    name = "the progress on stderr"

    def __init__(self, stream: TextIO, plan: Plan, clock: Callable[[], float]) -> None:
        """`clock`: seconds that never go back."""
        self._stream = stream
        self._plan = plan
        self._clock = clock
        self._recent: deque[tuple[float, int]] = deque(maxlen=RECENT_STEPS + 1)
        self._told: float | None = None

    def write(self, record: Record) -> None:
        """Events at once; steps now and then, and each one that wasn't simply trained."""
        if isinstance(record, RunBegins):
            self._recent.append((self._clock(), tokens_left(self._plan, record.from_step)))
        if isinstance(record, StepDone):
            self._recent.append((self._clock(), tokens_left(self._plan, record.step)))
            self._step(record)
        elif words := sentence(record):
            self._say(words)

    def _step(self, record: StepDone) -> None:
        now = self._clock()
        is_due = self._told is None or now - self._told >= LINE_SECONDS
        if is_due or record.vetoed or record.skipped or record.step == self._plan.num_steps:
            self._told = now
            parts = [f"step {record.step}/{self._plan.num_steps}", record.stage, figures(record), self._left()]
            self._say("  ".join(part for part in parts if part))

    def _left(self) -> str:
        """``2h10m00s left``, if it goes on as in the last steps, saves and evaluations included."""
        (since, before), (now, left) = self._recent[0], self._recent[-1]
        if left == before or now == since or not left:
            return ""
        return f"{show_duration(left * (now - since) / (before - left))} left"

    def _say(self, line: str) -> None:
        self._stream.write(f"{line}\n")
        self._stream.flush()

    def close(self) -> None:
        """Nothing is held."""


class Bar(Lines):
    """A bar with the newest figures; events above it."""

    def __init__(self, stream: TextIO, plan: Plan, clock: Callable[[], float]) -> None:
        """Draws nothing until the first record."""
        super().__init__(stream, plan, clock)
        self._drawn = clock() - DRAW_SECONDS
        # drawn when a step says so: no thread beside the training, and stdout stays what it is
        self._progress = Progress(
            TextColumn("{task.fields[stage]}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}", markup=False),
            console=Console(file=stream),
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._progress.add_task("", total=plan.num_steps, stage="", figures="")

    def write(self, record: Record) -> None:
        """Events print above the bar, steps move it."""
        if not self._progress.live.is_started:
            self._progress.start()
            # a process that is killed can't show it again
            self._progress.console.show_cursor(True)
        super().write(record)

    def _step(self, record: StepDone) -> None:
        now = self._clock()
        if record.vetoed or record.skipped:
            self._say(f"step {record.step}  {figures(record)}")
        is_due = now - self._drawn >= DRAW_SECONDS or record.step == self._plan.num_steps
        words = "  ".join(part for part in (figures(record), self._left()) if part)
        self._progress.update(self._task, completed=record.step, stage=record.stage, figures=words, refresh=is_due)
        self._drawn = now if is_due else self._drawn

    def _say(self, line: str) -> None:
        self._progress.console.print(line, markup=False, highlight=False)

    def close(self) -> None:
        """Leave the bar as it is."""
        self._progress.stop()


def progress_on(stream: TextIO, plan: Plan, clock: Callable[[], float]) -> Lines:
    """What fits the stream."""
    return Bar(stream, plan, clock) if stream.isatty() else Lines(stream, plan, clock)


def tokens_left(plan: Plan, step: int) -> int:
    """Of the plan, after `step` steps: to be trained on, or skipped."""
    if step >= plan.num_steps:
        return 0
    place = place_of(plan, step + 1)
    stage = plan.stages[place.stage]
    rest = sum(each.num_tokens for each in plan.stages[place.stage + 1 :])
    return (stage.num_samples - place.first_sample) * stage.sequence_length + rest
