"""Which GPUs CUDA shows to a process of ours, and in which order. NVML answers neither.

CUDA may number GPUs fastest first where NVML numbers them by PCI address, hides those that CUDA_VISIBLE_DEVICES leaves
out, and shows the slices of a GPU in MIG mode. So the driver itself is asked (CUDA Driver API, "Device Management"),
without torch and without making a context, and in a process of its own: `cuInit` may block for good on a wedged GPU.
"""

import ctypes
import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from uuid import UUID

from watchdog.vocabulary.errors import SourceFailed, SourceMissing

DEADLINE_SECONDS = 60.0
"""`cuInit` takes up to some ten seconds on a node of eight GPUs without persistence mode."""
_NO_DEVICE = 100
"""CUDA_ERROR_NO_DEVICE."""
_MULTICAST_SUPPORTED = 132
"""CU_DEVICE_ATTRIBUTE_MULTICAST_SUPPORTED, since CUDA 12.1."""
_TEXT_BYTES = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class CudaEntry:
    """One device as CUDA shows it; its place in the list is its ordinal."""

    uuid: str
    """Without ``GPU-`` or ``MIG-``: 36 characters. Of the slice, where it is one."""
    name: str
    pci_bus_id: str
    """``0000:1b:00.0``; of the GPU that a slice belongs to."""
    memory_bytes: int
    has_multicast: bool | None = None
    """Multicast objects over NVSwitch, which NVLS needs; None: this driver doesn't say."""


def list_cuda(deadline_seconds: float = DEADLINE_SECONDS) -> tuple[CudaEntry, ...]:
    """All devices that CUDA shows, by ordinal. Blocks up to the deadline.

    Raises `SourceMissing` where there is no CUDA driver and `SourceFailed` where it does not start or does not answer.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__], capture_output=True, text=True, check=False, timeout=deadline_seconds
        )
    except subprocess.TimeoutExpired as late:
        raise SourceFailed(
            f"the CUDA driver did not say within {deadline_seconds:g} s which GPUs it has: one of them "
            f"hangs; look for Xid lines in the kernel log"
        ) from late
    if done.returncode != 0:
        words = done.stderr.strip().splitlines()
        raise SourceFailed(
            f"asking the CUDA driver for its GPUs failed with exit code {done.returncode}: "
            f"{words[-1] if words else 'it said nothing'}"
        )
    answer = json.loads(done.stdout)
    if "missing" in answer:
        raise SourceMissing(answer["missing"])
    if "failed" in answer:
        raise SourceFailed(answer["failed"])
    return tuple(CudaEntry(**entry) for entry in answer["entries"])


def read_driver(library: str = "libcuda.so.1") -> tuple[CudaEntry, ...]:
    """As `list_cuda`, in this process, by way of `library`; may block for good."""
    try:
        cuda = ctypes.CDLL(library)
    except OSError as why:
        raise SourceMissing(f"no CUDA driver: {why}") from why
    count = ctypes.c_int()
    code = cuda.cuInit(0)
    if code == _NO_DEVICE:
        return ()
    _check(code, "cuInit")
    _check(cuda.cuDeviceGetCount(ctypes.byref(count)), "cuDeviceGetCount")
    return tuple(_entry(cuda, ordinal) for ordinal in range(count.value))


def _entry(cuda: ctypes.CDLL, ordinal: int) -> CudaEntry:
    device = ctypes.c_int()
    uuid = (ctypes.c_ubyte * 16)()
    name, bus_id = ctypes.create_string_buffer(_TEXT_BYTES), ctypes.create_string_buffer(_TEXT_BYTES)
    memory = ctypes.c_size_t()
    _check(cuda.cuDeviceGet(ctypes.byref(device), ordinal), "cuDeviceGet")
    _check(cuda.cuDeviceGetUuid_v2(uuid, device), "cuDeviceGetUuid_v2")
    _check(cuda.cuDeviceGetName(name, _TEXT_BYTES, device), "cuDeviceGetName")
    _check(cuda.cuDeviceGetPCIBusId(bus_id, _TEXT_BYTES, device), "cuDeviceGetPCIBusId")
    _check(cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device), "cuDeviceTotalMem_v2")
    return CudaEntry(
        uuid=str(UUID(bytes=bytes(uuid))),
        name=name.value.decode(),
        pci_bus_id=bus_id.value.decode().lower(),
        memory_bytes=memory.value,
        has_multicast=_has_multicast(cuda, device),
    )


def _has_multicast(cuda: ctypes.CDLL, device: ctypes.c_int) -> bool | None:
    value = ctypes.c_int()
    try:
        code = cuda.cuDeviceGetAttribute(ctypes.byref(value), _MULTICAST_SUPPORTED, device)
    except AttributeError:
        return None
    return None if code else bool(value.value)  # an older driver knows no such attribute


def _check(code: int, function: str) -> None:
    """Raise `SourceFailed` for a result other than CUDA_SUCCESS."""
    if code:
        raise SourceFailed(
            f"{function} failed with CUDA error {code}: see CUresult in the CUDA Driver API; 802 is a "
            f"node whose fabric manager does not run, 3 and 999 want a driver reload"
        )


def _answer() -> dict[str, object]:
    try:
        return {"entries": [asdict(entry) for entry in read_driver()]}
    except SourceMissing as why:
        return {"missing": str(why)}
    except SourceFailed as why:
        return {"failed": str(why)}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_answer()))
