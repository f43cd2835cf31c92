"""Builds model and optimizer of a plan on this rank, from Megatron-core's parts."""

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from megatron.core import parallel_state
from megatron.core.distributed import DistributedDataParallel, DistributedDataParallelConfig, finalize_model_grads
from megatron.core.models.gpt import GPTModel
from megatron.core.models.gpt.gpt_layer_specs import get_gpt_layer_local_spec
from megatron.core.optimizer import OptimizerConfig, get_megatron_optimizer
from megatron.core.optimizer.optimizer_config import ParamKey
from megatron.core.tensor_parallel import param_is_not_tensor_parallel_duplicate
from megatron.core.transformer.module import Float16Module
from megatron.core.transformer.transformer_block import TransformerBlockSubmodules
from megatron.core.transformer.transformer_config import TransformerConfig

from trainer.device.device import Device
from trainer.model import adam
from trainer.model.attention import CoreAttention
from trainer.model.built import Built
from trainer.model.norm import Norm
from trainer.plan import ModelPlan, Plan, Stage

DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}


def build(plan: Plan, device: Device, stage: Stage) -> Built:
    """Fresh weights from the seed of the generators, for `stage`. Collective. After `start_parallel` and `seed`."""
    adam.install()
    config = _config(plan, device)
    model = _model(plan, config, stage)
    if device.kind == "cuda":
        model = model.to(device.torch_device)
    if plan.optimizer.dtype == "bf16":
        model = Float16Module(config, model)
    chunk = DistributedDataParallel(config, _ddp(plan), model)
    optimizer = get_megatron_optimizer(
        _optimizer(plan, chunk.ddp_config), [chunk], config_overrides=_without_decay(plan)
    )
    config.finalize_model_grads_func = finalize_model_grads
    config.grad_scale_func = optimizer.scale_loss
    config.no_sync_func = chunk.no_sync
    _count_once(optimizer, is_sharded=plan.optimizer.distributed)
    chunk.train()
    return Built(
        chunks=[chunk],
        optimizer=optimizer,
        config=config,
        sources=tuple(sorted(plan.sources)),
        masks_documents=plan.model.document_masking,
    )


def _config(plan: Plan, device: Device) -> TransformerConfig:
    """Fusions need Apex or Transformer Engine: all are off, so that both devices take one path."""
    model, parallel, dtype = plan.model, plan.parallel, DTYPES[plan.optimizer.dtype]
    return TransformerConfig(
        num_layers=model.layers,
        hidden_size=model.hidden,
        num_attention_heads=model.heads,
        num_query_groups=model.kv_heads,
        ffn_hidden_size=model.mlp_hidden,
        gated_linear_unit=True,
        activation_func=F.silu,
        add_bias_linear=False,
        normalization="RMSNorm",
        layernorm_epsilon=model.norm_epsilon,
        qk_layernorm=model.qk_norm,
        no_rope_freq=nope_pattern(model),
        hidden_dropout=model.dropout,
        attention_dropout=model.dropout,
        init_method_std=model.init_std,
        tensor_model_parallel_size=parallel.tensor,
        pipeline_model_parallel_size=parallel.pipeline,
        context_parallel_size=parallel.context,
        sequence_parallel=parallel.sequence,
        params_dtype=dtype,
        pipeline_dtype=dtype,
        bf16=plan.optimizer.dtype == "bf16",
        use_cpu_initialization=device.kind == "cpu",
        # in the constructor: set afterwards, gradients would be divided by the data parallel size as well
        calculate_per_token_loss=True,
        bias_activation_fusion=False,
        bias_dropout_fusion=False,
        masked_softmax_fusion=False,
        apply_rope_fusion=False,
        gradient_accumulation_fusion=False,
        persist_layer_norm=False,
        **_recompute(parallel.recompute),
    )


def nope_pattern(model: ModelPlan) -> list[int] | None:
    """1 for each layer without rotary embedding."""
    if not model.nope_every:
        return None
    return [int((layer + 1) % model.nope_every == 0) for layer in range(model.layers)]


