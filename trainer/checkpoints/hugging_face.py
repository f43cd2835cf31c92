"""How a model of ours is called in Hugging Face's transformers: SmolLM3's names, shapes and config. Pure but for views.

Megatron keeps queries, keys and values of a group side by side in one tensor, gate and up projection in another, and
stacks layers; transformers has a tensor for each.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from trainer.checkpoints.stored import Stored
from trainer.checkpoints.tensor_file import Slot
from trainer.plan.words import ModelPlan, Stage, Tokenizer
from watchdog.vocabulary.errors import UsageError

BYTES_END = 256
"""Of the tokenizer of bytes, as `trainer.data.tokens` has it."""
_LAYER = "decoder.layers."
_QKV = _LAYER + "self_attention.linear_qkv.weight"
_FC1 = _LAYER + "mlp.linear_fc1.weight"
_AS_THEY_ARE = {
    _LAYER + "self_attention.linear_qkv.layer_norm_weight": "input_layernorm.weight",
    _LAYER + "self_attention.linear_proj.weight": "self_attn.o_proj.weight",
    _LAYER + "mlp.linear_fc1.layer_norm_weight": "post_attention_layernorm.weight",
    _LAYER + "mlp.linear_fc2.weight": "mlp.down_proj.weight",
}
_WHOLE = {
    "embedding.word_embeddings.weight": "model.embed_tokens.weight",
    "decoder.final_layernorm.weight": "model.norm.weight",
    "output_layer.weight": "lm_head.weight",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """One tensor of the export."""

    name: str
    slot: Slot


def refuse(model: ModelPlan) -> None:
    """Raises `UsageError` for a model that SmolLM3 in transformers can't express."""
    if model.qk_norm:
        raise UsageError("model.qk_norm is true, which SmolLM3 in transformers doesn't have; it can't be exported")


def config_of(model: ModelPlan, stage: Stage, *, dtype: torch.dtype, end_of_document: int | None) -> dict[str, Any]:
    """config.json of a model that stands in `stage`."""
    return {
        "architectures": ["SmolLM3ForCausalLM"],
        "model_type": "smollm3",
        "vocab_size": model.vocabulary,
        "hidden_size": model.hidden,
        "intermediate_size": model.mlp_hidden,
        "num_hidden_layers": model.layers,
        "num_attention_heads": model.heads,
        "num_key_value_heads": model.kv_heads,
        "hidden_act": "silu",
        "max_position_embeddings": stage.sequence_length,
        "initializer_range": model.init_std,
        "rms_norm_eps": model.norm_epsilon,
        "rope_parameters": {"rope_type": "default", "rope_theta": stage.rope_theta},
        # where versions before 5 look for it
        "rope_theta": stage.rope_theta,
        "no_rope_layers": [int(not has_no_rope(model, layer)) for layer in range(model.layers)],
        "no_rope_layer_interval": model.nope_every or model.layers + 1,
        "attention_bias": False,
        "mlp_bias": False,
        "attention_dropout": model.dropout,
        "tie_word_embeddings": model.tied_embeddings,
        "use_cache": True,
        "dtype": str(dtype).removeprefix("torch."),
        "bos_token_id": None,
        "pad_token_id": None,
        "eos_token_id": end_of_document,
    }


def end_of_document(tokenizer: Tokenizer, text: str | None) -> int | None:
    """Id of the token that ends a document; `text` is tokenizers' JSON. None where it can't be told."""
    if tokenizer.kind == "bytes":
        return BYTES_END
    if text is None:
        return None
    document = json.loads(text)
    added = {each["content"]: int(each["id"]) for each in document.get("added_tokens", [])}
    vocabulary = document.get("model", {}).get("vocab", {})
    known = {**(vocabulary if isinstance(vocabulary, dict) else {}), **added}
    return known.get(tokenizer.end_of_document)


def tokenizer_config(tokenizer: Tokenizer, stage: Stage) -> dict[str, Any]:
    """tokenizer_config.json beside a tokenizer.json."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": tokenizer.end_of_document,
        "model_max_length": stage.sequence_length,
        "clean_up_tokenization_spaces": False,
    }


def has_no_rope(model: ModelPlan, layer: int) -> bool:
    """Whether a layer, counted from 0, is without rotary embedding."""
    return bool(model.nope_every) and (layer + 1) % model.nope_every == 0


def tensors_of(model: ModelPlan, stored: Stored) -> Iterator[Named]:
    """All of them, those of one stored tensor in a row. Raises `BadCheckpoint` where one is missing or misshapen."""
    for name, theirs in _WHOLE.items():
        if name == "output_layer.weight" and model.tied_embeddings:
            continue
        yield _named(stored, name, theirs, stored.shape(name), partial(stored.read, name))
    for name, theirs in _AS_THEY_ARE.items():
        for layer in range(model.layers):
            values = partial(_layer, stored, name, layer)
            yield _named(stored, name, f"model.layers.{layer}.{theirs}", stored.shape(name)[1:], values)
    yield from _attention(model, stored)
    for layer in range(model.layers):
        for part, theirs in enumerate(("gate_proj", "up_proj")):
            values = partial(_half, stored, layer, part)
            name = f"model.layers.{layer}.mlp.{theirs}.weight"
            yield _named(stored, _FC1, name, (model.mlp_hidden, model.hidden), values)


def _attention(model: ModelPlan, stored: Stored) -> Iterator[Named]:
    """Of each group of heads: its queries, one key, one value."""
    queries, head = model.heads // model.kv_heads, model.hidden // model.heads
    cuts = {
        "q_proj": slice(0, queries),
        "k_proj": slice(queries, queries + 1),
        "v_proj": slice(queries + 1, queries + 2),
    }
    grouped = (model.kv_heads, queries + 2, head, model.hidden)
    for layer in range(model.layers):
        for theirs, cut in cuts.items():
            shape = (model.kv_heads * (cut.stop - cut.start) * head, model.hidden)
            values = partial(_heads, stored, layer, grouped, cut)
            yield _named(stored, _QKV, f"model.layers.{layer}.self_attn.{theirs}.weight", shape, values)


def _named(stored: Stored, source: str, name: str, shape: tuple[int, ...], values: Callable[[], torch.Tensor]) -> Named:
    return Named(name=name, slot=Slot(dtype=stored.dtype(source), shape=shape, values=values))


def _layer(stored: Stored, name: str, layer: int) -> torch.Tensor:
    return stored.read(name)[layer]


def _heads(stored: Stored, layer: int, grouped: tuple[int, ...], cut: slice) -> torch.Tensor:
    """(groups x (queries + 2) x head, hidden) -> (groups x cut x head, hidden)."""
    return stored.read(_QKV)[layer].view(grouped)[:, cut].reshape(-1, grouped[-1])


def _half(stored: Stored, layer: int, part: int) -> torch.Tensor:
    """(2 x mlp_hidden, hidden) -> (mlp_hidden, hidden): the gate, or what it gates."""
    return stored.read(_FC1)[layer].chunk(2)[part]
