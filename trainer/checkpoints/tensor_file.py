"""Writes tensors as a safetensors file, one after another: nothing is copied but the tensor that is being written.

The format: eight bytes with the length of a JSON header, little-endian; the header, which gives each name its dtype,
shape and place; the raw bytes. Reading is the `safetensors` library's.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod

import torch

from trainer.checkpoints.hashing import HashingStream

DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A tensor of the file before its values are there."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    values: Callable[[], torch.Tensor]
    """Called when it is its turn."""

    @property
    def num_bytes(self) -> int:
        """Of the values."""
        return prod(self.shape) * self.dtype.itemsize


def slot_of(tensor: torch.Tensor) -> Slot:
    """Of a tensor that is there."""
    return Slot(dtype=tensor.dtype, shape=tuple(tensor.shape), values=lambda: tensor)


def write_tensors(stream: HashingStream, slots: Mapping[str, Slot], metadata: Mapping[str, str] | None = None) -> None:
    """All of `slots`, in their order; each is taken from its device when it is written. Raises OSError."""
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    begin = 0
    for name, slot in slots.items():
        end = begin + slot.num_bytes
        header[name] = {"dtype": DTYPES[slot.dtype], "shape": list(slot.shape), "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that values are aligned
    stream.write(len(text).to_bytes(8, "little") + text)
    for name, slot in slots.items():
        values = slot.values().detach().cpu().contiguous()
        assert (values.dtype, tuple(values.shape)) == (slot.dtype, slot.shape), name
        stream.write(values.flatten().view(torch.uint8).numpy().data)
    stream.flush()
