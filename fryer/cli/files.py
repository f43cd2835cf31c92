"""Files that a run writes beside its history: looked at before it begins, written after its end. Not a command."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from watchdog.vocabulary.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from fryer.result import RunResult


def check_files(report: Path | None, nccl_json: Path | None) -> None:
    """Better before the run than after it: raises `UsageError` for a place that takes no file."""
    if report is not None:
        from fryer.outputs.html import check_path

        check_path(report)
    if nccl_json is not None:
        from fryer.outputs.nccl_file import check_place

        check_place(nccl_json)
    if report is not None and nccl_json is not None and report.resolve() == nccl_json.resolve():
        raise UsageError(f"--report and --nccl-json both name {report}; give each a file of its own")


def write_files(result: RunResult, report: Path | None, nccl_json: Path | None) -> bool:
    """The page and nccl-tests' JSON, where they were asked for; whether all could be written. What can't is said, and
    holds up nothing that follows: the result itself is kept already."""
    return all([_write_page(result, report), _write_sweep(result, nccl_json)])


def _write_page(result: RunResult, path: Path | None) -> bool:
    if path is None:
        return True
    from fryer.outputs.html import write

    try:
        write(result, path)
    except UsageError as error:
        _say(f"fryer: {error}; make it later: fryer report {result.info.run_id[:8]} --html FILE")
        return False
    _say(f"report: {path}")
    return True


def _write_sweep(result: RunResult, path: Path | None) -> bool:
    if path is None:
        return True
    from fryer.outputs.nccl_file import write_nccl

    try:
        written = write_nccl(result, path)
    except UsageError as error:
        _say(f"fryer: {error}")
        return False
    _say(f"nccl-tests' JSON: {', '.join(map(str, written)) or 'none, nothing was swept'}")
    return True


def _say(line: str) -> None:
    print(line, file=sys.stderr)
