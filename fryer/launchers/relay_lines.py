"""What a relay on a gateway prints: messages of many nodes, and at its end the end of all that are left. Pure."""

from collections.abc import Sequence

from fryer.fleet.orders import Ended, Hello, Message
from fryer.fleet.wire import RELAYED, Noise, Reader, Unreadable
from fryer.launchers.streams import Cause, NodeLines


class RelayLines:
    """The relay of one gateway, as far as its output tells. See `fryer.launchers.streams.NodeLines`.

    Its first Hello is its own, and is told to nobody; later messages are of the nodes behind it.
    """

    def __init__(self, gateway: str, behind: Sequence[str], fryer: str) -> None:
        self.node = gateway
        self._own = NodeLines(gateway, fryer, is_ssh=True)
        self._behind = {node: NodeLines(node, fryer) for node in behind}
        self._reader = Reader(RELAYED)
        self._is_given_back = False

    @property
    def has_said_hello(self) -> bool:
        """The relay is up; its nodes may still be coming."""
        return self._own.has_said_hello

    @property
    def left(self) -> tuple[str, ...]:
        """Nodes behind it that have not ended."""
        return () if self._is_given_back else tuple(n for n, lines in self._behind.items() if not lines.is_over)

    @property
    def is_over(self) -> bool:
        """All nodes behind it have ended: it is of no more use."""
        return not self.left

    def give_back(self) -> tuple[str, ...]:
        """Its nodes, which are another's from now on: nothing more is said of them here."""
        left = self.left
        self._is_given_back = True
        return left

    def feed(self, line: str) -> tuple[Message, ...]:
        """What a line of stdout says."""
        if self.is_over:
            return ()
        match self._reader.read(line):
            case None:
                return ()
            case Noise(text=text):
                self._own.noise(text)
                return ()
            case Unreadable(message=message):
                return self._end_all("garbled", f"can't be understood: {message}", None)
            case word:
                return self._take(word)

    def err(self, line: str) -> None:
        """A line of stderr: kept, the last ones."""
        self._own.err(line)

    def ends(self, exit_code: int | None, cause: Cause, seconds: float | None = None) -> tuple[Ended, ...]:
        """The relay is gone, or will be: what is said of each node that is left."""
        own = self._own.end(exit_code, cause, seconds)
        if own is None:
            return ()
        if own.code == "done":
            return tuple(each for lines in self._behind.values() if (each := lines.end(exit_code, cause)))
        return self._end_all(own.code, f"failed: {own.message}", exit_code)

    def _take(self, word: Message) -> tuple[Message, ...]:
        if isinstance(word, Hello) and word.node == self.node and not self.has_said_hello:
            skew = self._own.take(word)
            return self._end_all(skew.code, f"failed: {skew.message}", None) if isinstance(skew, Ended) else ()
        lines = self._behind.get(word.node)
        if lines is None or not self.has_said_hello:
            return self._end_all("garbled", f"speaks for {word.node!r:.60}, which is not behind it", None)
        told = lines.take(word)
        return () if told is None else (told,)

    def _end_all(self, code: str, what: str, exit_code: int | None) -> tuple[Ended, ...]:
        tail = self._own.tail
        ended = [
            Ended(node=node, code=code, message=f"{node}: its gateway {what}", stderr=tail, exit_code=exit_code)
            for node in self.left
        ]
        for lines in self._behind.values():
            lines.is_over = True
        return tuple(ended)
