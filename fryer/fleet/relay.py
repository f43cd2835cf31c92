"""A relay on a gateway: hands the controller's orders to the workers behind it, and their messages back.

It is a controller's launcher at the other end of a wire. What it passes on it does not read for itself, so it says
nothing of nodes but what their launcher says of them.
"""

import queue
import threading
from collections.abc import Sequence

from fryer.fleet.channel import Channel
from fryer.fleet.hosts import Hosts
from fryer.fleet.orders import PROTOCOL, Ended, Hello, Order
from fryer.fleet.wire import Unreadable
from fryer.platform import versions
from fryer.stopper import Stopper

LISTEN_SECONDS = 0.2
EXIT_DONE = 0
EXIT_ENDED = 3
"""As of a worker: nobody was there any more, or a signal came."""


def relay(gateway: str, nodes: Sequence[str], channel: Channel, hosts: Hosts, stopper: Stopper) -> int:
    """Serve `nodes` until all of them have ended, the orders end, or a signal comes; returns the exit code."""
    channel.say(Hello(node=gateway, protocol=PROTOCOL, versions=versions(), addresses=(), num_gpus=0))
    orders: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(channel, orders), name="listener", daemon=True).start()
    left = set(nodes)
    is_open = True
    hosts.start(nodes)
    try:
        while left and is_open and not (stopper.reason or channel.is_broken or channel.is_abandoned):
            is_open = _pass_down(orders, hosts)
            left -= _pass_up(channel, hosts, LISTEN_SECONDS)
    finally:
        hosts.close()
    left -= _pass_up(channel, hosts, 0.0)
    return EXIT_ENDED if left else EXIT_DONE


def _listen(channel: Channel, orders: "queue.SimpleQueue[Order | None]") -> None:
    def pass_over(unreadable: Unreadable) -> None:
        """The workers would not understand it either."""
        del unreadable

    for order in channel.listen(pass_over):
        orders.put(order)
    orders.put(None)


def _pass_down(orders: "queue.SimpleQueue[Order | None]", hosts: Hosts) -> bool:
    """Whether more may come."""
    while not orders.empty():
        order = orders.get()
        if order is None:
            return False
        hosts.send(order)
    return True


def _pass_up(channel: Channel, hosts: Hosts, seconds: float) -> set[str]:
    """Nodes that have ended."""
    ended = set()
    for message in hosts.receive(seconds):
        channel.say(message)
        if isinstance(message, Ended):
            ended.add(message.node)
    return ended
