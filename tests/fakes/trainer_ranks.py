"""Starts the ranks of a function in processes of their own: on gloo, with Megatron imported afresh.

Each is told its rank, the world and a folder that they share, in which `meeting_port` passes on where they meet.
"""

import importlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__)


def run_ranks(world: int, target: str, deadline_seconds: float = 240, **arguments: Any) -> list[Any]:
    """What ``module:function`` of this folder returned on each rank, called as ``function(place, **arguments)``.

    Arguments and results go through JSON. The first rank that fails ends the others; its errors are shown.
    """
    with ExitStack() as stack, tempfile.TemporaryDirectory() as name:
        ranks = []
        for rank in range(world):
            given = {"rank": rank, "world": world, "folder": name, "target": target, "arguments": arguments}
            errors = stack.enter_context((Path(name) / f"{rank}.err").open("w+"))
            found = Path(name) / f"{rank}.json"
            command = [sys.executable, str(PROGRAM), json.dumps(given | {"found": str(found)})]
            environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
            process = subprocess.Popen(command, stdout=errors, stderr=errors, env=environment, cwd=PROGRAM.parents[2])
            stack.callback(process.kill)
            ranks.append((process, errors, found))
        _wait(ranks, time.monotonic() + deadline_seconds)
        return [json.loads(found.read_text()) for _, _, found in ranks]


def _wait(ranks: list[tuple[subprocess.Popen[bytes], Any, Path]], deadline: float) -> None:
    while any(process.poll() is None for process, _, _ in ranks):
        if time.monotonic() > deadline:
            raise AssertionError("the ranks are not done in time")
        if any(process.poll() for process, _, _ in ranks):
            break
        time.sleep(0.05)
    for process, errors, _ in ranks:
        if process.poll():
            errors.seek(0)
            raise AssertionError(f"a rank ended with {process.returncode}:\n{errors.read()[-4000:]}")


def meeting_port(place: dict[str, Any], number: int) -> int:
    """Where the ranks meet for the `number`th time; the first rank looks for it just before it is taken."""
    file = Path(place["folder"]) / f"{number}.port"
    if place["rank"] == 0:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        half = file.with_suffix(".half")
        half.write_text(str(port))
        half.rename(file)
        return port
    while not file.exists():
        time.sleep(0.01)
    return int(file.read_text())


def main() -> None:
    given = json.loads(sys.argv[1])
    module, _, function = given["target"].partition(":")
    place = {key: given[key] for key in ("rank", "world", "folder")}
    found = getattr(importlib.import_module(module), function)(place, **given["arguments"])
    Path(given["found"]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
