"""What it costs a controller to hold a worker on each of many nodes, one connection a node, without a tree.

``python -m bench.launch --nodes 2048``: each worker is a small shell script on this machine in place of an ssh, so that
what is measured is the launcher: how many are started at the same time, how soon all have said Hello, how soon an order
has reached all, and the memory of the controller. It checks that no more are being started at once than `FANOUT`.
"""

import argparse
import resource
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from bench.show import show
from fryer.fleet.orders import PROTOCOL, Collect, Collected, Contact, Ended, Hello, Stop
from fryer.fleet.wire import encode
from fryer.launchers.commands import CommandHosts
from fryer.launchers.loop import FANOUT, Way
from fryer.platform import versions

_WORKER = """sleep {slow}
printf '%s\\n' '{hello}'
while read -r line; do case $line in *collect*) printf '%s\\n' '{collected}';; *stop*) exit 0;; esac; done
"""
STARTS_SECONDS = 0.3
"""Of a worker, from its start to its Hello."""
LONGEST_SECONDS = 600.0
LOOK_SECONDS = 2.0
"""Between two counts of processes, which cost a while themselves."""


def main(arguments: list[str] | None = None) -> None:
    """Start, order, stop, once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--nodes", type=int, default=2048)
    num_nodes = parser.parse_args(arguments).nodes
    fryer = versions()["fryer"]
    nodes = [f"node{index:04d}" for index in range(num_nodes)]
    with TemporaryDirectory() as directory:
        contact = Contact(hello_seconds=LONGEST_SECONDS)
        way = Way(is_remote=False, command=lambda node: _script(Path(directory), node), contact=contact, fryer=fryer)
        hosts = CommandHosts(way)
        try:
            _measure(hosts, nodes)
        finally:
            hosts.close()


def _measure(hosts: CommandHosts, nodes: list[str]) -> None:
    begun = time.monotonic()
    hosts.start(nodes)
    seen, most, looked = 0, 0, begun
    while seen < len(nodes):
        messages = hosts.receive(0.05)
        seen += sum(isinstance(message, Hello) for message in messages)
        if time.monotonic() - looked > LOOK_SECONDS:
            looked = time.monotonic()
            most = max(most, len(psutil.Process().children()) - seen)
        assert time.monotonic() - begun < LONGEST_SECONDS, seen
    greeted = time.monotonic() - begun
    ordered = _reply(hosts, len(nodes))
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    stopped = _stop(hosts, len(nodes))
    bound = STARTS_SECONDS * len(nodes) / FANOUT
    show(f"{len(nodes)} nodes, started {FANOUT} at a time: seconds to all Hellos", [greeted], f"at best {bound:.1f}")
    show("the most that were being started at once", [float(most)], f"budget <= {FANOUT} (and those just greeting)")
    show("seconds from an order to the last answer", [ordered], "")
    show("seconds from Stop to the last end", [stopped], "")
    show("memory of the controller, MiB", [size], "budget <= 500")


def _reply(hosts: CommandHosts, num_nodes: int) -> float:
    begun = time.monotonic()
    hosts.send(
        Collect(
            id="c", groups=(), cases=(), repeats=1, ranks_per_node=0, rail=None, addresses={}, port=1,
            join_seconds=1.0, seconds=1.0,
        )
    )  # fmt: skip
    left = num_nodes
    while left:
        left -= sum(isinstance(message, Collected) for message in hosts.receive(0.5))
        assert time.monotonic() - begun < LONGEST_SECONDS, left
    return time.monotonic() - begun


def _stop(hosts: CommandHosts, num_nodes: int) -> float:
    begun = time.monotonic()
    hosts.send(Stop(reason="over"))
    left = num_nodes
    while left:
        left -= sum(isinstance(message, Ended) for message in hosts.receive(0.5))
        assert time.monotonic() - begun < LONGEST_SECONDS, left
    return time.monotonic() - begun


def _script(directory: Path, node: str) -> str:
    hello = Hello(node=node, protocol=PROTOCOL, versions=versions(), addresses=(), num_gpus=8)
    path = directory / node
    path.write_text(
        _WORKER.format(
            slow=STARTS_SECONDS, hello=encode(hello)[0], collected=encode(Collected(node=node, order="c"))[0]
        )
    )
    return f"exec sh {path}"


if __name__ == "__main__":
    main()
