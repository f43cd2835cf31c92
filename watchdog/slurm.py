"""Drains a node in Slurm and gives it back, through `scontrol`. It touches only drains of its own.

Our drains carry a reason that begins with ``fryer: ``. A node that somebody else drained is left as it is, reason and
all, and is never resumed by us. Slurm has no compare-and-set, so between the look and the update another may come in:
the state is read again afterwards, and what is returned is what Slurm says then.
"""

import logging
import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from watchdog.vocabulary.errors import SourceFailed, SourceMissing, UsageError

log = logging.getLogger(__name__)

PREFIX = "fryer: "
"""Beginning of the reasons that are ours."""
DEADLINE_SECONDS = 10.0
"""Of each call. A healthy slurmctld answers in milliseconds; a busy one is given Slurm's own MessageTimeout, 10 s."""
MOST_REASON = 200
"""Characters of a reason, prefix included; `sinfo -R` shows 20, `scontrol show node` all."""

_NODE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_STATE = re.compile(r"\bState=(\S+)")
_REASON = re.compile(r"\bReason=(.*?)(?: \[([^\[\]@\s]*)@[^\[\]\s]*\])?(?: Comment=.*| Extra=.*)?\s*$")
_DRAINED = frozenset({"DRAIN", "DRAINED", "DRAINING"})
_UNSAID = "(null)"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmNode:
    """What Slurm says of a node."""

    name: str
    states: tuple[str, ...]
    """``IDLE``, or several: ``IDLE DRAIN``; without the marks behind them."""
    reason: str = ""
    by: str = ""
    """User who set the reason."""

    @property
    def is_drained(self) -> bool:
        """Whether no new job starts on it; one may still run."""
        return not _DRAINED.isdisjoint(self.states)

    @property
    def is_ours(self) -> bool:
        """Whether we drained it."""
        return self.is_drained and self.reason.startswith(PREFIX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a drain or an undrain did."""

    node: SlurmNode
    """As Slurm says afterwards."""
    is_changed: bool
    why: str
    """One sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slurm:
    """The commands of one cluster, which SLURM_CONF of the environment names."""

    scontrol: str = "scontrol"
    """Name or path of the program."""
    deadline_seconds: float = DEADLINE_SECONDS

    def show(self, node: str) -> SlurmNode:
        """What Slurm says of `node`. Raises `SourceMissing` without scontrol, `SourceFailed` where it does not answer,
        `UsageError` for what is no single node's name."""
        _check(node)
        return parse_node(node, self._call("--oneliner", "show", "node", node))

    def drain(self, node: str, why: str) -> Outcome:
        """Let no new job start on `node`, for the reason `why`; jobs on it go on. Raises as `show` does.

        A node that is drained already, by whomever, stays as it is.
        """
        before = self.show(node)
        if before.is_drained:
            owner = "us" if before.is_ours else before.by or "somebody"
            return Outcome(node=before, is_changed=False, why=f"{node} is drained already by {owner}: {before.reason}")
        self._call("update", f"nodename={node}", "state=drain", f"reason={reason_of(why)}")
        after = self.show(node)
        if not after.is_drained:
            raise SourceFailed(f"scontrol accepted the drain of {node}, but its state is {' '.join(after.states)}")
        log.info("drained node=%s reason=%r", node, after.reason)
        return Outcome(node=after, is_changed=True, why=f"{node} is drained: {after.reason}")

    def undrain(self, node: str) -> Outcome:
        """Give `node` back to the scheduler, if it was we who drained it; else nothing is done. Raises as `show`."""
        before = self.show(node)
        if not before.is_drained:
            return Outcome(node=before, is_changed=False, why=f"{node} is not drained")
        if not before.is_ours:
            why = f"{node} was drained by {before.by or 'somebody'}, not by us: {before.reason or 'no reason given'}"
            return Outcome(node=before, is_changed=False, why=why)
        self._call("update", f"nodename={node}", "state=resume")
        after = self.show(node)
        if after.is_drained:
            return Outcome(node=after, is_changed=False, why=f"{node} is drained again: {after.reason}")
        log.info("gave back node=%s", node)
        return Outcome(node=after, is_changed=True, why=f"{node} is given back")

    def _call(self, *arguments: str) -> str:
        """Run scontrol, never longer than the deadline."""
        command = [self.scontrol, *arguments]
        # the formats of both are fixed, so that parsing does not depend on whoever started us
        environment = {**os.environ, "LC_ALL": "C", "SLURM_TIME_FORMAT": "standard"}
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=self.deadline_seconds,
                check=False,
                env=environment,
                stdin=subprocess.DEVNULL,
            )
        except (FileNotFoundError, PermissionError) as error:
            raise SourceMissing(f"{self.scontrol} can't be run here: {error}; install slurm-client") from error
        except subprocess.TimeoutExpired as error:
            raise SourceFailed(
                f"{_shown(command)} gave no answer within {self.deadline_seconds:g} s; is slurmctld up?"
            ) from error
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().replace("\n", "; ")[-300:]
            raise SourceFailed(f"{_shown(command)} ended with {done.returncode}: {said}")
        return done.stdout


def parse_node(name: str, text: str) -> SlurmNode:
    """What ``scontrol --oneliner show node`` prints; raises `SourceFailed` where it has no state."""
    line = text.strip()
    state = _STATE.search(line)
    if state is None:
        raise SourceFailed(f"scontrol says nothing of node {name}: {line[:200] or 'empty output'}")
    states = tuple(re.sub(r"[*~#!%$@^-]+$", "", word) for word in state.group(1).split("+"))
    reason = _REASON.search(line)
    if reason is None or reason.group(1) == _UNSAID:
        return SlurmNode(name=name, states=states)
    return SlurmNode(name=name, states=states, reason=reason.group(1).strip(), by=reason.group(2) or "")


def reason_of(why: str) -> str:
    """A reason that is ours, on one line, without what scontrol takes apart; bounded."""
    words = " ".join(why.replace('"', "'").replace("\\", "/").split())
    printable = "".join(character for character in words if character.isprintable())
    return f"{PREFIX}{printable.removeprefix(PREFIX)}"[:MOST_REASON].rstrip()


def _check(node: str) -> None:
    """A name of one node: no node set, no option."""
    if not _NODE.fullmatch(node):
        raise UsageError(f"{node!r} is no name of one Slurm node; node sets are drained node by node")


def _shown(command: Sequence[str]) -> str:
    return " ".join(command)
