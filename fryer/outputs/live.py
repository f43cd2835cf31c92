"""A live view of the run on a terminal, and the final table when it is over.

`Progress` holds the state, `LiveOutput` draws it. Nothing that goes wrong in drawing may reach the runner: a broken
terminal must not end a burn-in of hours.
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

from fryer.evidence import DeviceInfo
from fryer.outputs.progress import DeviceState, Progress
from fryer.outputs.table import ChangeLines, final_text
from fryer.outputs.wording import POWER_BRAKE_BIT, THERMAL_BITS, clock_limits, short_id, show_rate_beside
from fryer.records import Record
from fryer.result import RunInfo, RunResult
from watchdog.collectors.readings import GpuReading
from watchdog.vocabulary.units import show_duration, show_quantity

log = logging.getLogger(__name__)

REFRESH_PER_SECOND = 4
_NUM_NOTES = 3
_LINES_AROUND_ROWS = 6
"""Header, table head, hidden-rows line, notes."""
_VERDICT_STYLES = {
    "PASS": "green",
    "WARN": "yellow",
    "FAIL": "bold red",
    "INCONCLUSIVE": "magenta",
    "ERROR": "bold magenta",
    "SKIPPED": "dim",
}


class LiveOutput:
    """Draws on `console` while the run goes on, four times a second at most; the final table goes to `out`.

    `now` is a monotonic clock in real seconds. Calls come from one thread; drawing happens in Rich's.
    """

    def __init__(self, console: Console, out: TextIO, now: Callable[[], float]) -> None:
        self._console = console
        self._out = out
        self._now = now
        self._lock = RLock()
        self._progress: Progress | None = None
        self._lines = ChangeLines()
        self._notes: list[str] = []
        self._live: Live | None = None
        self._failed: set[str] = set()
        """What has failed before, so that it is logged once and not each second."""

    def start(self, info: RunInfo) -> None:
        """Take the terminal."""
        self._progress = Progress(plan=info.plan, run_id=info.run_id)
        with self._guarded("start"):
            self._live = Live(
                console=self._console,
                get_renderable=self.draw,
                refresh_per_second=REFRESH_PER_SECOND,
                transient=True,
                vertical_overflow="crop",
            )
            self._live.start()

    def node(self, node: str, devices: tuple[DeviceInfo, ...]) -> None:
        """Add a row a device."""
        with self._guarded("node"), self._lock:
            self._state.begin_node(node, devices, self._now())

    def phase(self, node: str, burn: str, seconds: float) -> None:
        """Start the bars again."""
        with self._guarded("phase"), self._lock:
            self._state.begin_phase(node, burn, seconds, self._now())

    def record(self, node: str, record: Record) -> None:
        """Show a rate, a count or what went wrong."""
        with self._guarded("record"), self._lock:
            self._state.take(node, record, self._now())
            line = self._lines.line_of(node, record)
            if line is not None:
                self._notes = [*self._notes, line][-_NUM_NOTES:]

    def reading(self, node: str, device: str, reading: GpuReading) -> None:
        """Show temperatures, power and clock."""
        with self._guarded("reading"), self._lock:
            self._state.read(node, device, reading, self._now())

    def finish(self, result: RunResult) -> None:
        """Give the terminal back and write the final table."""
        self.close()
        write_coloured(final_text(result), self._out)

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
                return view(self._progress, self._notes, self._now(), self._console.width, self._console.height)
            except Exception as error:  # noqa: BLE001 - drawing must not end a run; the next frame may succeed
                return Text(f"the live view can't be drawn ({error}); the run goes on")

    @property
    def _state(self) -> Progress:
        assert self._progress is not None, "start() comes first"
        return self._progress

    @contextmanager
    def _guarded(self, doing: str) -> Iterator[None]:
        """Log what fails, once. Rich is never called with `_lock` held: its thread holds its own and waits for ours."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - nothing in the view may reach the runner and end a burn-in
            if doing not in self._failed:
                self._failed.add(doing)
                log.warning("live view failed doing=%s error=%s", doing, error)


def write_coloured(text: str, out: TextIO) -> None:
    """Write `text` to `out`, with its verdicts in colour where that is a terminal."""
    if out.isatty():
        coloured = Text(text)
        for word, style in _VERDICT_STYLES.items():
            coloured.highlight_regex(rf"\b{word}\b", style)
        Console(file=out, soft_wrap=True, highlight=False).print(coloured, end="")
    else:
        out.write(text)
    out.flush()


def view(progress: Progress, notes: list[str], now: float, width: int, height: int) -> Group:
    """Header, one row a device, and the newest notes, within `width` columns and `height` lines; pure."""
    states = list(progress.devices.values())
    most = max(1, height - _LINES_AROUND_ROWS - len(notes))
    shown = _most_important(states, progress.node, most)
    parts: list[ConsoleRenderable] = [_header(progress, now, width), _rows(progress, shown, now, width)]
    if len(states) > len(shown):
        parts.append(Text(f"and {len(states) - len(shown)} more, not shown: the terminal has {height} lines", "dim"))
    parts += [Text(note, "red", overflow="ellipsis", no_wrap=True) for note in notes]
    return Group(*parts)


