"""Memory of one rank in training, and bytes of its states, by formula. Pure.

Not counted: CUDA's context and NCCL's buffers (1 to 3 GB), what the allocator can't use for fragments, temporary
results of one operation, rotary tables, statistics of norms.
"""

from dataclasses import dataclass

from trainer.plan.parameters import num_parameters, rank_parameters
from trainer.plan.words import Plan, Stage

FLOAT = 4
"""Bytes of fp32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Bytes of one rank, of the pipeline stage that needs the most."""

    pipeline_stage: int
    """From 0."""
    weights: int
    gradients: int
    """Accumulated in fp32."""
    optimizer: int
    activations: int
    logits: int

    @property
    def total(self) -> int:
        """Of all."""
        return self.weights + self.gradients + self.optimizer + self.activations + self.logits


def rank_memory(plan: Plan, stage: Stage) -> Memory:
    """While training in `stage`."""
    found = (_memory(plan, stage, number) for number in range(plan.parallel.pipeline))
    return max(found, key=lambda each: each.total)


def _memory(plan: Plan, stage: Stage, pipeline_stage: int) -> Memory:
    parameters = rank_parameters(plan.model, plan.parallel, pipeline_stage)
    is_last = pipeline_stage == plan.parallel.pipeline - 1
    return Memory(
        pipeline_stage=pipeline_stage,
        weights=parameters * value_bytes(plan),
        gradients=parameters * FLOAT,
        optimizer=_optimizer_bytes(plan, parameters),
        activations=_activations(plan, stage, pipeline_stage),
        logits=_logits(plan, stage) if is_last else 0,
    )


def value_bytes(plan: Plan) -> int:
    """Of one weight or activation."""
    return 2 if plan.optimizer.dtype == "bf16" else FLOAT


def _optimizer_bytes(plan: Plan, parameters: int) -> int:
    """Two moments, and for bf16 a master copy, all fp32; the distributed optimizer shards them over data and context
    parallel ranks (Megatron-LM, docs: "6 + 12/d" bytes a parameter with bf16 weights and fp32 gradients; 8 + 8/d with
    fp32 weights)."""
    each = 3 * FLOAT if plan.optimizer.dtype == "bf16" else 2 * FLOAT
    ranks = plan.parallel.world // (plan.parallel.tensor * plan.parallel.pipeline)
    return -(-parameters * each // (ranks if plan.optimizer.distributed else 1))


def micro_batches(plan: Plan, stage: Stage) -> int:
    """Of one step, on each data parallel rank of the plan's world."""
    parallel = plan.parallel
    data = parallel.world // (parallel.tensor * parallel.pipeline * parallel.context)
    return stage.batch // (data * parallel.micro_batch)


def _tokens(plan: Plan, stage: Stage) -> int:
    """Of one micro-batch on one context parallel rank."""
    return plan.parallel.micro_batch * stage.sequence_length // plan.parallel.context


def _activations(plan: Plan, stage: Stage, pipeline_stage: int) -> int:
    """Of all micro-batches that wait for their backward pass: as many as pipeline stages are still to come (1F1B)."""
    parallel, model = plan.parallel, plan.model
    spread = parallel.tensor if parallel.sequence else 1
    layers = model.layers // parallel.pipeline
    waiting = min(parallel.pipeline - pipeline_stage, micro_batches(plan, stage))
    residual = _tokens(plan, stage) * model.hidden * value_bytes(plan) // spread
    block = layer_bytes(plan, stage)
    is_recomputed = parallel.recompute == "full"
    kept = waiting * layers * (residual if is_recomputed else block)
    kept += block if is_recomputed else 0  # of the one layer that is computed again
    is_last = pipeline_stage == parallel.pipeline - 1
    return kept + (2 * residual if is_last else 0)  # of the last norm: input and output


def layer_bytes(plan: Plan, stage: Stage) -> int:
    """What one layer keeps of one micro-batch for its backward pass.

    Korthikanti et al. 2022 (arXiv 2205.05198, section 4) count sbh(34 + 5as/h) bytes for a layer with an MLP of 4h, all
    heads and dropout. Counted here in the same way, value by value, for this family: inputs and outputs of two norms
    (4h); queries, keys, values (h and 2 x kv_heads x head); attention's output (h); the MLP's gate and its SiLU, what
    it is multiplied with, and the product (4 x mlp_hidden). Attention by FlashAttention or FlexAttention keeps no
    square of the sequence, but one fp32 a head (Dao et al. 2022, arXiv 2205.14135): so ``selective`` saves nothing.
    Context parallel ranks keep keys and values of the whole sequence.
    """
    parallel, model, size = plan.parallel, plan.model, value_bytes(plan)
    spread = parallel.tensor if parallel.sequence else 1
    keys_and_values = 2 * model.kv_heads * (model.hidden // model.heads) * parallel.context
    whole = 4 * model.hidden * size / spread
    split = (2 * model.hidden + keys_and_values + 4 * model.mlp_hidden) * size + model.heads * FLOAT
    masks = 2 * model.hidden / spread if model.dropout else 0  # a byte a value, after attention and after the MLP
    return round(_tokens(plan, stage) * (whole + split / parallel.tensor + masks))


def _logits(plan: Plan, stage: Stage) -> int:
    """In `trainer.model.loss`: the model's logits, their fp32 copy where they aren't fp32, the softmax in fp32."""
    each = value_bytes(plan) + FLOAT + (FLOAT if plan.optimizer.dtype == "bf16" else 0)
    return _tokens(plan, stage) * plan.model.vocabulary // plan.parallel.tensor * each


def durable_bytes(plan: Plan) -> int:
    """Of one durable checkpoint, of all ranks together: weights as they are, and the optimizer's fp32 values.

    Megatron's distributed optimizer writes a master copy of fp32 weights too: 16 bytes a parameter (measured: 114 MiB
    for 7.45 million), else 12; with bf16 weights it is 14.
    """
    has_master = plan.optimizer.dtype == "bf16" or plan.optimizer.distributed
    return num_parameters(plan.model) * (value_bytes(plan) + (3 if has_master else 2) * FLOAT)


def rank_state_bytes(plan: Plan) -> int:
    """Of one state in memory or node-local, of the largest rank: its weights and its share of the optimizer's."""
    largest = max(rank_parameters(plan.model, plan.parallel, number) for number in range(plan.parallel.pipeline))
    return largest * value_bytes(plan) + _optimizer_bytes(plan, largest)
