"""A training run's side of the node daemon. One file, standard library only: it may be copied into any trainer.

    client = Client(run="llm-3b", rank=rank, world_size=world_size)
    client.begin(stage="main", resume_step=0)
    for step in range(...):
        with client.section("forward"):
            ...
        client.step(step, tokens=tokens, loss=loss, grad_norm=norm)
        signal = client.poll()              # from memory; all ranks agree before anybody acts on it
        if signal.action == "save":
            client.ack(signal, "acting")
    client.end("done")

What training sees of it is an append to a bounded queue. Two background threads do the rest: one posts, and sends again
what was not acknowledged (the daemon keeps a step once by run, rank and step); one waits for signals. **Fail-open**: no
method raises or blocks, whatever the daemon does, be it dead, stopped, slow, or answering nonsense. When the queue is
full the oldest steps are dropped, and counted. A signal that is malformed, expired, for another run or another time is
ignored. After a fork the child starts with empty queues and threads of its own.

Use it from one thread. Pass Python numbers: a tensor is converted in a background thread, which waits for its device.
"""

import contextlib
import functools
import json
import math
import os
import queue
import random
import socket
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final, ParamSpec
from urllib.parse import urlencode

DEFAULT_SOCKET: Final = "/run/fryer/watchdog.sock"
ACTIONS: Final = ("veto", "save", "rollback", "exclude", "drain", "stop")
MOST_STEPS: Final = 4096
"""Waiting to be posted: more than an hour of steps of a second."""
MOST_TOLD: Final = 1024
"""Other records waiting: beginnings, checkpoints, answers, ends."""
BATCH: Final = 256
REPLY_BYTES: Final = 1 << 20
POST_SECONDS: Final = 10.0
"""Deadline of one request; the daemon answers once it is on disk, a second at most when it is well."""
POST_PERIOD_SECONDS: Final = 2.0
"""Steps are gathered for so long, or until a batch is full; all else goes at once. Detectors look every 5 s."""
WAIT_SECONDS: Final = 20.0
"""How long the daemon holds a request for a signal when there is none."""
POLL_PERIOD_SECONDS: Final = 0.05
BACKOFF_SECONDS: Final = (0.25, 10.0)
"""Waits between attempts on a daemon that does not answer: the first, and the longest."""
HEARTBEAT_SECONDS: Final = 10.0
"""Without a step for so long, the last one is posted again with the section that is open: a hang says where it is."""
LONGEST_SIGNAL_SECONDS: Final = 7 * 86400.0
_STEPS, _CHECKPOINTS, _ACKS, _BEGIN, _END = "steps", "checkpoints", "acks", "runs/begin", "runs/end"
_FINAL = frozenset({400, 404, 405, 413, 422})
"""Statuses that the same request would get again."""
_P = ParamSpec("_P")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """What the run is asked to do."""

    id: str = ""
    action: str = "none"
    """``none veto save rollback exclude drain stop``."""
    reason: str = ""
    confidence: float = 0.0
    created_at: float = 0.0
    expires_at: float = 0.0
    not_after_step: int | None = None
    """Void once the run is past this step."""
    incident: str | None = None
    until: float = math.inf
    """On this process' monotonic clock, so that a clock that is set does not matter."""