def _most_important(states: list[DeviceState], node: str, most: int) -> list[DeviceState]:
    """Where not all fit: those in trouble first, then those of the node at work; always in their own order."""
    if len(states) <= most:
        return states
    ranked = sorted(range(len(states)), key=lambda i: (not states[i].is_in_trouble, states[i].node != node, i))
    return [states[i] for i in sorted(ranked[:most])]


def _header(progress: Progress, now: float, width: int) -> Text:
    left = show_duration(round(progress.seconds_left(now))).replace(".0s", "s")
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f"run {short_id(progress.run_id)}", "bold")
    if progress.node:
        text.append(f"  {progress.node}")
    if progress.phase is None:
        text.append("  getting ready", "dim")
    else:
        text.append(f"  phase {progress.phase_index + 1} of {len(progress.plan.phases)}: ")
        text.append(progress.phase.burn, "bold")
        case = _present_case(progress)
        if case and width >= 100:
            text.append(f" {case}", "dim")
    text.append(f"  about {left} left")
    return text


def _present_case(progress: Progress) -> str:
    points = [state.point for state in progress.devices.values() if state.point and state.node == progress.node]
    return max(points, key=lambda point: point.at_seconds).case if points else ""


def _rows(progress: Progress, states: list[DeviceState], now: float, width: int) -> Table:
    nodes = {state.node for state in progress.devices.values()}
    is_wide = width >= 100
    has_readings = any(state.reading for state in states)
    table = Table(box=None, padding=(0, 2 if is_wide else 1, 0, 0), show_edge=False, header_style="dim", expand=False)
    table.add_column("device", no_wrap=True)
    table.add_column("", width=24 if is_wide else 8, no_wrap=True)
    table.add_column("rate", justify="right", no_wrap=True, min_width=12)
    if has_readings:
        for head in ("°C", "HBM", "power", "MHz"):
            table.add_column(head, justify="right", no_wrap=True)
        table.add_column("held by", no_wrap=True, min_width=11)
    table.add_column("verified", justify="right", no_wrap=True)
    table.add_column("wrong", justify="right", no_wrap=True)
    for state in states:
        name = f"{state.node}/{state.info.name}" if len(nodes) > 1 else state.info.name
        style = "bold red" if state.is_in_trouble else ""
        cells = [Text(name, style), _bar(progress, state), _rate(progress, state, now)]
        if has_readings:
            cells += _reading_cells(state)
        table.add_row(*cells, _verified(state), _wrong(state))
    return table


def _bar(progress: Progress, state: DeviceState) -> ConsoleRenderable:
    return ProgressBar(total=1.0, completed=progress.ratio_of(state), complete_style="cyan", finished_style="green")


def _rate(progress: Progress, state: DeviceState, now: float) -> Text:
    if state.problem and progress.phase and state.problem.burn == progress.phase.burn:
        return Text(state.problem.code[:12], "red")
    if state.point is None:
        return Text("-", "dim")
    alike = [
        other.point.value
        for other in progress.devices.values()
        if other.point and (other.point.burn, other.point.case) == (state.point.burn, state.point.case)
    ]
    rate = show_rate_beside(state.point.value, alike, state.point.metric, state.point.case)
    return Text(rate, "dim" if progress.is_stale(state, now) else "bold")


def _reading_cells(state: DeviceState) -> list[Text]:
    reading = state.reading
    if reading is None:
        return [Text("-", "dim") for _ in range(5)]
    if reading.lost:
        return [Text("-", "red")] * 4 + [Text("lost", "bold red")]
    clock = None if reading.sm_clock_hertz is None else reading.sm_clock_hertz / 1e6
    words = clock_limits(reading.clock_event_reasons)
    is_bad = bool((reading.clock_event_reasons or 0) & (THERMAL_BITS | POWER_BRAKE_BIT))
    return [
        _number(reading.temperature_celsius),
        _number(reading.memory_temperature_celsius),
        _number(reading.power_watts, " W"),
        _number(clock),
        Text(words[0] if words else "", "bold yellow" if is_bad else "dim"),
    ]


def _number(value: float | None, unit: str = "") -> Text:
    return Text("-", "dim") if value is None else Text(f"{value:.0f}{unit}")


def _verified(state: DeviceState) -> Text:
    """Products where there are some, else bytes."""
    if state.num_verified:
        return Text(
            show_quantity(float(state.num_verified), "").replace(" ", "")
            if state.num_verified >= 1000
            else str(state.num_verified)
        )
    return Text(show_quantity(float(state.num_bytes_verified), "B")) if state.num_bytes_verified else Text("-", "dim")


def _wrong(state: DeviceState) -> Text:
    return Text(f"{state.num_wrong:,}", "bold white on red") if state.num_wrong else Text("0", "dim")
