"""What a GPU product has, as far as a plan's figures need it: memory, and the peak rate of products. A table; pure.

Memory: the driver's total of an empty GPU (``nvidia-smi``, MiB). Rates: NVIDIA's data sheets, dense, without sparsity;
fp32 products are taken in TF32.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

_MEBI = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One product."""

    memory_bytes: int
    peak_flops: Mapping[str, float]
    """Per second, by `OptimizerPlan.dtype`."""


PARTS: Mapping[str, Part] = MappingProxyType(
    {
        "H100-SXM5-80GB": Part(memory_bytes=81_559 * _MEBI, peak_flops={"bf16": 989.4e12, "fp32": 494.7e12}),
        "H200-SXM": Part(memory_bytes=143_771 * _MEBI, peak_flops={"bf16": 989.4e12, "fp32": 494.7e12}),
        "A100-SXM4-80GB": Part(memory_bytes=81_920 * _MEBI, peak_flops={"bf16": 312e12, "fp32": 156e12}),
    }
)
