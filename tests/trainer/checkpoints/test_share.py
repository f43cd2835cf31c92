"""The writer of a share of a checkpoint."""

import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parents[2] / "fakes" / "threaded_writer.py"
ROOT = Path(__file__).parents[3]


def test_a_writer_ends_though_its_trainer_computes_with_several_threads(tmp_path: Path) -> None:
    """OpenMP's threads do not survive a fork: a large copy in the child once waited for them for ever."""
    command = [sys.executable, "-W", "ignore", str(PROGRAM), str(tmp_path)]
    done = subprocess.run(
        command,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        check=False,
    )
    assert (done.stdout.strip(), done.returncode) == ("1", 0), done.stderr
