"""Load on a real daemon: clients that step, a plain poster, a kernel that prints, an onlooker, a person."""

import random
import threading
import time
from collections import Counter

from watched import IS_LONG, NoAnswerError, Watched

from watchdog.client import Client

RANKS = 4
STEP_SECONDS = 0.1 if IS_LONG else 0.02
"""In a long drill the daemon is down for half of the time, and the client waits up to 10 s between its attempts: its
queue must hold the steps of the whole drill, for it drops what is beyond."""
Lines = tuple[tuple[str, str, int], ...]
LINES: Lines = (
    ("NVRM: Xid (PCI:0000:1b:00): 94, pid={n}, name=python3, Ch 00000008", "xid", 94),
    ("NVRM: Xid (PCI:0000:2b:00): 31, pid={n}, name=python3, Ch 00000008, intr 00000000.", "xid", 31),
    (
        "NVRM: Xid (PCI:0000:3b:00): 48, pid={n}, name=python3, An uncorrectable double bit error has occurred",
        "xid",
        48,
    ),
    ("nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 20034, Fatal, Link {n} LTSSM Fault Up", "sxid", 20034),
)


class Load:
    """Clients that step, a plain poster that notes what was acknowledged, a kernel that prints, an onlooker."""

    def __init__(self, watched: Watched, lines: Lines = LINES, *, marks: bool = False) -> None:
        self.watched, self._lines = watched, lines
        self.acked: list[int] = []
        """Steps of run ``plain`` that the daemon said it keeps."""
        self.seen: set[str] = set()
        """Ids of incidents that the daemon answered from its store."""
        self.shown: set[tuple[str, str]] = set()
        """(root, code) of incidents that its state ever showed."""
        self.marked: list[str] = []
        """Ids of incidents that a person's word closed, and the daemon said so."""
        self.written: Counter[tuple[str, int]] = Counter()
        self.stepped = [0] * RANKS
        self._over = threading.Event()
        self._random = random.Random(1)
        self._threads = [threading.Thread(target=work) for work in (self._post, self._print, self._look)]
        self._threads += [threading.Thread(target=self._mark)] if marks else []
        self._threads += [threading.Thread(target=self._step, args=(rank,)) for rank in range(RANKS)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(120)

    def _step(self, rank: int) -> None:
        client = Client(run="trained", rank=rank, world_size=RANKS, socket_path=self.watched.socket)
        client.begin()
        while not self._over.wait(STEP_SECONDS):
            client.step(self.stepped[rank], tokens=4096, loss=2.0, grad_norm=1.0)
            self.stepped[rank] += 1
        client.end("done", wait_seconds=90)
        assert client.health.num_dropped == 0

    def _post(self) -> None:
        step = 0
        while not self._over.wait(0.01):
            steps = range(step, step + 10)
            body = {"steps": [{"run": "plain", "rank": 0, "step": step, "at": time.time()} for step in steps]}
            try:
                is_kept = self.watched.ask("/v1/steps", body)["type"] == "kept"
            except NoAnswerError:
                continue
            assert is_kept
            self.acked += steps
            step = steps.stop

    def _print(self) -> None:
        number = 0
        while not self._over.wait(self._random.uniform(0.0, 0.04)):
            line, kind, code = self._random.choice(self._lines)
            copies = self._random.choice((1, 1, 1, 7))
            self.watched.write(*(line.format(n=number + i) for i in range(copies)))
            number += copies
            self.written[kind, code] += copies

    def _look(self) -> None:
        while not self._over.wait(0.1):
            try:
                kept, state = self.watched.ask("/v1/incidents"), self.watched.ask("/v1/state")
            except NoAnswerError:
                continue
            self.seen |= {incident["id"] for incident in kept["incidents"]}
            self.shown |= {(incident["root"], incident["root_code"]) for incident in state["incidents"]}

    def _mark(self) -> None:
        while not self._over.wait(1.5):
            try:
                incidents = self.watched.ask("/v1/state")["incidents"]
                name = next((one["id"] for one in incidents if one["closed_at"] is None), None)
                if name is not None:
                    self.watched.ask(f"/v1/incidents/{name}/mark-healthy", {"by": "drill", "reason": "looked at"})
                    self.marked.append(name)
            except NoAnswerError:
                continue


def counted(watched: Watched) -> Counter[tuple[str, int]]:
    """Lines by (kind, code), as the daemon's exporter counts them."""
    found: Counter[tuple[str, int]] = Counter()
    for line in watched.ask("/metrics").splitlines():
        for unit, kind in (("gpu", "xid"), ("switch", "sxid")):
            if line.startswith(f"fryer_{unit}_{kind}_events_total{{"):
                code = int(line.partition(f',{kind}="')[2].partition('"')[0])
                found[kind, code] += int(float(line.rpartition(" ")[2]))
    return found
