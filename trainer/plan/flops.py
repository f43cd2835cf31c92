"""Floating point operations of training on one token. Pure; the formula is told with every figure made of it."""

from trainer.plan.parameters import embedding_parameters, num_parameters
from trainer.plan.words import ModelPlan

FORMULA = "6 N + 6 layers x hidden x sequence (N: parameters in products, attention causal)"
"""6 N: two for each parameter forward, four backward. Attention: 12 layers x hidden x sequence for all pairs of
positions (Narayanan et al. 2021, arXiv 2104.04473, appendix), half of them for a causal mask. Work that masks of
documents save is counted as done, and recomputation is not counted: so the share of the peak is MFU as in PaLM (arXiv
2204.02311, appendix B), which counts all pairs: there it is a few percent more."""


def flops_per_token(model: ModelPlan, sequence_length: int) -> float:
    """Forward and backward, without recomputation."""
    in_products = num_parameters(model) - (0 if model.tied_embeddings else embedding_parameters(model))
    return 6.0 * in_products + 6.0 * model.layers * model.hidden * sequence_length


def mfu(rank_tokens_per_second: float, flops: float, peak_flops: float) -> float:
    """Share of one rank's peak rate that its tokens need. `flops`: of one token; `peak_flops`: per second."""
    return rank_tokens_per_second * flops / peak_flops
