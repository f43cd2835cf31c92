"""What one node's worker prints, made into messages; and what is said of it when it is gone. Pure.

A launcher feeds lines of stdout and stderr as they come, and at the end says how the process ended. Whatever the node
does, it ends in exactly one `Ended`, after which nothing more is said of it.
"""

from collections import deque
from collections.abc import Sequence
from enum import Enum

from fryer.fleet.orders import PROTOCOL, Ended, Hello, Message
from fryer.fleet.wire import MESSAGES, Noise, Reader, Unreadable

TAIL_LINES = 30
"""Lines of a node's stderr that are kept, the last ones; and as many of what other programs printed on its stdout."""
TAIL_CHARACTERS = 400
"""Of each of these lines."""
SSH_FAILED = 255
"""ssh's own failure (ssh(1), EXIT STATUS), and what it says of a remote process that a signal killed."""
NOT_FOUND = 127
NOT_EXECUTABLE = 126
USAGE = 2
_ABSENT = ("No module named fryer", "No module named 'fryer", "command not found", "No such file or directory")
_OLDER = ("no command 'worker'", "No such option", "No such command")
"""What a Fryer without this worker says."""
_NO_ANSWER = ("Timeout, server", "timed out", "No route to host", "Network is unreachable", "Connection refused")
"""ssh's own words for a peer that does not answer."""
_CLOSED = ("closed by remote host", "Connection reset by", "Broken pipe", "Connection closed by")


class Cause(Enum):
    """What a launcher knows of an end, beside the exit code."""

    BY_ITSELF = "by itself"
    NO_HELLO = "no hello"
    """Killed by the launcher, because no Hello came in time."""
    STOPPED = "stopped"
    """After a `Stop`, or while the launcher closed."""
    NOT_STARTED = "not started"