NONE: Final = Signal()
"""Go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientHealth:
    """How the way to the daemon is."""

    is_connected: bool
    """The last request was answered."""
    num_posted: int
    num_dropped: int
    """Records that found the queue full; the oldest steps go first."""
    num_refused: int
    """Records that the daemon would not have."""
    problem: str
    """Of the last request that failed; empty when none did."""


@dataclass(slots=True)
class _Outbox:
    """What waits to be posted. Filled by the trainer's thread, emptied by the posting one; each operation is atomic."""

    steps: "deque[tuple[int, str, dict[str, Any]]]"
    told: "deque[tuple[int, str, dict[str, Any]]]" = field(default_factory=lambda: deque(maxlen=MOST_TOLD))
    wake: "queue.SimpleQueue[None]" = field(default_factory=queue.SimpleQueue)
    number: "count[int]" = field(default_factory=count)
    num_dropped: int = 0
    is_sending: bool = False

    @property
    def is_busy(self) -> bool:
        return bool(self.steps or self.told or self.is_sending)

    def put(self, kind: str, record: dict[str, Any]) -> None:
        line = self.steps if kind == _STEPS else self.told
        if len(line) == line.maxlen:
            self.num_dropped += 1
        line.append((next(self.number), kind, record))
        if self.wake.empty():  # put() of a SimpleQueue may even be called from a signal's handler
            self.wake.put(None)

    def gather(self, until: float) -> None:
        """Wait for more steps until `until` (monotonic), or a full batch, or anything else to post."""
        self.is_sending = False
        while not self.told and len(self.steps) < BATCH and (left := until - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                self.wake.get(timeout=left)

    def take(self) -> "tuple[str, list[dict[str, Any]]]":
        """The oldest records of one kind, in order; the kind is empty when there are none."""
        self.is_sending = True
        kind = ""
        batch: list[dict[str, Any]] = []
        while len(batch) < BATCH:
            heads = [(*line[0][:2], line) for line in (self.told, self.steps) if line]
            if not heads:
                break
            _, next_kind, line = min(heads, key=lambda head: head[0])
            if batch and (next_kind != kind or kind in (_BEGIN, _END)):
                break
            kind = next_kind
            batch.append(line.popleft()[2])
        self.is_sending = bool(batch)
        return kind, batch


def _fail_open(method: Callable[_P, None]) -> Callable[_P, None]:
    """What goes wrong in `method` is not told to training."""

    @functools.wraps(method)
    def safely(*arguments: _P.args, **named: _P.kwargs) -> None:
        # the boundary to training, which survives whatever is wrong here: arguments of odd types, no more threads
        with contextlib.suppress(Exception):
            method(*arguments, **named)

    return safely


class Client:
    """One rank of one run. Only `end` waits, and only as long as it is told to."""

    def __init__(
        self,
        *,
        run: str,
        rank: int = 0,
        world_size: int = 1,
        socket_path: "str | os.PathLike[str]" = DEFAULT_SOCKET,
        most_steps: int = MOST_STEPS,
    ) -> None:
        """Connects to nothing yet."""
        self._who: Final = {"run": _text(run)[:200] or "unnamed", "rank": int(rank)}
        self._world_size = max(1, int(world_size))
        self._path = os.fspath(socket_path)
        self._most_steps = max(1, most_steps)
        self._renew()
        _CLIENTS.add(self)

    def _renew(self) -> None:
        """Empty queues and no threads: at the start, and in a child after a fork."""
        self._outbox = _Outbox(deque(maxlen=self._most_steps))
        self._is_started = self._is_over = False
        self._begun: dict[str, Any] | None = None
        self._last_step: dict[str, Any] | None = None
        self._step = -1
        self._stepped = self._marked = time.monotonic()
        self._times: dict[str, float] = {}
        self._open: list[str] = []
        self._signal = NONE
        self._jitter = random.Random()  # noqa: S311 - its own: training may rely on the state of the global one
        self._answered: deque[str] = deque(maxlen=64)
        self._daemon: object = None
        self._is_connected = False
        self._num_posted = self._num_refused = 0
        self._problem = ""

    @_fail_open
    def begin(self, *, stage: str = "", resume_step: int = 0) -> None:
        """The run begins, or goes on after a restart or at another stage."""
        now = time.monotonic()
        self._stepped = self._marked = now
        self._times, self._step, self._is_over, self._last_step = {}, int(resume_step) - 1, False, None
        self._begun = self._who | {
            "world_size": self._world_size,
            "at": time.time(),
            "stage": _text(stage),
            "resume_step": max(0, int(resume_step)),
            "pid": os.getpid(),
        }
        self._put(_BEGIN, self._begun)

    @_fail_open
    def step(
        self,
        step: int,
        *,
        seconds: float | None = None,
        tokens: int | None = None,
        loss: float | None = None,
        grad_norm: float | None = None,
        lr: float | None = None,
        times: Mapping[str, float] | None = None,
        batch_id: str = "",
    ) -> None:
        """A step is done. `seconds`: since the last one, when not given; `times` add to the measured sections."""
        now = time.monotonic()
        spent, self._times = self._times, {}
        if times:
            spent |= times
        record = {
            "step": step,
            "at": time.time(),
            "seconds": now - self._stepped if seconds is None else seconds,
            "tokens": tokens,
            "loss": loss,
            "grad_norm": grad_norm,
            "lr": lr,
            "times": spent,
            "batch_id": batch_id,
            "open_section": self._open[-1] if self._open else "",
        }
        self._stepped, self._step = now, step
        self._put(_STEPS, record)

    def section(self, name: str) -> "_Section":
        """Times a part of the step: ``with client.section("forward"):``. Within another, it is taken off that one."""
        return _Section(self, name)

    @_fail_open
    def checkpoint(
        self, step: int, path: str, state: str, *, seconds: float | None = None, num_bytes: int | None = None
    ) -> None:
        """A checkpoint became ``writing complete verified good suspect bad``."""
        record = {"step": int(step), "at": time.time(), "path": _text(path), "state": _text(state)}
        self._put(_CHECKPOINTS, self._who | record | {"seconds": _amount(seconds), "num_bytes": _whole(num_bytes)})

    def poll(self) -> Signal:
        """The signal that holds now, or `NONE`. From memory."""
        signal = self._signal
        if signal is NONE or signal.id in self._answered:
            return NONE
        is_past = signal.not_after_step is not None and self._step > signal.not_after_step
        if is_past or time.monotonic() > signal.until:
            self.ack(signal, "expired")
            return NONE
        return signal

    @_fail_open
    def ack(self, signal: Signal, result: str, detail: str = "") -> None:
        """Say what came of a signal: ``acting done refused expired``. From then on `poll` does not return it."""
        self._answered.append(signal.id)
        if self._signal.id == signal.id:
            self._signal = NONE
        record = {"signal_id": signal.id, "at": time.time(), "result": _text(result), "detail": _text(detail)}
        self._put(_ACKS, self._who | record)

    @_fail_open
    def end(self, reason: str = "", *, wait_seconds: float = 2.0) -> None:
        """The run is over; waits until all is posted, and at most so long. When it is, the threads end too."""
        self._is_over = True
        self._put(_END, self._who | {"at": time.time(), "reason": _text(reason)})
        deadline = time.monotonic() + wait_seconds
        outbox = self._outbox
        while outbox.is_busy and time.monotonic() < deadline:
            time.sleep(0.005)
        if not outbox.is_busy:
            self._outbox = _Outbox(deque(maxlen=self._most_steps), num_dropped=outbox.num_dropped)
            self._is_started, self._signal = False, NONE
            outbox.wake.put(None)

    @property
    def health(self) -> ClientHealth:
        """How it goes."""
        return ClientHealth(
            is_connected=self._is_connected,
            num_posted=self._num_posted,
            num_dropped=self._outbox.num_dropped,
            num_refused=self._num_refused,
            problem=self._problem,
        )

    def _put(self, kind: str, record: dict[str, Any]) -> None:
        self._outbox.put(kind, record)
        if not self._is_started:
            self._is_started = True  # also when threads can't be had: the queue is bounded
            for work in (self._post_on, self._poll_on):
                threading.Thread(target=work, args=(self._outbox,), name=f"fryer{work.__name__}", daemon=True).start()

    def _post_on(self, outbox: _Outbox) -> None:
        """Post what is in the outbox, for as long as it is this process'."""
        while outbox is self._outbox:
            try:
                outbox.wake.get(timeout=HEARTBEAT_SECONDS)
            except queue.Empty:
                self._beat()
            kind, batch = outbox.take()
            while batch:
                until = time.monotonic() + POST_PERIOD_SECONDS
                self._insist(kind, batch)
                outbox.gather(until)
                kind, batch = outbox.take()

    def _beat(self) -> None:
        """A rank that makes no steps still says that it lives, and in which section it is."""
        open_now = tuple(self._open)
        if self._last_step is not None and not self._is_over:
            self._deliver(_STEPS, [self._last_step | {"open_section": open_now[-1] if open_now else ""}])
        elif self._begun is not None and not self._is_over:
            self._deliver(_BEGIN, [self._begun])

    def _insist(self, kind: str, batch: list[dict[str, Any]]) -> None:
        """Deliver, as often as it takes."""
        if kind == _STEPS:
            batch = [self._who | _clean(record) for record in batch]
            self._last_step = batch[-1]
        wait = BACKOFF_SECONDS[0]
        while not self._deliver(kind, batch):
            time.sleep(wait * self._jitter.uniform(0.5, 1.0))  # so that ranks don't come all at once
            wait = min(2 * wait, BACKOFF_SECONDS[1])

    def _deliver(self, kind: str, batch: list[dict[str, Any]]) -> bool:
        """Post once; False: send it again."""
        body = batch[0] if kind in (_BEGIN, _END) else {kind: batch}
        status, reply = self._ask("POST", f"/v1/{kind}", body, POST_SECONDS)
        if status in _FINAL:
            self._num_refused += len(batch)
            self._problem = f"HTTP {status}: {str(reply.get('error'))[:500]}"
            return True
        if status != 200 or reply.get("type") != "kept":
            return False
        self._num_posted += len(batch)
        daemon, self._daemon = self._daemon, reply.get("started_at")
        if daemon not in (None, self._daemon) and kind != _BEGIN and self._begun is not None and not self._is_over:
            self._deliver(_BEGIN, [self._begun])  # another daemon, which may know nothing of this run
        return True

    def _poll_on(self, outbox: _Outbox) -> None:
        """Keep the newest signal in memory, for as long as the outbox is this process'."""
        known, wait = "", BACKOFF_SECONDS[0]
        while outbox is self._outbox:
            query = urlencode({"run": self._who["run"], "known": known[:200], "wait_seconds": WAIT_SECONDS})
            status, reply = self._ask("GET", f"/v1/signal?{query}", None, WAIT_SECONDS + POST_SECONDS)
            if status == 200 and reply.get("type") == "signal" and "signal" in reply:
                known, signal = self._read(reply)
                self._signal = signal if outbox is self._outbox else NONE
                wait = BACKOFF_SECONDS[0]
                time.sleep(POLL_PERIOD_SECONDS)
            else:
                time.sleep(wait * self._jitter.uniform(0.5, 1.0))
                wait = min(2 * wait, BACKOFF_SECONDS[1])

    def _read(self, reply: dict[str, Any]) -> tuple[str, Signal]:
        """The id in the reply, and the signal when it is one that this run is to act on."""
        given = reply["signal"]
        if not isinstance(given, dict) or not isinstance(given.get("id"), str):
            return "", NONE
        name, now = given["id"], time.monotonic()
        try:
            created, expires, confidence = (float(given[key]) for key in ("created_at", "expires_at", "confidence"))
            left = expires - float(reply["at"])  # both by the daemon's clock
            last, incident = given.get("not_after_step"), given.get("incident")
            is_ours = given.get("run", "") in ("", self._who["run"]) and given.get("is_observed_only") is False
        except (KeyError, TypeError, ValueError, OverflowError):
            return name, NONE
        if given.get("action") not in ACTIONS or not is_ours or not 0 < left <= LONGEST_SIGNAL_SECONDS:
            return name, NONE
        if not name or name in self._answered or not (last is None or type(last) is int):
            return name, NONE
        if self._signal.id == name:
            return name, self._signal  # it does not live longer by being read again
        return name, Signal(
            id=name,
            action=given["action"],
            reason=_text(given.get("reason")),
            confidence=confidence,
            created_at=created,
            expires_at=expires,
            not_after_step=last,
            incident=incident if isinstance(incident, str) else None,
            until=now + left,
        )

    def _ask(self, method: str, target: str, body: object, seconds: float) -> tuple[int, dict[str, Any]]:
        """Status and document of one request; status 0: there was no usable answer."""
        try:
            data = b"" if body is None else json.dumps(body, allow_nan=False).encode()
            status, text = _exchange(self._path, method, target, data, time.monotonic() + seconds)
            reply = json.loads(text)
            if not isinstance(reply, dict):
                raise ValueError(f"a {type(reply).__name__} instead of a document")
        except Exception as error:  # noqa: BLE001 - the boundary to the daemon: the thread survives whatever it answers
            self._is_connected, self._problem = False, f"{type(error).__name__}: {error}"[:500]
            return 0, {}
        self._is_connected = True
        return status, reply


class _Section:
    """Times are exclusive: at each border, what passed since the last one goes to the section that was open."""

    __slots__ = ("_client", "_name")

    def __init__(self, client: Client, name: str) -> None:
        self._client, self._name = client, name if type(name) is str else _text(name)

    def __enter__(self) -> None:
        self._border()
        self._client._open.append(self._name)

    def __exit__(self, *_: object) -> None:
        self._border()
        if self._client._open:
            self._client._open.pop()

    def _border(self) -> None:
        client, now = self._client, time.monotonic()
        if client._open:
            name = client._open[-1]
            client._times[name] = client._times.get(name, 0.0) + now - client._marked
        client._marked = now


def _exchange(path: str, method: str, target: str, data: bytes, deadline: float) -> tuple[int, bytes]:
    """One HTTP/1.1 request on a connection of its own; raises OSError or ValueError, at the deadline at the latest."""
    head = f"{method} {target} HTTP/1.1\r\nHost: fryer\r\nConnection: close\r\nContent-Type: application/json\r\n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as end:
        end.settimeout(max(0.001, deadline - time.monotonic()))
        end.connect(path)
        end.sendall(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        answer = bytearray()
        while chunk := end.recv(1 << 16):
            answer += chunk
            if len(answer) > REPLY_BYTES or time.monotonic() > deadline:
                raise ValueError(f"an answer of more than {REPLY_BYTES} bytes, or past its deadline")
            end.settimeout(max(0.001, deadline - time.monotonic()))
    fields, _, body = bytes(answer).partition(b"\r\n\r\n")  # cut off: then it is no JSON document
    if not fields.startswith(b"HTTP/1."):
        raise ValueError("an answer that is no HTTP")
    return int(fields[9:12]), body


def _clean(record: dict[str, Any]) -> dict[str, Any]:
    """A step as the daemon accepts it, whatever the trainer passed."""
    times = {_text(name)[:64] or "?": _amount(value) for name, value in list(record["times"].items())[:32]}
    return {
        "step": _whole(record["step"]) or 0,
        "at": record["at"],
        "seconds": _amount(record["seconds"]),
        "tokens": _whole(record["tokens"]),
        "loss": _number(record["loss"]),
        "grad_norm": _number(record["grad_norm"]),
        "lr": _number(record["lr"]),
        "times": {name: value for name, value in times.items() if value is not None},
        "batch_id": _text(record["batch_id"]),
        "open_section": _text(record["open_section"]),
    }


def _number(value: object) -> float | str | None:
    """JSON has no NaN: strings stand for it. None when it is no number."""
    try:
        read = float(value)  # type: ignore[arg-type]
    except Exception:  # noqa: BLE001 - a tensor on a broken device raises what it likes
        return None
    if math.isnan(read):
        return "NaN"
    return read if math.isfinite(read) else ("Infinity" if read > 0 else "-Infinity")


def _amount(value: object) -> float | None:
    read = _number(value)
    return read if isinstance(read, float) and 0 <= read <= 1e11 else None


def _whole(value: object) -> int | None:
    read = _number(value)
    return int(read) if isinstance(read, float) and 0 <= read < 2**53 else None


def _text(value: object) -> str:
    """Printable, and not longer than the daemon takes."""
    try:
        text = str(value)
    except Exception:  # noqa: BLE001 - as above
        return ""
    return "".join(c for c in text[:1000] if c >= " " and c != "\x7f" and not "\ud800" <= c <= "\udfff")


_CLIENTS: "weakref.WeakSet[Client]" = weakref.WeakSet()


def _after_fork() -> None:
    for client in list(_CLIENTS):
        client._renew()


os.register_at_fork(after_in_child=_after_fork)
