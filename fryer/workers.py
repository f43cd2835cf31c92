"""One process a device (or one for the node) that runs a burn and sends each record to the runner over a pipe.

Processes are forked from a server that has torch loaded, so a new one costs a fork and not an import, and a device that
hangs or crashes its process takes nothing else with it. This module is the process's side.
"""

import ctypes
import signal
import time
from collections.abc import Iterator
from ctypes import c_double
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event

from fryer.burns import BURNS, Task
from fryer.devices import Device
from fryer.records import Problem, Record
from watchdog.clock import RunClock
from watchdog.simulator.node import SimulatedNode
from watchdog.vocabulary.verdicts import Verdict

CPU_MEMORY_RATIO = 0.02
"""Share of the host's free memory that burns use on its processors, all sockets together. It is also everybody else's,
and its patterns are walked at a hundredth of an HBM's speed. GPUs: `Burn.gpu_memory_ratio`."""

_PR_SET_PDEATHSIG = 1
_LOST = ("device is lost", "uncorrectable ecc error", "gpu has fallen off")
"""What CUDA says when the device has failed (cudaErrorECCUncorrectable 214 and the like). An illegal access or a failed
launch may be the tool's own fault: it is an ERROR, beside whatever NVML and Xids say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSpec:
    """How a worker gets at a device. Small and picklable."""

    name: str
    kind: str
    """``cuda``, ``cpu`` or ``simulated``."""
    processors: tuple[int, ...] = ()
    cuda_ordinal: int | None = None
    simulated: SimulatedNode | None = None
    index: int = 0
    """NVML index, for a simulated device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a worker is to do."""

    burn: str
    specs: tuple[DeviceSpec, ...]
    clock: RunClock
    seconds: float
    seed: int
    dtypes: tuple[str, ...]
    memory_ratio: float
    rank: int
    num_ranks: int
    rendezvous: str


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker's devices are open and the burn begins."""


@dataclass(frozen=True, slots=True)
class Done:
    """The burn ended by itself."""


Message = Ready | Done | Record


def open_device(spec: DeviceSpec, clock: RunClock) -> Device:
    """The device of a spec, opened. Imports torch, so it is called in workers only."""
    if spec.kind == "cuda":
        from fryer.devices.cuda import CudaDevice  # noqa: PLC0415 - heavy

        if spec.cuda_ordinal is None:
            raise RuntimeError("NVML knows this GPU and CUDA does not show it: see dmesg, and nvidia-smi -q")
        device: Device = CudaDevice(spec.name, clock, spec.cuda_ordinal, spec.processors)
    elif spec.kind == "simulated":
        from fryer.devices.simulated import SimulatedDevice  # noqa: PLC0415 - heavy

        assert spec.simulated is not None
        device = SimulatedDevice(spec.name, clock, spec.simulated, spec.index)
    else:
        from fryer.devices.cpu import CpuDevice  # noqa: PLC0415 - heavy

        device = CpuDevice(spec.name, clock, spec.processors)
    device.open()
    return device


def work(connection: Connection, stop: Event, pulse: c_double, order: Order) -> None:
    """Entry of the process: run the burn, send what it yields, end when told or when nobody listens.

    `pulse` is set to the time of each look at `stop`, so that a burn that hangs shows.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: only the runner acts on it
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    try:
        for message in _messages(order, _Stop(stop, pulse)):
            connection.send(message)
        connection.send(Done())
    except (BrokenPipeError, ConnectionResetError):
        return  # the runner is gone: nobody is left to tell
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class _Stop:
    """Whether the run is to end; each look is a sign of life."""

    event: Event
    pulse: c_double

    def __call__(self) -> bool:
        self.pulse.value = time.monotonic()
        return self.event.is_set()


def _messages(order: Order, stop: _Stop) -> Iterator[Message]:
    devices: list[Device] = []
    try:
        devices = [open_device(spec, order.clock) for spec in order.specs]
        yield Ready()
        yield from BURNS[order.burn].run(devices, _task(order, stop))
    except Exception as error:  # noqa: BLE001 - the run survives whatever a driver throws
        yield _problem(order.specs[0].name if len(order.specs) == 1 else "", order.burn, error)
    for device in devices:
        device.close()


def _task(order: Order, stop: _Stop) -> Task:
    return Task(
        seconds=order.seconds,
        seed=order.seed,
        dtypes=order.dtypes,
        memory_ratio=order.memory_ratio,
        stop=stop,
        rank=order.rank,
        num_ranks=order.num_ranks,
        rendezvous=order.rendezvous,
    )


def _problem(device: str, burn: str, error: Exception) -> Problem:
    """`device` is empty where a process holds all of them: the error does not tell which one it was."""
    text = " ".join(str(error).split())[:500]
    subject = device or "the devices of the node"
    if any(sign in text.lower() for sign in _LOST):
        return Problem(
            device=device,
            burn=burn,
            case="",
            verdict=Verdict.FAIL,
            code="device_lost",
            message=f"{subject} failed under {burn}: {text}",
        )
    return Problem(
        device=device,
        burn=burn,
        case="",
        verdict=Verdict.ERROR,
        code="crashed",
        message=f"{burn} on {subject} broke: {type(error).__name__}: {text}",
    )
