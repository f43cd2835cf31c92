"""Signs of ranks in the store of a group: written by ranks, read by the wardens of its nodes."""

import threading
import time
from dataclasses import replace
from datetime import timedelta

from torch._C._distributed_c10d import Store, TCPStore  # torch.distributed shows both, untyped

from fryer.collectives.notes import Meeting
from fryer.collectives.roll import DONE, RUNNING, STARTING, Patience, Sign, parse_sign

_RETRY_SECONDS = 0.2
_PORT_SECONDS = 5.0
"""How long is waited for a port that is taken."""


def open_store(meeting: Meeting, *, serve: bool = False) -> TCPStore:
    """The store of the group; `serve` it or wait up to `join_seconds` for it.

    Raises RuntimeError (torch's DistError) where nobody answers, or where the port stays taken.
    """
    # The store of the order before may be about to end.
    patience = min(_PORT_SECONDS, meeting.join_seconds) if serve else meeting.join_seconds
    give_up = time.monotonic() + patience
    while True:
        try:
            store = TCPStore(
                meeting.host,
                meeting.port,
                is_master=serve,
                wait_for_workers=False,
                timeout=timedelta(seconds=max(1.0, give_up - time.monotonic())),
            )
        except RuntimeError:
            if time.monotonic() > give_up:
                raise
            time.sleep(_RETRY_SECONDS)
            continue
        # Once met, a store that is silent for so long is out of reach.
        store.set_timeout(timedelta(seconds=max(1.0, meeting.patience.silence_seconds)))
        return store


def sign_key(meeting: Meeting, node: int, local: int) -> str:
    """Where the rank `local` of the node at that place leaves its signs."""
    return f"{meeting.key}/sign/{node}/{local}"


def read_signs(store: Store, keys: list[str]) -> list[Sign]:
    """The newest sign under each key; raises RuntimeError where the store is out of reach."""
    return [parse_sign(text) for text in store.multi_get(keys)]


class Signer:
    """Leaves the signs of one rank, from a thread with a connection of its own."""

    def __init__(self, store: Store, key: str, patience: Patience) -> None:
        self._store = store
        self._key = key
        self._patience = patience
        # A part that follows another one goes on counting, so that the observer sees no rank go back.
        before = parse_sign(store.get(key))
        self._sign = Sign(number=before.number, step=before.step, state=RUNNING)
        self._changed = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="signs", daemon=True)
        self._thread.start()

    def step(self, what: str) -> None:
        """This rank has come to `what`; costs no message of its own."""
        with self._changed:
            self._sign = replace(self._sign, step=self._sign.step + 1, what=what)

    def end(self, state: str, what: str) -> None:
        """The last sign; returns when it is left, or when it can't be."""
        with self._changed:
            self._sign = replace(self._sign, state=state, what=what or self._sign.what)
            self._is_closed = True
            self._changed.notify()
        self._thread.join(self._patience.silence_seconds)

    def _run(self) -> None:
        is_last = False
        while not is_last:
            with self._changed:
                self._sign = replace(self._sign, number=self._sign.number + 1)
                sign, is_last = self._sign, self._is_closed
            try:
                self._store.set(self._key, sign.to_text())
            except RuntimeError:
                return  # out of reach: its silence is what the observers go by
            with self._changed:
                if not self._is_closed:
                    self._changed.wait(self._patience.sign_seconds)


def last_state(*, is_last_part: bool) -> str:
    """State of a rank that has done its part: the next part starts it anew."""
    return DONE if is_last_part else STARTING
