"""The process of one rank: it joins the others, measures, leaves signs of life, and sends rows if it is rank 0."""

import ctypes
import os
import signal
import sys
from datetime import timedelta
from multiprocessing.connection import Connection
from tempfile import TemporaryDirectory

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import PrefixStore  # torch.distributed shows it, untyped

from fryer.collectives.cases import CollectiveCase
from fryer.collectives.engine import Ranks, measure
from fryer.collectives.exchange import Exchange
from fryer.collectives.notes import Ended, Measured, RankTask, Stepped
from fryer.collectives.roll import ALONE, BROKE, DONE
from fryer.collectives.signs import Signer, last_state, open_store, sign_key
from fryer.collectives.transport import LogReader
from watchdog.vocabulary.errors import UsageError

_PR_SET_PDEATHSIG = 1
_LEAST_SECONDS = 1.0
_NO_MEMORY = ("out of memory", "can't allocate memory")
"""What torch says on GPUs, and on processors."""


def work(connection: Connection, task: RankTask) -> None:
    """Entry of the process: its last note is `Ended`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.dup2(sys.stderr.fileno(), 1)  # libraries print; a worker's stdout carries messages and nothing else
    os.environ.update(task.environment)
    try:
        with TemporaryDirectory(prefix="fryer-nccl-") as logs:
            ended = _Rank(connection, task, logs).run()
        connection.send(ended)
    except (BrokenPipeError, ConnectionResetError):
        return  # the worker is gone: nobody is left to tell
    finally:
        connection.close()


class _Rank:
    def __init__(self, connection: Connection, task: RankTask, logs: str) -> None:
        self._connection = connection
        self._task = task
        self._log = LogReader(logs, is_nccl=task.backend == "nccl")

    def run(self) -> Ended:
        """Measure; whatever goes wrong becomes the last note."""
        task = self._task
        try:
            meeting = task.meeting
            store = open_store(meeting)
            self._signer = Signer(store, sign_key(meeting, meeting.me, task.local), meeting.patience)
        except RuntimeError as why:
            return Ended(ALONE, _gist(why))
        state, what = self._measure()
        self._signer.end(last_state(is_last_part=task.is_last_part) if state == DONE else state, what)
        return Ended(state, what)

    def _measure(self) -> tuple[str, str]:
        try:
            self._step("the meeting of ranks")
            ranks = self._join()
            for row in measure(ranks, self._task.cases, self._task.repeats):
                if self._task.rank == 0:
                    self._connection.send(Measured(row))
            self._step("the end")
            dist.barrier()
            dist.destroy_process_group()
        except (UsageError, ValueError, MemoryError) as why:
            return BROKE, _gist(why)
        except RuntimeError as why:  # torch names no finer error for a lost peer
            if any(sign in str(why) for sign in _NO_MEMORY):
                largest = max(case.size_bytes for case in self._task.cases)
                return BROKE, f"no memory for two buffers of {largest} B: measure smaller sizes ({_gist(why)})"
            return ALONE, _gist(why)
        return DONE, ""

    def _join(self) -> Ranks:
        task, meeting = self._task, self._task.meeting
        device = self._open_device()
        # Who is missing is found out long before this; it ends what nobody else has ended.
        last = timedelta(seconds=meeting.seconds + _LEAST_SECONDS)
        store = open_store(meeting)
        store.set_timeout(last)
        dist.init_process_group(
            "gloo",
            store=PrefixStore(f"{meeting.key}/part{task.part}", store),
            rank=task.rank,
            world_size=task.num_ranks,
            timeout=last,
        )
        assert dist.group.WORLD is not None
        data = dist.new_group(backend=task.backend, timeout=last)
        return Ranks(
            rank=task.rank,
            num_ranks=task.num_ranks,
            exchange=Exchange(rank=task.rank, num_ranks=task.num_ranks, group=data),
            control=dist.group.WORLD,
            device=device,
            deadline=meeting.deadline,
            arrive=self._step,
            transport=self._transport,
        )

    def _open_device(self) -> torch.device:
        torch.set_num_threads(self._task.num_threads)
        if self._task.gpu is None:
            return torch.device("cpu")
        os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"  # as NVML counts
        os.environ["TORCH_NCCL_ASYNC_ERROR_HANDLING"] = "0"  # else its watchdog ends the process and tells us nothing
        os.environ.update(self._log.environment())
        torch.cuda.set_device(self._task.gpu)
        return torch.device("cuda", self._task.gpu)

    def _step(self, what: str) -> None:
        self._signer.step(what)
        self._connection.send(Stepped(what))

    def _transport(self, case: CollectiveCase) -> str:
        return self._log.transport(case) if self._task.rank == 0 else ""


def _gist(why: BaseException) -> str:
    """The first line of an error, without the source file that torch and gloo put in front."""
    text = (str(why).strip().splitlines() or [type(why).__name__])[0]
    return text.partition("] ")[2][:300] if text.startswith("[") and "] " in text else text[:300]
