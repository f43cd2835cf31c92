"""Workers on this machine: one for its own name, or several under names of their own, for tests and rehearsals."""

import shlex

from fryer.fleet.orders import Contact
from fryer.launchers.commands import CommandHosts, worker_command
from fryer.launchers.loop import Way

ADDRESS = "127.0.0.1"
"""Where workers of one machine reach one another."""


def local_hosts(*, fryer: str, contact: Contact | None = None, program: str | None = None) -> CommandHosts:
    """Workers that are children of this process. `program`: what starts Fryer; default: this interpreter."""
    contact = contact or Contact()

    def command(node: str) -> str:
        words = worker_command(node, program, contact, ADDRESS)
        # setsid: Ctrl-C at a terminal is the controller's alone, which tells the workers. It execs, as the shell does,
        # so the process that is killed is the worker. ClusterShell replaces %h and the like in local commands.
        return f"exec setsid sh -c {shlex.quote(words)}".replace("%", "%%")

    return CommandHosts(Way(is_remote=False, command=command, contact=contact, fryer=fryer))
