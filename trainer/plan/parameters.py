"""Exact numbers of parameters of a model's plan, as Megatron's GPTModel has them. Pure."""

from trainer.plan.words import ModelPlan, ParallelPlan


def layer_parameters(model: ModelPlan, tensor: int = 1) -> int:
    """Of one transformer layer on one of `tensor` ranks: attention without biases, gated MLP, and two norms, which
    every rank has whole."""
    head = model.hidden // model.heads
    attention = 2 * model.hidden**2 + 2 * model.hidden * model.kv_heads * head
    norms = 2 * model.hidden + (2 * head if model.qk_norm else 0)
    return (attention + 3 * model.hidden * model.mlp_hidden) // tensor + norms


def embedding_parameters(model: ModelPlan) -> int:
    """Of the table that tokens are looked up in; tied embeddings are the output's matrix too."""
    return model.vocabulary * model.hidden


def num_parameters(model: ModelPlan) -> int:
    """Of the whole model."""
    tables = embedding_parameters(model) * (1 if model.tied_embeddings else 2)
    return tables + model.layers * layer_parameters(model) + model.hidden


def rank_parameters(model: ModelPlan, parallel: ParallelPlan, pipeline_stage: int = 0) -> int:
    """Of one rank in that pipeline stage (from 0). Tied embeddings are on the first stage and, as a copy, the last."""
    is_first, is_last = pipeline_stage == 0, pipeline_stage == parallel.pipeline - 1
    tables = 1 if is_first else 0
    if is_last and not (is_first and model.tied_embeddings):
        tables += 1
    found = model.layers // parallel.pipeline * layer_parameters(model, parallel.tensor)
    found += tables * embedding_parameters(model) // parallel.tensor
    return found + (model.hidden if is_last else 0)