class NodeLines:
    """The worker of one node, as far as its output tells."""

    def __init__(self, node: str, fryer: str, *, is_ssh: bool = False) -> None:
        """`fryer` is the controller's own version; a worker must have the same. `is_ssh`: exit codes are ssh's."""
        self.node = node
        self.has_said_hello = False
        self.is_over = False
        """Its `Ended` was given out."""
        self._fryer = fryer
        self._is_ssh = is_ssh
        self._reader = Reader(MESSAGES)
        self._stderr: deque[str] = deque(maxlen=TAIL_LINES)
        self._noise: deque[str] = deque(maxlen=TAIL_LINES)

    @property
    def left(self) -> tuple[str, ...]:
        """The node, until it has ended."""
        return () if self.is_over else (self.node,)

    def feed(self, line: str) -> tuple[Message, ...]:
        """`out`, as that of a relay has it."""
        message = self.out(line)
        return () if message is None else (message,)

    def take(self, word: Message) -> Message | None:
        """A message that a relay read: what is to be told of it."""
        if self.is_over:
            return None
        if isinstance(word, Ended):
            self.is_over = True
            return word
        return self._checked(word)

    def out(self, line: str) -> Message | None:
        """What a line of stdout says. After an `Ended` the worker is of no more use, and is to be killed."""
        if self.is_over:
            return None
        match self._reader.read(line):
            case Noise(text=text):
                self.noise(text)
                return None
            case Unreadable(code=code, message=message):
                return self._skewed(message) if code == "version_skew" else self._garbled(message)
            case None:
                return None
            case word:
                return self._checked(word)

    def noise(self, text: str) -> None:
        """What another program printed on stdout: kept, the last lines."""
        if text.strip():
            self._noise.append(text[:TAIL_CHARACTERS])

    def err(self, line: str) -> None:
        """A line of stderr: kept, the last ones."""
        if line.strip():
            self._stderr.append(line[:TAIL_CHARACTERS])

    def end(self, exit_code: int | None, cause: Cause, seconds: float | None = None) -> Ended | None:
        """The process is gone, or will be (`Cause.NO_HELLO`, after `seconds`); None when that was said before."""
        if self.is_over:
            return None
        code, message = self._why(exit_code, cause, seconds)
        return self._ended(code, message, exit_code)

    def ends(self, exit_code: int | None, cause: Cause, seconds: float | None = None) -> tuple[Ended, ...]:
        """`end`, as that of a relay has it."""
        ended = self.end(exit_code, cause, seconds)
        return () if ended is None else (ended,)

    def _checked(self, word: Message) -> Message | None:
        if word.node != self.node:
            return self._garbled(f"it speaks for node {word.node!r:.60}; is its --node right?")
        if isinstance(word, Hello):
            theirs = word.versions.get("fryer", "unknown")
            if word.protocol != PROTOCOL:
                return self._skewed(f"it speaks protocol {word.protocol} and this Fryer {PROTOCOL}")
            if theirs != self._fryer:
                return self._skewed(f"it has Fryer {theirs}, and here is {self._fryer}")
            self.has_said_hello = True
        elif not self.has_said_hello:
            return self._garbled("it spoke before its Hello")
        return word

    def _skewed(self, what: str) -> Ended:
        return self._ended("version_skew", f"{self.node}: {what}; install the same Fryer on both")

    def _garbled(self, what: str) -> Ended:
        return self._ended("garbled", f"{self.node}: its worker can't be understood: {what}")

    def _ended(self, code: str, message: str, exit_code: int | None = None) -> Ended:
        self.is_over = True
        return Ended(node=self.node, code=code, message=message, stderr=self.tail, exit_code=exit_code)

    @property
    def tail(self) -> str:
        """The last lines of stderr, behind what other programs printed on stdout where no Hello came."""
        noise: Sequence[str] = () if self.has_said_hello else tuple(self._noise)
        return "\n".join([*noise, *self._stderr][-TAIL_LINES:])

    def _why(self, exit_code: int | None, cause: Cause, seconds: float | None) -> tuple[str, str]:
        """Code and sentence."""
        node = self.node
        match cause:
            case Cause.NO_HELLO:
                return "deadline", f"{node}: no Hello of its worker within {seconds or 0:.0f} s{self._last()}"
            case Cause.NOT_STARTED:
                return "deadline", f"{node}: its worker was not started: the run was over before its turn"
            case Cause.STOPPED:
                return "done", f"{node}: its worker ended as it was told"
            case Cause.BY_ITSELF:
                return self._ssh_said(exit_code) or self._why_not_started(exit_code) or self._why_it_died(exit_code)

    def _why_it_died(self, exit_code: int | None) -> tuple[str, str]:
        if signal := _signal(exit_code, is_ssh=self._is_ssh):
            return "died", f"{self.node}: its worker {signal}; look at dmesg there: out of memory, or a crash?"
        if exit_code is None:
            return "died", f"{self.node}: its worker was lost{self._last()}"
        return "died", f"{self.node}: its worker ended by itself with exit code {exit_code}{self._last()}"

    def _why_not_started(self, exit_code: int | None) -> tuple[str, str] | None:
        node = self.node
        if self.has_said_hello:
            return None
        if exit_code in (NOT_FOUND, NOT_EXECUTABLE) or self._has(_ABSENT):
            return "not_installed", (
                f"{node}: Fryer can't be started there (exit code {exit_code}){self._last()}; install it there at the "
                "same path, or give --remote-command"
            )
        if exit_code == USAGE and self._has(_OLDER):
            return "version_skew", f"{node}: its Fryer does not know our worker{self._last()}; install the same on both"
        return None

    def _ssh_said(self, exit_code: int | None) -> tuple[str, str] | None:
        node = self.node
        if not self._is_ssh or exit_code != SSH_FAILED:
            return None
        if not self.has_said_hello:
            return "unreachable", f"{node}: ssh can't reach it{self._last()}"
        if self._has(_NO_ANSWER):
            return "unreachable", f"{node}: it stopped answering{self._last()}; is its link up, and the node?"
        if self._has(_CLOSED):
            return "died", f"{node}: it closed the connection{self._last()}; did it reboot, or was sshd killed?"
        return None

    def _has(self, words: Sequence[str]) -> bool:
        return any(word in line for line in self._stderr for word in words)

    def _last(self) -> str:
        """The last line of what it printed, as a part of a sentence."""
        lines = self._stderr or (self._noise if not self.has_said_hello else ())
        return f": {lines[-1].strip()}" if lines else ""


def _signal(exit_code: int | None, *, is_ssh: bool) -> str:
    """How a signal ended it; empty where none did. What is on stderr then is of those that it left behind."""
    if is_ssh and exit_code == SSH_FAILED:
        return "was killed by a signal, or ssh was"
    if exit_code is None or 0 <= exit_code <= 128:
        return ""
    return f"was killed by signal {-exit_code if exit_code < 0 else exit_code - 128}"
