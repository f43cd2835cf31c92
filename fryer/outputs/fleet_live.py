"""A live view of a run over many nodes: how many are in which state, what they are at, and who needs a look.

`FleetProgress` holds the state, `FleetLive` draws it, within the screen whatever the number of nodes. Nothing that goes
wrong in drawing may reach the conductor: a broken terminal must not end a qualification of hours.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import RLock
from typing import TextIO

from rich.console import Console, ConsoleRenderable, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from fryer.fleet.orders import Message
from fryer.localise import Round
from fryer.outputs.fleet_progress import FleetProgress
from fryer.outputs.fleet_summary import fold
from fryer.outputs.fleet_table import fleet_text
from fryer.outputs.live import REFRESH_PER_SECOND, write_coloured
from fryer.outputs.wording import count_of, one_line, short_id
from fryer.result import RunInfo, RunResult
from watchdog.vocabulary.units import show_duration

log = logging.getLogger(__name__)

_LINES_WITHOUT_NOTES = 8
"""Header, two bars, states, tasks, silent nodes, and room for the prompt."""
_MOST_TASKS = 4
_STYLES = {"left out": "bold red", "burning": "cyan", "collecting": "cyan", "done": "green", "qualified": "green"}


class FleetLive:
    """Draws on `console` while the run goes on, four times a second at most; the final text goes to `out`.

    `now` is a monotonic clock in real seconds. Calls come from one thread; drawing happens in Rich's.
    """

    def __init__(self, console: Console, out: TextIO, now: Callable[[], float]) -> None:
        self._console = console
        self._out = out
        self._now = now
        self._lock = RLock()
        self._progress: FleetProgress | None = None
        self._live: Live | None = None
        self._failed: set[str] = set()
        """What has failed before, so that it is logged once and not each second."""

    def start(self, info: RunInfo) -> None:
        """Take the terminal."""
        progress = FleetProgress(plan=info.plan, run_id=info.run_id)
        progress.begin()
        self._progress = progress
        with self._guarded("start"):
            self._live = Live(
                console=self._console,
                get_renderable=self.draw,
                refresh_per_second=REFRESH_PER_SECOND,
                transient=True,
                vertical_overflow="crop",
            )
            self._live.start()

    def state(self, node: str, state: str, why: str = "") -> None:
        """Count the node there."""
        with self._guarded("state"), self._lock:
            self._state.move(node, state, why, self._now())

    def message(self, message: Message) -> None:
        """Show what the node is at, or what went wrong."""
        with self._guarded("message"), self._lock:
            self._state.take(message, self._now())

    def round(self, this: Round) -> None:
        """Show the round."""
        with self._guarded("round"), self._lock:
            self._state.begin_round(this)

    def sweep(self, scope: str, groups: tuple[tuple[str, ...], ...], what: str) -> None:
        """Show the sweep as a round is."""
        del scope
        with self._guarded("sweep"), self._lock:
            self._state.begin_round(Round(number=0, groups=groups, repeats=1, why=what))

    def finish(self, result: RunResult) -> None:
        """Give the terminal back and write the final text."""
        self.close()
        write_coloured(fleet_text(result), self._out)

    def close(self) -> None:
        """Give the terminal back."""
        live, self._live = self._live, None
        if live is not None:
            with self._guarded("close"):
                live.stop()

    def draw(self) -> ConsoleRenderable:
        """The view at this moment."""
        with self._lock:
            if self._progress is None:
                return Text("")
            try:
                return view(self._progress, self._now(), self._console.height)
            except Exception as error:  # noqa: BLE001 - drawing must not end a run; the next frame may succeed
                return Text(f"the live view can't be drawn ({error}); the run goes on")

    @property
    def _state(self) -> FleetProgress:
        assert self._progress is not None, "start() comes first"
        return self._progress

    @contextmanager
    def _guarded(self, doing: str) -> Iterator[None]:
        """Log what fails, once. Rich is never called with `_lock` held: its thread holds its own and waits for ours."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - nothing in the view may reach the conductor and end a run
            if doing not in self._failed:
                self._failed.add(doing)
                log.warning("live view failed doing=%s error=%s", doing, error)


def view(progress: FleetProgress, now: float, height: int) -> Group:
    """Header, bars, states, what nodes are at, and the newest notes, within `height` lines; pure."""
    lines: list[ConsoleRenderable] = [_header(progress), _bars(progress), _states(progress)]
    tasks = progress.tasks()
    if tasks:
        words = ", ".join(f"{what} {number:,}" for what, number in tasks[:_MOST_TASKS])
        more = f" and {len(tasks) - _MOST_TASKS} more" if len(tasks) > _MOST_TASKS else ""
        lines.append(_line(f"at work: {words}{more}", "dim"))
    silent = progress.silent(now)
    if silent:
        longest, seconds = silent[0]
        lines.append(
            _line(
                f"silent: {count_of(len(silent), 'node')}, {longest} for {show_duration(seconds)}: "
                f"{fold(node for node, _ in silent)}",
                "yellow",
            )
        )
    room = max(1, height - _LINES_WITHOUT_NOTES)
    notes = list(progress.notes)[-room:]
    if len(progress.notes) > room:
        notes = notes[1:]
        lines.append(_line(f"and {len(progress.notes) - len(notes):,} earlier lines, in the final text", "dim"))
    lines += [_line(note, "red") for note in notes]
    return Group(*lines)


def _header(progress: FleetProgress) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f"run {short_id(progress.run_id)}", "bold")
    text.append(f"  {count_of(len(progress.states), 'node')}  {progress.nodes}")
    return text


def _bars(progress: FleetProgress) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(width=30)
    table.add_column(no_wrap=True, overflow="ellipsis")
    ratio = progress.burn_ratio()
    table.add_row("burns", _bar(ratio), f"{ratio:.0%} of {show_duration(progress.plan.seconds)} a node")
    if progress.this is not None:
        this = progress.this
        words = f"{progress.round_ratio():.0%} of {count_of(len(this.groups), 'group')}, {this.why}"
        name = f"round {this.number}" if this.number else "sweep"
        table.add_row(name, _bar(progress.round_ratio()), words)
    return table


def _bar(ratio: float) -> ProgressBar:
    return ProgressBar(total=1.0, completed=ratio, complete_style="cyan", finished_style="green")


def _states(progress: FleetProgress) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    for state, number in progress.counts():
        text.append(f"{state} {number:,}   ", _STYLES.get(state, "") if number else "dim")
    return text


def _line(words: str, style: str) -> Text:
    return Text(one_line(words), style, no_wrap=True, overflow="ellipsis")
