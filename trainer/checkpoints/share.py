"""One rank's share of a durable checkpoint, and its writing: here, or in a forked process while training goes on.

A forked writer sees memory as it was at the fork, so what it writes is of that step, however far training has got.
Megatron's own writer starts a spawned manager process and one process a file; those outlive a trainer that is killed
and go on writing into its directory. This one is a single process that ends with its parent.
"""

import ctypes
import multiprocessing
import os
import pickle
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch
from torch.distributed.checkpoint.filesystem import SerializationFormat, _write_item

from trainer.checkpoints.hashing import HashingStream
from trainer.checkpoints.manifest import FileEntry

NICENESS = 10
"""Of a background writer: training comes first."""
_PR_SET_PDEATHSIG = 1
"""linux/prctl.h."""
_NOT_FOR_WRITERS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
"""A scheduler sends them to all processes of a job: the trainer ends then, after its last save is whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one rank writes."""

    directory: Path
    buckets: Sequence[Any] = ()
    """Each (path, name, (byte items, tensor items)), on the processor's side; tensors may be views of live ones."""
    transforms: Any = None
    """Of torch's writer."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """Whole files by name."""
    objects: Mapping[str, Any] = field(default_factory=dict)
    """Whole files by name, through torch.save."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What came of it."""

    results: Sequence[Any] = ()
    """torch's WriteResult of each item."""
    files: Mapping[str, FileEntry] = field(default_factory=dict)
    problem: str = ""


def write(share: Share) -> Written:
    """Write all of it, each file down to the disk. A failure of the file system is a result, no exception."""
    results: list[Any] = []
    files: dict[str, FileEntry] = {}
    name = ""
    try:
        for path, name, (byte_items, tensor_items) in share.buckets:
            with Path(path).open("wb") as raw:
                stream = HashingStream(raw)
                results += [_write(share, stream, name, *item) for item in (*byte_items, *tensor_items)]
                files[name] = _close(stream, raw)
        for name, value in share.objects.items():
            with (share.directory / name).open("wb") as raw:
                stream = HashingStream(raw)
                torch.save(value, stream)  # type: ignore[arg-type]  # it only writes
                files[name] = _close(stream, raw)
        for name, text in share.texts.items():
            with (share.directory / name).open("wb") as raw:
                stream = HashingStream(raw)
                stream.write(text.encode())
                files[name] = _close(stream, raw)
    # torch's zip writer raises RuntimeError in place of an OSError that its stream raised
    except (OSError, RuntimeError) as error:
        return Written(problem=f"{name} can't be written ({_why(error)})")
    return Written(results=results, files=files)


def _write(share: Share, stream: HashingStream, name: str, item: Any, data: Any) -> Any:
    # torch.save would write all of the memory that a view is a view of
    if isinstance(data, torch.Tensor) and data.untyped_storage().nbytes() != data.nbytes:
        data = data.clone()
    return _write_item(
        share.transforms,
        cast("Any", stream),
        data,
        item,
        name,
        serialization_format=SerializationFormat.TORCH_SAVE,
    )


def _close(stream: HashingStream, raw: BinaryIO) -> FileEntry:
    stream.flush()
    os.fsync(raw.fileno())
    return stream.entry()


def _why(error: BaseException) -> str:
    """The system's words, also where another library's error lies over them."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return str(error).splitlines()[0]


class BackgroundWriter:
    """A forked process that writes one share."""

    def __init__(self, share: Share) -> None:
        # anonymous memory that both processes see: no queue whose pipe may fill, no third process
        self._answer = os.memfd_create("fryer-save")
        self._process = multiprocessing.get_context("fork").Process(
            target=_write_and_tell, args=(share, self._answer, os.getpid())
        )
        # a signal between the fork and the writer's own word on signals waits
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _NOT_FOR_WRITERS)
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def is_done(self) -> bool:
        """Whether it has ended; doesn't block."""
        return not self._process.is_alive()

    def result(self) -> Written:
        """What came of it; blocks until it has ended. Once only."""
        self._process.join()
        try:
            size = os.fstat(self._answer).st_size
            code = self._process.exitcode or 0
            if code < 0:
                why = ", as the system does where memory is short" if -code == signal.SIGKILL else ""
                return Written(problem=f"its writer was ended by signal {-code}{why}")
            if code or not size:
                return Written(problem=f"its writer ended with code {code} and no answer")
            found = pickle.loads(os.pread(self._answer, size, 0))  # noqa: S301 - our own child's, from memory
            assert isinstance(found, Written)
            return found
        finally:
            os.close(self._answer)


def _write_and_tell(share: Share, answer: int, parent: int) -> None:
    _become_background(parent)
    # OpenMP's threads did not come along: a copy that would share its work with them waits for ever
    torch.set_num_threads(1)
    data = memoryview(pickle.dumps(write(share)))
    while data:
        data = data[os.write(answer, data) :]


def _become_background(parent: int) -> None:
    for number in _NOT_FOR_WRITERS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _NOT_FOR_WRITERS)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we asked to be told
        os._exit(1)
    os.nice(NICENESS)
