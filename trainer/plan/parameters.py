"""Exact numbers of parameters of a model's plan, as Megatron's GPTModel has them. Pure."""

from trainer.plan.words import ModelPlan


def layer_parameters(model: ModelPlan) -> int:
    """Of one transformer layer: attention without biases, gated MLP, two norms."""
    head = model.hidden // model.heads
    attention = 2 * model.hidden**2 + 2 * model.hidden * model.kv_heads * head
    norms = 2 * model.hidden + (2 * head if model.qk_norm else 0)
    return attention + 3 * model.hidden * model.mlp_hidden + norms


def embedding_parameters(model: ModelPlan) -> int:
    """Of the table that tokens are looked up in; tied embeddings are the output's matrix too."""
    return model.vocabulary * model.hidden


def num_parameters(model: ModelPlan) -> int:
    """Of the whole model."""
    tables = embedding_parameters(model) * (1 if model.tied_embeddings else 2)
    return tables + model.layers * layer_parameters(model) + model.hidden
