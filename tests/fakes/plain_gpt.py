"""The trainer's architecture once more, in plain torch and without its code: to check the model against.

No mask: each document is attended to by itself. No fused matrices: Megatron's are taken apart into their heads.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import silu


@dataclass(frozen=True)
class Shape:
    layers: int
    heads: int
    groups: int
    theta: float
    nope_every: int
    epsilon: float


def rms_norm(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + epsilon) * weight


def rotate(x: Tensor, theta: float) -> Tensor:
    """(T, heads, dim): pairs (i, i + dim / 2) turned by position x theta^(-2 i / dim)."""
    half = x.shape[-1] // 2
    places = torch.arange(x.shape[0], dtype=torch.float64)[:, None]
    angles = places * theta ** (-torch.arange(half, dtype=torch.float64) / half)
    sin, cos = angles.sin().float()[:, None], angles.cos().float()[:, None]
    first, second = x[..., :half], x[..., half:]
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


def one_head(q: Tensor, k: Tensor, v: Tensor, ids: Tensor) -> Tensor:
    """(T, dim) each; documents of `ids` one by one."""
    found = torch.zeros_like(q)
    for document in ids.unique().tolist():
        places = (ids == document).nonzero()[:, 0]
        scores = q[places] @ k[places].T / q.shape[-1] ** 0.5
        future = torch.ones_like(scores).triu(1).bool()
        found = found.index_add(0, places, scores.masked_fill(future, float("-inf")).softmax(-1) @ v[places])
    return found


def attention(x: Tensor, weights: Mapping[str, Tensor], prefix: str, shape: Shape, layer: int, ids: Tensor) -> Tensor:
    per_group = shape.heads // shape.groups
    fused = weights[f"{prefix}linear_qkv.weight"]
    dim = fused.shape[0] // (shape.groups * (per_group + 2))
    parts = (x @ fused.T).view(x.shape[0], shape.groups, per_group + 2, dim)
    q, k, v = parts[:, :, :per_group].reshape(x.shape[0], shape.heads, dim), parts[:, :, -2], parts[:, :, -1]
    if f"{prefix}q_layernorm.weight" in weights:
        q = rms_norm(q, weights[f"{prefix}q_layernorm.weight"], shape.epsilon)
        k = rms_norm(k, weights[f"{prefix}k_layernorm.weight"], shape.epsilon)
    if not (shape.nope_every and (layer + 1) % shape.nope_every == 0):
        q, k = rotate(q, shape.theta), rotate(k, shape.theta)
    heads = [one_head(q[:, head], k[:, head // per_group], v[:, head // per_group], ids) for head in range(shape.heads)]
    return torch.cat(heads, dim=-1) @ weights[f"{prefix}linear_proj.weight"].T


def logits(weights: Mapping[str, Tensor], tokens: Tensor, ids: Tensor, shape: Shape) -> Tensor:
    """(T,) and (T,) -> (T, vocabulary). Names of weights are Megatron's."""
    x = weights["embedding.word_embeddings.weight"][tokens]
    for layer in range(shape.layers):
        at = f"decoder.layers.{layer}."
        normed = rms_norm(x, weights[f"{at}input_layernorm.weight"], shape.epsilon)
        x = x + attention(normed, weights, f"{at}self_attention.", shape, layer, ids)
        normed = rms_norm(x, weights[f"{at}pre_mlp_layernorm.weight"], shape.epsilon)
        gate, up = (normed @ weights[f"{at}mlp.linear_fc1.weight"].T).chunk(2, dim=-1)
        x = x + (silu(gate) * up) @ weights[f"{at}mlp.linear_fc2.weight"].T
    x = rms_norm(x, weights["decoder.final_layernorm.weight"], shape.epsilon)
    return x @ weights.get("output_layer.weight", weights["embedding.word_embeddings.weight"]).T
