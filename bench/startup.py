"""`fryer --help` against a Python that imports typer."""

import subprocess
import sys
import time
from pathlib import Path

from bench.show import show

REPEATS = 9


def main() -> None:
    """Pairs in turn, and their ratio."""
    fryer = Path(sys.executable).with_name("fryer")
    ratios = []
    for _ in range(REPEATS):
        ours = seconds_of([str(fryer), "--help"])
        bare = seconds_of([sys.executable, "-c", "import typer"])
        ratios.append(ours / bare)
    show("fryer --help / python -c 'import typer'", ratios, "budget <= 3")


def seconds_of(command: list[str]) -> float:
    """Wall-clock seconds of a command that succeeds."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start
