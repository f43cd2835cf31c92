"""Sampled elements of a product against float64, for an error that every device makes in the same way."""

from dataclasses import dataclass

import torch

BANDS = 32
"""C is cut into this many bands of rows and of columns: a tile of a product of 8192 is 256x256, about what one thread
block of a tensor core kernel computes, so that a block that goes wrong as a whole is seen wherever it lies."""

_RESULT_ROUNDING = {
    "bf16": 2.0**-8,
    "fp16": 2.0**-11,
    "fp32": 2.0**-24,
    "tf32": 2.0**-24,
    "fp64": 2.0**-53,
    "fp8": 2.0**-8,
    "int8": 0.0,
}
"""Unit roundoff of the format in which C is kept."""
_INPUT_ROUNDING = {"tf32": 2.0**-10}
"""Operands rounded (or truncated) to the tensor cores' format on the way in: 10 bits of mantissa."""
_ACCUMULATION = {
    "bf16": 2.0**-22,
    "fp16": 2.0**-22,
    "fp32": 2.0**-24,
    "tf32": 2.0**-22,
    "fp64": 2.0**-53,
    "fp8": 2.0**-13,
    "int8": 0.0,
}
"""Rounding of one addition. Tensor cores align the addends and truncate, so a few bits are lost against fp32; Hopper
keeps about 14 bits in fp8 (DeepSeek-V3 Technical Report, section 3.3.2)."""


@dataclass(frozen=True, slots=True)
class Spot:
    """The sampled element that is furthest outside its bound."""

    index: int
    num_wrong: int
    expected: float
    read: float
    bound: float


def spot_check(dtype: str, a: torch.Tensor, b: torch.Tensor, c: torch.Tensor, seed: int) -> Spot | None:
    """Compare one element of each tile of c = a·b, (m, k), (k, n), (m, n), with float64; None when all are in bounds.

    Tiles are `BANDS` x `BANDS`, or an element each in a smaller C; `seed` says where in its tile an element lies.

    The bound is the a-priori one of a sum of k products (Higham, Accuracy and Stability of Numerical Algorithms,
    section 3.1): |c - exact| <= u_c·|exact| + (k·u_add + 2·u_in)·Σ|a·b|. It never cries wolf; what it misses is found
    by digests. fp8 operands are read as B^T, as they were multiplied. A NaN is outside every bound.
    """
    right = b.t() if dtype == "fp8" else b
    generator = torch.Generator().manual_seed(seed & 0x7FFFFFFF)
    rows, columns = (places.to(a.device) for places in _places(a.shape[0], right.shape[1], generator))
    terms = _gather(a, rows) * _gather(right.t(), columns)
    exact, size = terms.sum(dim=1), terms.abs().sum(dim=1)
    read = c[rows, columns].to(torch.float64)
    rounding = a.shape[1] * _ACCUMULATION[dtype] + 2 * _INPUT_ROUNDING.get(dtype, 0.0)
    bound = _RESULT_ROUNDING[dtype] * exact.abs() + rounding * size
    outside = ~((read - exact).abs() <= bound)
    num_wrong = int(outside.sum())
    if not num_wrong:
        return None
    excess = torch.where(outside, torch.nan_to_num((read - exact).abs() - bound, nan=torch.inf), -1.0)
    worst = int(excess.argmax())
    return Spot(
        index=int(rows[worst]) * c.shape[1] + int(columns[worst]),
        num_wrong=num_wrong,
        expected=float(exact[worst]),
        read=float(read[worst]),
        bound=float(bound[worst]),
    )


def _places(num_rows: int, num_columns: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Row and column of a random element of each tile, both of shape (tiles,)."""
    row_edges, column_edges = _edges(num_rows), _edges(num_columns)
    first_rows, first_columns = torch.meshgrid(row_edges[:-1], column_edges[:-1], indexing="ij")
    heights, widths = torch.meshgrid(row_edges.diff(), column_edges.diff(), indexing="ij")
    below = (torch.rand(heights.shape, generator=generator, dtype=torch.float64) * heights).long()
    beside = (torch.rand(widths.shape, generator=generator, dtype=torch.float64) * widths).long()
    return (first_rows + below).flatten(), (first_columns + beside).flatten()


def _edges(length: int) -> torch.Tensor:
    """Where bands begin, and the end."""
    bands = min(BANDS, length)
    return torch.arange(bands + 1) * length // bands


def _gather(matrix: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """(samples, k) rows in float64; fp8 has no index kernel, so its bytes are gathered."""
    if matrix.element_size() == 1 and matrix.is_floating_point():
        return matrix.view(torch.uint8)[rows].view(matrix.dtype).to(torch.float64)
    return matrix[rows].to(torch.float64)
