"""A small worker for tests of a launcher: ``python slurm_worker.py worker --piece-bytes=900``.

It says Hello and its process id, and for each order one message that names it. What else it does is in `MODE` of its
environment: ``chatty`` many long messages at once, ``uncut`` the same without pieces, ``deaf`` reads nothing and heeds
no SIGTERM, ``absent`` says no Hello.
"""

import os
import random
import signal
import sys
import time

from fryer.fleet.channel import open_channel
from fryer.fleet.orders import PROTOCOL, Collected, Hello, Progress, Stop
from fryer.platform import versions

MESSAGES, MESSAGE_BYTES = 25, 200_000


def main() -> None:
    mode, node = os.environ.get("MODE", ""), os.environ["SLURMD_NODENAME"]
    channel = open_channel(10 * MESSAGE_BYTES if mode == "uncut" else int(sys.argv[2].partition("=")[2]))
    sys.stderr.write(f"{node} complains\n")
    hello = Hello(node=node, protocol=PROTOCOL, versions=versions(), addresses=(), num_gpus=_count_gpus())
    if mode != "absent":
        channel.say(hello)
        channel.say(Progress(node=node, order="", what=str(os.getpid()), seconds=0.0))
    if mode == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600)
    for order in channel.listen(print):
        if isinstance(order, Stop):
            sys.exit(0)
        if mode in ("chatty", "uncut"):
            for index in range(MESSAGES):
                channel.say(Collected(node=node, order=order.id, problem=text_of(node, index)))
        channel.say(Collected(node=node, order=order.id))
    sys.exit(5)


def text_of(node: str, index: int) -> str:
    """Long, and hardly to be compressed; the same wherever it is made."""
    return random.Random(f"{node} {index}").randbytes(MESSAGE_BYTES // 2).hex()


def _count_gpus() -> int:
    """As many as Slurm gave."""
    return len([word for word in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if word])


if __name__ == "__main__":
    main()
