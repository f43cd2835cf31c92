"""One process a node that meets the group, counts its members, and watches whether ranks live. It measures nothing.

The first node's warden serves the store and judges for all; the others pass its judgement on, and say so themselves
when the first node is out of reach. It is a process of its own so that a rank which is stopped or crashes does not
take the store with it.
"""

import ctypes
import json
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection

import torch
import torch.distributed as dist

from fryer.collectives.notes import Died, Joined, Lost, Meeting, Over, Watching
from fryer.collectives.roll import DIED, Loss, Roll, Sign, parse_sign
from fryer.collectives.signs import open_store, read_signs, sign_key

_JOIN_POLL_SECONDS = 0.1
_LINGER_SECONDS = 5.0
"""For the others to read what was judged, and to end, before the store goes."""
_PR_SET_PDEATHSIG = 1


def watch(connection: Connection, meeting: Meeting) -> None:
    """Entry of the process. Sends `Joined`, then `Over` or `Lost`; ends when told or when nobody listens."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    try:
        connection.send(_Warden(connection, meeting).run())
        connection.poll(_LINGER_SECONDS)  # the worker ends this process when it needs the store no more
    except (BrokenPipeError, ConnectionResetError, EOFError):
        return
    finally:
        connection.close()


class _Warden:
    def __init__(self, connection: Connection, meeting: Meeting) -> None:
        self._connection = connection
        self._meeting = meeting
        self._is_judge = meeting.me == 0
        self._verdict_key = f"{meeting.key}/verdict"

    def run(self) -> Over | Lost:
        meeting = self._meeting
        try:
            self._store = open_store(meeting, serve=self._is_judge)
        except RuntimeError as why:
            return self._no_store(why)
        try:
            lost = self._join()
            return lost or self._watch()
        except RuntimeError:
            return self._out_of_reach()

    def _no_store(self, why: RuntimeError) -> Lost:
        meeting = self._meeting
        where = f"{meeting.host} port {meeting.port}"
        if self._is_judge:
            text = " ".join(str(why).split())[:200]
            return Lost(f"{meeting.nodes[0]} can't serve its group at {where}: {text}; give another port", ())
        return Lost(
            f"{meeting.nodes[0]} did not answer at {where} within {meeting.join_seconds:g} s", (meeting.nodes[0],)
        )

    def _out_of_reach(self) -> Lost:
        meeting = self._meeting
        first = meeting.nodes[0]
        if self._is_judge:
            return Lost(f"{first} lost its own store at {meeting.host} port {meeting.port}", (first,))
        return Lost(f"{meeting.nodes[meeting.me]} lost {first}, which answers no more", (first,))

    def _join(self) -> Lost | None:
        meeting = self._meeting
        count, backend = _own_ranks(meeting.ranks_per_node)
        for local in range(count):
            self._store.set(sign_key(meeting, meeting.me, local), Sign().to_text())
        self._store.set(self._node_key(meeting.me), json.dumps([count, backend]))
        lost = self._wait_for_all()
        if lost:
            return self._tell(lost)
        keys = [self._node_key(place) for place in range(len(meeting.nodes))]
        members = [json.loads(text) for text in self._store.multi_get(keys)]
        backends = {backend for _, backend in members}
        if len(backends) > 1:
            without = [node for node, (_, backend) in zip(meeting.nodes, members, strict=True) if backend != "nccl"]
            return self._tell(Loss(problem=f"some nodes of the group have no GPU for torch: {', '.join(without)}"))
        self._counts = tuple(count for count, _ in members)
        self._connection.send(Joined(self._counts, backends.pop()))
        return None

    def _wait_for_all(self) -> Loss | None:
        meeting = self._meeting
        places = range(len(meeting.nodes))
        # The judge says who is missing; the others wait a little longer, for its word.
        give_up = time.monotonic() + meeting.join_seconds + (0 if self._is_judge else meeting.patience.silence_seconds)
        give_up = min(give_up, meeting.deadline)
        while not self._store.check([self._node_key(place) for place in places]):
            if told := self._judgement():
                return told
            if time.monotonic() > give_up:
                absent = [meeting.nodes[place] for place in places if not self._store.check([self._node_key(place)])]
                return Loss(
                    problem=f"{', '.join(absent[:5])}{' …' if len(absent) > 5 else ''} did not come within "
                    f"{meeting.join_seconds:g} s",
                    missing=tuple(absent),
                )
            time.sleep(_JOIN_POLL_SECONDS)
        return None

    def _watch(self) -> Over | Lost:
        meeting = self._meeting
        members = [(node, local) for node, count in enumerate(self._counts) for local in range(count)]
        keys = [sign_key(meeting, node, local) for node, local in members]
        roll = Roll([meeting.nodes[node] for node, _ in members], meeting.patience, time.monotonic())
        while True:
            self._pass_on_deaths()
            self._connection.send(Watching())
            told = self._judge(roll, keys) if self._is_judge else self._judgement()
            if told:
                return self._tell(told) if told.problem else Over()

    def _judge(self, roll: Roll, keys: Sequence[str]) -> Loss | None:
        now = time.monotonic()
        roll.note(read_signs(self._store, list(keys)), now)
        if roll.is_over:
            return Loss(problem="")
        if now > self._meeting.deadline:
            return roll.loss(now) or roll.overdue(self._meeting.seconds)
        return roll.loss(now)

    def _judgement(self) -> Loss | None:
        """What the judge has said, if anything."""
        if self._is_judge or not self._store.check([self._verdict_key]):
            return None
        problem, missing = json.loads(self._store.get(self._verdict_key))
        with suppress(RuntimeError):  # the judge may have waited long enough; its word is here
            self._store.set(self._read_key(self._meeting.me), "")
        return Loss(problem=problem, missing=tuple(missing))

    def _tell(self, loss: Loss) -> Lost:
        if self._is_judge:
            self._store.set(self._verdict_key, json.dumps([loss.problem, loss.missing]))
            self._wait_for_readers()
        return Lost(loss.problem, loss.missing)

    def _wait_for_readers(self) -> None:
        """Until all others know, so that none takes the store's end for the fault.

        Those that are missing too: where only a rank is lost, its node reads on.
        """
        keys = [self._read_key(place) for place in range(1, len(self._meeting.nodes))]
        give_up = time.monotonic() + _LINGER_SECONDS
        while keys and time.monotonic() < give_up and not self._store.check(keys):
            time.sleep(_JOIN_POLL_SECONDS)

    def _pass_on_deaths(self) -> None:
        """Wait one period for word of the worker that a rank of this node has died."""
        if not self._connection.poll(self._meeting.patience.sign_seconds / 2):
            return
        died = self._connection.recv()
        assert isinstance(died, Died)
        key = sign_key(self._meeting, self._meeting.me, died.local)
        sign = parse_sign(self._store.get(key))
        gone = Sign(number=sign.number + 1, step=sign.step, state=DIED, what=died.what)
        self._store.set(key, gone.to_text())

    def _read_key(self, place: int) -> str:
        return f"{self._meeting.key}/read/{place}"

    def _node_key(self, place: int) -> str:
        return f"{self._meeting.key}/node/{place}"


def _own_ranks(ranks_per_node: int) -> tuple[int, str]:
    """(how many, backend) of this node: one a GPU, or one on its processors. Makes no CUDA context."""
    gpus = torch.cuda.device_count() if dist.is_nccl_available() else 0
    if not gpus:
        return max(1, ranks_per_node), "gloo"
    return ranks_per_node or gpus, "nccl"
