"""What is printed on stderr while the live view is drawn stands above it, whole, and not in its middle."""

import io
import sys

import pytest
from fleet_results import info_of
from rich.console import Console

from fryer.outputs.fleet_live import FleetLive


def test_a_line_on_stderr_stands_above_the_live_view(monkeypatch: pytest.MonkeyPatch) -> None:
    """Launchers say there that a job waits, or was given."""
    drawn, raw = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", raw)
    live = FleetLive(Console(file=drawn, force_terminal=True, width=100), io.StringIO(), lambda: 0.0)
    live.start(info_of(("node001",)))
    try:
        sys.stderr.write("Slurm gave job 7 with 4 nodes\n")
    finally:
        live.close()
    assert raw.getvalue() == ""
    assert "Slurm gave job 7 with 4 nodes\n" in drawn.getvalue()
