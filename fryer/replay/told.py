"""Events of all runs with their causes and what the policy would have done: what is printed and drawn. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from fryer.replay.columns import VALUES
from fryer.replay.judged import File
from fryer.replay.run import Event, Run
from watchdog.attribution import Again, Cause, Change, Comparison, Facts, Launch, causes_of
from watchdog.attribution.causes import NOT_KNOWN
from watchdog.detectors.training.words import TrainingFinding
from watchdog.policy.training import Remedy, remedy_of

NodeFacts = Callable[[float], tuple[Sequence[Change], frozenset[str]]]
"""What nodes said near a time of day: (changes, causes of which there were readings)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One finding, ready to be shown."""

    run: Run
    series: str
    """The run's name, or the column's where the file has no names."""
    event: Event
    causes: Sequence[Cause]
    remedy: Remedy

    @property
    def finding(self) -> TrainingFinding:
        """What the detectors said."""
        return self.event.finding

    @property
    def cause(self) -> str:
        """The likeliest, one sentence."""
        return self.causes[0].message if self.causes else NOT_KNOWN

    @property
    def end(self) -> int:
        """Last step of it; of one that lasts the newest."""
        return self.finding.last if self.finding.end is None else self.finding.end

    @property
    def is_trained_again(self) -> bool:
        """The run went back to before it: it is of a past that is no more."""
        later = self.run.attempts.stretches[self.event.attempt + 1 :]
        return any(stretch.first <= self.finding.start for stretch in later)


def told_of(files: Sequence[File], nodes: NodeFacts | None = None) -> list[Told]:
    """Every event, by file, run and step."""
    labels = Labels(files)
    runs = [run for file in files for run in file.runs]
    launches = [launch for number, run in enumerate(runs) for launch in _launches(run, str(number), labels.run(run))]
    return [told for number, run in enumerate(runs) for told in _told(run, str(number), launches, labels, nodes)]


def _told(run: Run, key: str, launches: Sequence[Launch], labels: "Labels", nodes: NodeFacts | None) -> Iterable[Told]:
    own = [launch for launch in launches if launch.run == key]
    asked = {
        index: [Comparison(launch, other) for other in launches if other is not launch and _can_say(launch, other)]
        for index, launch in enumerate(own)
    }
    for event in sorted(run.events, key=lambda event: (event.attempt, event.finding.start, event.finding.kind)):
        answers = [answer for each in asked.get(event.attempt, ()) if (answer := each.of(event.finding)) is not None]
        causes = causes_of(event.finding, _facts(event, answers, nodes))
        remedy = remedy_of(event.finding, causes[0].code if causes else "")
        series = labels.series(run, event.finding.metric)
        yield Told(run=run, series=series, event=event, causes=causes, remedy=remedy)


def _can_say(own: Launch, other: Launch) -> bool:
    """An earlier stretch of the same run is no rewind of a later one: that one saw what the earlier led to."""
    return own.run != other.run or other.first >= own.first or other.last <= own.last


def _facts(event: Event, answers: Sequence[Again], nodes: NodeFacts | None) -> Facts:
    at = event.at_seconds
    changes, seen = nodes(at) if nodes is not None and at is not None else ((), frozenset[str]())
    return Facts(
        again=answers,
        changes=changes,
        seen=seen,
        at_seconds=at,
        source=event.source,
        is_other_batch=event.is_other_batch,
    )


def _launches(run: Run, key: str, name: str) -> list[Launch]:
    stretches = run.attempts.stretches
    metrics = frozenset(each for each in VALUES if run.counts[each])
    many = len(stretches) > 1
    return [
        Launch(
            run=key,
            name=f"{name}, attempt {number + 1}" if many else name,
            first=stretch.first,
            last=stretch.last,
            num_points=stretch.num_points,
            findings=[event.finding for event in run.events if event.attempt == number],
            is_by_tokens=run.is_by_tokens,
            metrics=metrics,
        )
        for number, stretch in enumerate(stretches)
    ]


class Labels:
    """How runs and series are called, so that no two are called the same."""

    def __init__(self, files: Sequence[File]) -> None:
        """Of everything that is shown together."""
        self.columns = {file.name: file.reading.columns for file in files}
        runs = [run for file in files for run in file.runs]
        self.names = Counter(run.name for run in runs if run.name)
        self.series_names = Counter(self._plain(run, name) for run in runs for name in self.metrics(run))

    def run(self, run: Run) -> str:
        """A run, for people."""
        return run.file if not run.name else run.name if self.names[run.name] < 2 else f"{run.name} ({run.file})"

    def series(self, run: Run, metric: str) -> str:
        """The run's name in the file; of a file without names, the column that showed `metric`."""
        if run.name:
            return self.run(run)
        plain = self._plain(run, metric)
        return plain if self.series_names[plain] < 2 else f"{plain} ({run.file})"

    def metrics(self, run: Run) -> list[str]:
        """Fields that a run logged, in order."""
        return [name for name in (*VALUES, "rank") if run.counts[name]]

    def _plain(self, run: Run, metric: str) -> str:
        return run.name or self.columns.get(run.file, {}).get(metric, metric)
