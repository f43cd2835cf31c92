"""Drives an SSH launcher from inside the head's network: commands on stdin, what it receives as JSON on stdout.

python head.py '{"nodes": ["fh1"], "ssh_options": "...", ...}'      then lines: an order, or "close"
"""

import json
import sys
import threading
from typing import Any

from fryer.collectives.cases import CollectiveCase
from fryer.exchange import encode
from fryer.fleet.orders import Collect, Contact, Order, Qualify, Stop
from fryer.launchers.ssh import ssh_hosts
from fryer.plan import make_plan


def order_of(words: dict[str, Any]) -> Order:
    if "stop" in words:
        return Stop(reason=words["stop"])
    if "qualify" in words:
        plan = make_plan(
            nodes=["fh1"], seconds=600, dtypes=["fp32"], burns=["gemm"], seed=1, memory_ratio=0.001, scenario=None
        )
        return Qualify(id=words["qualify"], plan=plan)
    return Collect(
        id=words["collect"],
        groups=(tuple(words["addresses"]),),
        cases=(CollectiveCase(operation="all_reduce", size_bytes=1 << 20, warmup=1, iterations=3),),
        repeats=1,
        ranks_per_node=0,
        rail=None,
        addresses=words["addresses"],
        port=29600,
        join_seconds=60.0,
        seconds=90.0,
    )


def tell(words: object) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def main() -> None:
    settings = json.loads(sys.argv[1])
    contact = Contact(**settings.pop("contact", {}))
    nodes = settings.pop("nodes")
    hosts = ssh_hosts(contact=contact, **settings)
    hosts.start(nodes)
    is_over = threading.Event()

    def say() -> None:
        while not is_over.is_set():
            for message in hosts.receive(0.2):
                tell({"type": type(message).__name__, **encode(message)})

    talker = threading.Thread(target=say)
    talker.start()
    for line in sys.stdin:
        words = json.loads(line)
        if words == "close":
            break
        hosts.send(order_of(words))
    is_over.set()
    talker.join()
    hosts.close()
    tell({"type": "closed"})


if __name__ == "__main__":
    main()