def _recompute(kind: str) -> dict[str, Any]:
    if kind == "full":
        return {"recompute_granularity": "full", "recompute_method": "uniform", "recompute_num_layers": 1}
    return {"recompute_granularity": "selective"} if kind == "selective" else {}


def _model(plan: Plan, config: TransformerConfig, stage: Stage) -> GPTModel:
    layer = get_gpt_layer_local_spec(qk_layernorm=plan.model.qk_norm, normalization="RMSNorm")
    layer.submodules.input_layernorm = Norm
    layer.submodules.pre_mlp_layernorm = Norm
    attention = layer.submodules.self_attention.submodules
    attention.core_attention = CoreAttention
    if plan.model.qk_norm:
        attention.q_layernorm = attention.k_layernorm = Norm
    return GPTModel(
        config,
        _block(layer, config),
        vocab_size=plan.model.vocabulary,
        max_sequence_length=max(each.sequence_length for each in plan.stages),
        pre_process=parallel_state.is_pipeline_first_stage(),
        post_process=parallel_state.is_pipeline_last_stage(),
        share_embeddings_and_output_weights=plan.model.tied_embeddings,
        position_embedding_type="rope",
        rotary_base=stage.rope_theta,
    )


def _block(layer: Any, config: TransformerConfig) -> TransformerBlockSubmodules:
    num_layers = config.num_layers // config.pipeline_model_parallel_size
    return TransformerBlockSubmodules(layer_specs=[layer] * num_layers, layer_norm=Norm)


def _ddp(plan: Plan) -> DistributedDataParallelConfig:
    has_others = parallel_state.get_data_parallel_world_size(with_context_parallel=True) > 1
    return DistributedDataParallelConfig(
        grad_reduce_in_fp32=True,
        use_distributed_optimizer=plan.optimizer.distributed,
        # hidden behind the backward and the next forward pass; weights are stale until then: see force_param_sync
        overlap_grad_reduce=has_others,
        overlap_param_gather=has_others and plan.optimizer.distributed,
        # a step is judged on the reduced norm: the check of each bucket would end the process instead
        check_for_nan_in_grad=False,
    )


def _optimizer(plan: Plan, ddp: DistributedDataParallelConfig) -> OptimizerConfig:
    optimizer = plan.optimizer
    return OptimizerConfig(
        optimizer="adam",
        lr=plan.stages[0].lr,
        weight_decay=optimizer.weight_decay,
        adam_beta1=optimizer.beta1,
        adam_beta2=optimizer.beta2,
        adam_eps=optimizer.epsilon,
        clip_grad=optimizer.clip,
        bf16=optimizer.dtype == "bf16",
        params_dtype=DTYPES[optimizer.dtype],
        use_distributed_optimizer=optimizer.distributed,
        overlap_param_gather=ddp.overlap_param_gather,
    )


def _without_decay(plan: Plan) -> dict[ParamKey, dict[str, float]]:
    """Norms and biases are not decayed, nor embeddings where the plan says so."""
    names = ["*norm*.weight", "*.bias"]
    if not plan.optimizer.decay_embeddings:
        names.append("*word_embeddings.weight")
        # the last pipeline stage's copy of tied embeddings
        names += ["*output_layer.weight"] if plan.model.tied_embeddings else []
    return {ParamKey(name=tuple(names)): {"wd_mult": 0.0}}


def _count_once(optimizer: Any, *, is_sharded: bool) -> None:
    """Mark the parameters whose changes this rank answers for in the update's norm."""
    is_first_copy = is_sharded or parallel_state.get_data_parallel_rank(with_context_parallel=True) == 0
    for each in chained(optimizer):
        counted = (
            param
            for group in each.optimizer.param_groups
            for param in group["params"]
            if is_first_copy and not getattr(param, "shared", False) and param_is_not_tensor_parallel_duplicate(param)
        )
        each.optimizer.counted = set(counted)


def chained(optimizer: Any) -> list[Any]:
    """The optimizers that one is made of, without those that hold nothing."""
    parts = getattr(optimizer, "chained_optimizers", [optimizer])
    return [part for part in parts if not getattr(part, "is_stub_optimizer", False)]
