"""A node of its own: takes part in the order on stdin, prints its answer. Its processes can be stopped and killed."""

import json
import os
import sys

from fryer.collectives.collect import run_collect
from fryer.collectives.roll import Patience
from fryer.exchange import decode, encode
from fryer.fleet.orders import Collect

if __name__ == "__main__":
    given = json.loads(sys.stdin.read())
    answer = run_collect(
        decode(Collect, given["order"]),
        given["node"],
        lambda what: os.write(2, f"{what}\n".encode()),
        patience=decode(Patience, given["patience"]),
    )
    sys.stdout.write(json.dumps(encode(answer)))
