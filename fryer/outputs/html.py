"""A run as one self-contained page: verdict first, then why, then every series that it was drawn from.

The page loads nothing (its own content policy forbids it), so it can be kept, mailed and opened years later. It must
not judge: all that it says was concluded elsewhere. A run over many nodes has a page of its own (`fleet_html`).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fryer.outputs.fleet_html import render_fleet
from fryer.outputs.pages import node_page, plotly, template
from fryer.outputs.rows import reasons_of
from fryer.outputs.wording import headline, subject_of
from fryer.result import RunResult
from watchdog.vocabulary.errors import UsageError


def render(result: RunResult) -> str:
    """The page of a run, complete; equal results give equal pages."""
    if len(result.verdicts) > 1:
        return render_fleet(result)
    pages = [node_page(evidence, verdict) for evidence, verdict in zip(result.evidence, result.verdicts, strict=True)]
    return template("report.html").render(
        result=result,
        headline=headline(result),
        reasons=[(subject_of(about.node, about.device, with_node=False), about.reason) for about in reasons_of(result)],
        pages=pages,
        figures=[chart.figure for page in pages for _, charts in page.charts for chart in charts],
        plotly=plotly(),
    )


def check_path(path: Path) -> None:
    """Raise `UsageError` when a page can't be written to `path`; called before hours are spent on measuring."""
    with _explained(path):
        target = path.resolve()
        if target.exists() and not target.is_file():
            kind = "a directory" if target.is_dir() else "no plain file"
            raise UsageError(f"can't write the report to {path}: it is {kind}; name a file, for example report.html")
        if not target.parent.is_dir():
            raise UsageError(f"can't write the report to {path}: there is no directory {target.parent}; make it first")
        probe = _part_of(target)
        _create(probe, b"")
        probe.unlink()


def write(result: RunResult, path: Path) -> None:
    """Write the page to `path`, whole or not at all; raises `UsageError` when it can't be written there."""
    check_path(path)
    # An argument of the command may be any bytes; the page shows those that are no text as a shell would take them.
    content = render(result).encode(errors="backslashreplace")
    with _explained(path):
        target = path.resolve()
        part = _part_of(target)
        try:
            _create(part, content)
            part.replace(target)
        finally:
            with suppress(FileNotFoundError):
                part.unlink()


def _part_of(target: Path) -> Path:
    return target.with_name(f".{target.name[:200]}.{os.getpid()}.part")


def _create(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: a loop of links
        detail = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"can't write the report to {path}: {detail}; name a file that you may write") from error
