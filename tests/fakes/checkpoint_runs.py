"""Starts the ranks of `checkpoint_ranks` and gives what each op found."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).with_name("checkpoint_ranks.py")
DEADLINE_SECONDS = 200


@dataclass
class Found:
    """Of one rank."""

    rows: list[dict[str, Any]]
    exit_code: int
    errors: str

    def of(self, op: str) -> list[Any]:
        """What each `op` found, in order."""
        return [row["found"] for row in self.rows if row.get("op") == op]

    def saved(self) -> list[dict[str, Any]]:
        """Saves that ended, whichever op they ended in."""
        lists = (row["found"]["saved"] if row["op"] == "train" else row["found"] for row in self._ending())
        return [saved for each in lists for saved in each]

    def _ending(self) -> list[dict[str, Any]]:
        return [row for row in self.rows if row.get("op") in ("save", "train", "poll", "wait")]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(directory: Path, ops: list[list[Any]], *, world: int = 1, **given: Any) -> list[subprocess.Popen[str]]:
    """The ranks' processes."""
    port = free_port()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    environment |= {name: str(value) for name, value in given.pop("environment", {}).items()}
    return [
        subprocess.Popen(
            [
                sys.executable,
                str(PROGRAM),
                json.dumps(
                    {"rank": rank, "world": world, "port": port, "directory": str(directory), "ops": ops} | given
                ),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=Path(__file__).parents[2],
        )
        for rank in range(world)
    ]


def finish(processes: list[subprocess.Popen[str]]) -> list[Found]:
    """Wait for all of them."""
    found = []
    try:
        for process in processes:
            out, errors = process.communicate(timeout=DEADLINE_SECONDS)
            rows = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
            found.append(Found(rows=rows, exit_code=process.returncode, errors=errors))
    finally:
        for process in processes:
            process.kill()
    return found


def run(directory: Path, ops: list[list[Any]], *, world: int = 1, **given: Any) -> list[Found]:
    """What each rank found; all must have ended well."""
    found = finish(start(directory, ops, world=world, **given))
    for each in found:
        assert each.exit_code == 0, each.errors[-3000:]
    return found
