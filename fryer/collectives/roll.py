"""Who of a group has been lost: from the signs of life that its ranks leave in the rendezvous. Pure; time is given.

A rank leaves a `Sign` each second from a thread of its own, so that one which waits for others still gives signs, and
one that is stopped, killed or cut off does not. Its steps tell a rank that lives and does not come from those that
wait for it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

STARTING, RUNNING, DONE, BROKE, ALONE, DIED = "starting", "running", "done", "broke", "alone", "died"
"""States of a sign. ``broke``: failed by itself; ``alone``: an exchange failed, so another one may be the reason;
``died``: said by its node's worker, which saw the process end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long is waited for signs."""

    sign_seconds: float = 1.0
    """Between two signs of a rank."""
    silence_seconds: float = 10.0
    """Without a new sign a rank is lost. Well over what a busy machine delays a thread by."""
    start_seconds: float = 120.0
    """From its node's coming to a rank's first sign: the first CUDA context on eight GPUs takes tens of seconds."""
    reserve_seconds: float = 5.0
    """Before an order's deadline, for finding out and telling who is behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """What one rank leaves."""

    number: int = 0
    """Grows with each sign."""
    step: int = 0
    """How many steps the rank has come to."""
    state: str = STARTING
    what: str = ""
    """The step that it has come to, or why it ended."""

    def to_text(self) -> str:
        """As one word of the store."""
        return json.dumps([self.number, self.step, self.state, self.what])


def parse_sign(text: str | bytes) -> Sign:
    """What `Sign.to_text` made; raises ValueError for anything else."""
    number, step, state, what = json.loads(text)
    return Sign(number=int(number), step=int(step), state=str(state), what=str(what))


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Why a measurement can't go on."""

    problem: str
    """One sentence; empty where all is done and well."""
    missing: tuple[str, ...] = ()
    """Nodes."""


@dataclass(slots=True)
class Roll:
    """The signs of all ranks as one observer sees them."""

    nodes: Sequence[str]
    """Of each rank, by its number."""
    patience: Patience
    began: float
    signs: list[Sign] = field(init=False)
    _changed: list[float] = field(init=False)
    _first_end: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.signs = [Sign() for _ in self.nodes]
        self._changed = [self.began for _ in self.nodes]

    def note(self, signs: Sequence[Sign], now: float) -> None:
        """The newest sign of each rank."""
        for rank, sign in enumerate(signs):
            if sign != self.signs[rank]:
                self.signs[rank] = sign
                self._changed[rank] = now
            if sign.state in (BROKE, ALONE) and self._first_end is None:
                self._first_end = now

    @property
    def is_over(self) -> bool:
        """Every rank is done."""
        return all(sign.state == DONE for sign in self.signs)

    def loss(self, now: float) -> Loss | None:
        """Who has been lost, once that is sure; None while all is well, or not yet clear."""
        if died := self._in_state(DIED):
            return self._missing(died, self.signs[died[0]].what)
        if silent := [rank for rank, sign in enumerate(self.signs) if self._is_silent(rank, sign, now)]:
            return self._missing(silent, self._silence(silent[0]))
        if self._first_end is None:
            return None
        is_settled = now - self._first_end > self.patience.silence_seconds + 2 * self.patience.sign_seconds
        if is_settled or all(sign.state in (DONE, BROKE, ALONE) for sign in self.signs):
            rank = (self._in_state(BROKE) or self._in_state(ALONE))[0]
            return Loss(problem=f"rank {rank} on {self.nodes[rank]}: {self.signs[rank].what}")
        return None

    def overdue(self, seconds: float) -> Loss:
        """What is to be said when the time is up: who is behind the others, if anybody is."""
        ahead = max(sign.step for sign in self.signs)
        behind = [rank for rank, sign in enumerate(self.signs) if sign.step < ahead and sign.state != DONE]
        if behind:
            leader = next(sign for sign in self.signs if sign.step == ahead)
            return self._missing(
                behind,
                f"it did not come to {leader.what!r} within the {seconds:g} s of this measurement; "
                f"its last step was {self.signs[behind[0]].what or 'its start'!r}",
            )
        return Loss(problem=f"the {seconds:g} s of this measurement were over during {self.signs[0].what!r}")

    def _in_state(self, state: str) -> list[int]:
        return [rank for rank, sign in enumerate(self.signs) if sign.state == state]

    def _is_silent(self, rank: int, sign: Sign, now: float) -> bool:
        if sign.state not in (STARTING, RUNNING):
            return False
        allowed = self.patience.start_seconds if sign.state == STARTING else self.patience.silence_seconds
        return now - self._changed[rank] > allowed

    def _silence(self, rank: int) -> str:
        sign = self.signs[rank]
        if sign.state == STARTING:
            return f"it did not start within {self.patience.start_seconds:g} s"
        return f"no sign of life for {self.patience.silence_seconds:g} s since {sign.what or 'its start'!r}"

    def _missing(self, ranks: Sequence[int], why: str) -> Loss:
        nodes = tuple(dict.fromkeys(self.nodes[rank] for rank in ranks))
        first = f"rank {ranks[0]} on {self.nodes[ranks[0]]} is missing: {why}"
        rest = f" (and {len(ranks) - 1} more ranks)" if len(ranks) > 1 else ""
        return Loss(problem=first + rest, missing=nodes)
