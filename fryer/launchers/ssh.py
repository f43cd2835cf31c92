"""Workers over ssh, by ClusterShell. Keys, users and ports are those of the user's ssh: nothing is asked for."""

import shlex
import shutil

from fryer.fleet.orders import Contact
from fryer.launchers.commands import CommandHosts, relay_command, worker_command
from fryer.launchers.loop import FANOUT, Way
from fryer.launchers.tree import routes
from watchdog.vocabulary.errors import UsageError

ALIVE_SECONDS = 5
ALIVE_COUNT = 3
"""ssh asks a silent node as often as this, `ALIVE_SECONDS` apart, and then gives it up (ssh_config(5))."""
OPTIONS = (
    f"-oServerAliveInterval={ALIVE_SECONDS} -oServerAliveCountMax={ALIVE_COUNT} "
    # a shared connection would outlive the worker and hold its stderr open; and one that hangs would hang them all
    "-oControlMaster=no -oControlPath=none"
)
"""Behind the user's own `ssh_options`, of which the first counts."""


def ssh_hosts(
    *,
    fryer: str,
    contact: Contact | None = None,
    ssh_options: str = "",
    remote_command: str | None = None,
    fanout: int = FANOUT,
    root: str | None = None,
) -> CommandHosts:
    """Workers on nodes that ssh reaches without a question.

    `remote_command`: what starts Fryer there, in words of a shell (``module load cuda && /opt/fryer/bin/fryer``);
    default: the path of this interpreter. `fanout`: how many are being started at the same time. `root`: our name in
    ClusterShell's ``topology.conf``, which says what is reached through gateways; default: this machine's. Raises
    `UsageError` without ssh, or for options that no shell could read.
    """
    contact = contact or Contact()
    if shutil.which("ssh") is None:
        raise UsageError("there is no ssh on this machine; install openssh-client, or give --launcher slurm")
    try:
        shlex.split(ssh_options)
    except ValueError as error:
        raise UsageError(f"--ssh-options {ssh_options!r} can't be read: {error}") from error
    info = {
        "ssh_options": f"{ssh_options} {OPTIONS}".strip(),
        # Ctrl-C at a terminal is the controller's alone, which tells the workers: ssh gets a session of its own
        "ssh_path": "setsid ssh" if shutil.which("setsid") else "ssh",
        "connect_timeout": max(1, round(contact.connect_seconds)),
    }
    return CommandHosts(
        Way(
            is_remote=True,
            command=lambda node: worker_command(node, remote_command, contact),
            contact=contact,
            fryer=fryer,
            info=info,
            fanout=fanout,
            routes=lambda nodes: routes(nodes, root),
            relay=lambda gateway, nodes: relay_command(gateway, nodes, remote_command, contact, ssh_options),
        )
    )
