"""What `fryer watch` costs with eight simulated GPUs at 1 Hz, and how soon a kernel line is judged.

Processor time is the kernel's own of every thread of every process (/proc/PID/task/*/schedstat), memory is the
proportional share (PSS), so that pages shared between daemon and child count once.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from bench.show import show
from watchdog.cli.asking import ask
from watchdog.vocabulary.errors import SourceFailed

SETTLE_SECONDS = 10.0
SPAN_SECONDS = 20.0
NUM_SPANS = 3
NUM_LINES = 200
BETWEEN_LINES_SECONDS = 0.6
"""More than the least time between two judgements: a burst is judged together, later lines wait for the next."""
BETWEEN_LOOKS_SECONDS = 0.015
"""The API takes 100 requests a second; this much of what is measured is our own waiting."""
XID = "NVRM: Xid (PCI:0000:1b:00): 94, pid={pid}, name=python3, Ch 00000008"


def main() -> None:
    """Cost first, then latency, on one daemon."""
    with daemon() as (process, socket, kmsg):
        time.sleep(SETTLE_SECONDS)
        shares, memory = [], []
        for _ in range(NUM_SPANS):
            before = processor_seconds(process.pid)
            time.sleep(SPAN_SECONDS)
            shares.append((processor_seconds(process.pid) - before) / SPAN_SECONDS)
            memory.append(memory_mib(process.pid))
        show("fryer watch, 8 simulated GPUs at 1 Hz: share of a core", shares, "budget <= 0.01")
        show("the same: memory of all its processes, MiB", memory, "budget <= 150")
        show("kernel line to judged incident and signal, seconds", list(latencies(socket, kmsg)), "budget <= 0.1")


@contextmanager
def daemon() -> Iterator[tuple[subprocess.Popen[bytes], Path, int]]:
    """A daemon over the healthy scenario, with a FIFO for its kernel log."""
    with TemporaryDirectory() as folder:
        place = Path(folder)
        os.mkfifo(place / "kmsg")
        kmsg = os.open(place / "kmsg", os.O_RDWR)
        socket = place / "watchdog.sock"
        fryer = str(Path(sys.executable).with_name("fryer"))
        command = [fryer, "watch", "--simulate", "healthy", "--state", folder, "--socket", str(socket)]
        process = subprocess.Popen([*command, "--kmsg", str(place / "kmsg")], stderr=subprocess.DEVNULL)
        try:
            wait_for(socket)
            yield process, socket, kmsg
        finally:
            process.terminate()
            process.wait(30)
            os.close(kmsg)


def wait_for(socket: Path, seconds: float = 60.0) -> None:
    """Until the daemon answers."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            ask(socket, "GET", "/v1/health")
            return
        except SourceFailed:
            time.sleep(0.1)
    raise SystemExit("fryer watch did not start")


def processor_seconds(pid: int) -> float:
    """Of a process, its children, and all their threads."""
    total = 0
    for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
        for task in Path(f"/proc/{process.pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def memory_mib(pid: int) -> float:
    """PSS of a process and its children."""
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return float(sum(process.memory_full_info().pss for process in processes) / 2**20)


def latencies(socket: Path, kmsg: int) -> Iterator[float]:
    """Seconds from writing a line to an incident that counts it, with the signal that answers it."""
    for number in range(NUM_LINES):
        line = XID.format(pid=1000 + number)
        begun = time.perf_counter()
        os.write(kmsg, f"4,{number},{int(time.monotonic() * 1e6)},-;{line}\n".encode())
        while judged(socket) <= number:
            if time.perf_counter() - begun > 10:
                raise SystemExit(f"line {number} was not judged within 10 s")
            time.sleep(BETWEEN_LOOKS_SECONDS)
        yield time.perf_counter() - begun
        time.sleep(BETWEEN_LINES_SECONDS)


def judged(socket: Path) -> int:
    """Events in incidents so far; none before there is a signal."""
    state = ask(socket, "GET", "/v1/state")
    return sum(incident["count"] for incident in state["incidents"]) if state["signal"] else 0


if __name__ == "__main__":
    print(json.dumps({"python": sys.version.split()[0]}))
    main()
