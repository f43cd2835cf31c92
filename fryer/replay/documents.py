"""What is found as JSON documents, one a line: each ``finding``, each ``rule`` of others, last a ``summary``. Pure."""

from collections.abc import Iterator, Sequence

from fryer.outputs.documents import Document, jsonable
from fryer.replay.judged import File
from fryer.replay.run import Run
from fryer.replay.told import Labels, Told

SCHEMA = "fryer/replay"
VERSION = 1


def documents(files: Sequence[File], told: Sequence[Told]) -> Iterator[Document]:
    """All documents, in order."""
    for each in told:
        yield _finding(each)
    labels = Labels(files)
    for file in files:
        for run in file.runs:
            yield from _rules(run, labels)
    yield _summary(files, told, labels)


def _document(type_: str, **content: object) -> Document:
    return {
        "type": type_,
        "schema": SCHEMA,
        "version": VERSION,
        **{name: jsonable(value) for name, value in content.items()},
    }


def _finding(told: Told) -> Document:
    found = told.finding
    return _document(
        "finding",
        kind=found.kind,
        series=told.series,
        start=found.start,
        end=told.end,
        onset=found.onset,
        unit="tokens" if told.run.is_by_tokens else "step",
        **{"class": found.shape},
        severity=found.severity.name,
        cause=told.cause,
        causes=told.causes,
        action=told.remedy.action,
        would=told.remedy.why,
        message=found.message,
        metric=found.metric,
        subject=found.subject,
        is_open=found.is_open,
        is_trained_again=told.is_trained_again,
        at=told.event.at_seconds,
        file=told.run.file,
        evidence=found.evidence,
    )


def _rules(run: Run, labels: Labels) -> Iterator[Document]:
    for alarms in run.alarms:
        yield _document(
            "rule", rule=alarms.rule, series=labels.run(run), file=run.file, steps=alarms.count, spans=alarms.spans
        )


def _summary(files: Sequence[File], told: Sequence[Told], labels: Labels) -> Document:
    return _document(
        "summary",
        points=points_of(files, labels),
        findings=len(told),
        files=[
            {
                "file": file.name,
                "format": file.format or None,
                "problem": file.problem or None,
                "note": file.reading.note or None,
                "unread": file.reading.num_unread,
                "columns": file.reading.columns,
                "went_back": {
                    labels.run(run): [stretch.first for stretch in run.attempts.stretches[1:]]
                    for run in file.runs
                    if run.attempts.num_stretches > 1
                },
            }
            for file in files
        ],
    )


def points_of(files: Sequence[File], labels: Labels) -> dict[str, int]:
    """Points read by series: of a run, or of each column in a file that names no runs."""
    found: dict[str, int] = {}
    for file in files:
        for run in file.runs:
            if run.name:
                found[labels.run(run)] = run.num_points or run.counts["rank"]
                continue
            for metric in labels.metrics(run):
                if metric != "rank" or not run.num_points:
                    found[labels.series(run, "seconds" if metric == "rank" else metric)] = run.counts[metric]
    return found
