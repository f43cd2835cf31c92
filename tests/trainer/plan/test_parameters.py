"""Exact parameters, operations, memory and durations, against figures that were published or are added up by hand."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trainer_plans import a_plan, plans

from trainer.plan import ParallelPlan, load_plan
from trainer.plan.duration import ASSUMED_MFU, pace_of, peak_flops, stage_seconds
from trainer.plan.flops import flops_per_token, mfu
from trainer.plan.memory import durable_bytes, layer_bytes, micro_batches, rank_memory, rank_state_bytes
from trainer.plan.parameters import layer_parameters, num_parameters, rank_parameters

SMOLLM3 = load_plan(Path(__file__).parents[3] / "plans" / "smollm3-3b.toml")
DAY = 86_400


def test_smollm3_has_exactly_its_published_parameters():
    """By hand, from the shapes of its weights; 3.08 billion is what its page says."""
    embedding = 128_256 * 2048
    layer = 2 * 2048 * 2048 + 2 * 2048 * 512 + 3 * 2048 * 11_008 + 2 * 2048
    assert num_parameters(SMOLLM3.model) == embedding + 36 * layer + 2048 == 3_075_098_624


def test_an_output_of_its_own_is_a_second_table():
    own = replace(SMOLLM3.model, tied_embeddings=False)
    assert num_parameters(own) - num_parameters(SMOLLM3.model) == 128_256 * 2048


def test_normed_queries_and_keys_have_a_weight_for_each_place_of_a_head():
    normed = replace(SMOLLM3.model, qk_norm=True)
    assert num_parameters(normed) - num_parameters(SMOLLM3.model) == 36 * 2 * 128


def test_norms_are_whole_on_every_tensor_parallel_rank():
    model = SMOLLM3.model
    norms = 36 * 2 * 2048 + 2048
    assert rank_parameters(model, ParallelPlan(tensor=2)) * 2 - num_parameters(model) == norms


def test_tied_embeddings_have_a_copy_on_the_last_pipeline_stage():
    model, layout = SMOLLM3.model, ParallelPlan(pipeline=3)
    embedding, layers = 128_256 * 2048, 12 * layer_parameters(model)
    found = [rank_parameters(model, layout, stage) for stage in range(3)]
    assert found == [embedding + layers, layers, embedding + layers + 2048]


@settings(max_examples=40, deadline=None)
@given(plans(), st.sampled_from([1, 2, 4]))
def test_pipeline_stages_have_all_parameters_between_them(plan, pipeline):
    model = replace(plan.model, layers=4)
    found = sum(rank_parameters(model, ParallelPlan(pipeline=pipeline), stage) for stage in range(pipeline))
    copies = model.vocabulary * model.hidden if pipeline > 1 and model.tied_embeddings else 0
    assert found == num_parameters(model) + copies


def test_operations_of_a_token_are_6_n_and_half_of_all_pairs():
    model = SMOLLM3.model
    assert flops_per_token(model, 4096) == 6 * 3_075_098_624 + 6 * 36 * 2048 * 4096
    # a table that tokens are only looked up in takes part in no product
    assert flops_per_token(replace(model, tied_embeddings=False), 4096) == flops_per_token(model, 4096)


def test_smollm3s_published_rate_is_the_share_of_the_peak_that_was_published():
    """About 30 %, with attention's operations; 25.6 % of 990 TFLOP/s by 6 N alone at 13,750 tokens/s."""
    assert mfu(13_750, 6 * 3.075e9, 990e12) == pytest.approx(0.256, abs=5e-4)
    assert mfu(13_800, flops_per_token(SMOLLM3.model, 4096), 989.4e12) == pytest.approx(0.283, abs=5e-4)


def test_weights_gradients_and_optimizer_are_6_and_12_over_d_bytes_with_bf16():
    """Megatron-LM's own table for its distributed optimizer."""
    memory = rank_memory(SMOLLM3, SMOLLM3.stages[0])
    held = rank_parameters(SMOLLM3.model, SMOLLM3.parallel)
    assert memory.weights + memory.gradients == 6 * held
    assert memory.optimizer == held * 12 // 192
    alone = replace(SMOLLM3, optimizer=replace(SMOLLM3.optimizer, distributed=False))
    assert rank_memory(alone, SMOLLM3.stages[0]).optimizer == 12 * held


def test_weights_gradients_and_optimizer_are_8_and_8_over_d_bytes_with_fp32():
    plan = a_plan(optimizer={"dtype": "fp32"}, parallel={"world": 4})
    memory, held = rank_memory(plan, plan.stages[0]), num_parameters(plan.model)
    assert memory.weights + memory.gradients == 8 * held
    assert memory.optimizer == 8 * held // 4


def test_a_layers_values_are_those_of_korthikanti_for_its_model():
    """Without dropout, and with keys and values of all heads and a plain MLP of 4h, a layer would keep
    sbh(4 + 4 + 6 + 2 + 16) bytes; here the MLP keeps 4 values where theirs keeps 2 of 4h, and attention no square."""
    plan = a_plan(model__kv_heads=4, model__mlp_hidden=2 * 64, parallel__micro_batch=2, parallel__world=1)
    stage = plan.stages[0]
    tokens, hidden, heads = 2 * 32, 64, 4
    assert layer_bytes(plan, stage) == tokens * (hidden * (4 + 4 + 6 + 2 + 16) + 4 * heads)
    dropped = replace(plan, model=replace(plan.model, dropout=0.1))
    assert layer_bytes(dropped, stage) - layer_bytes(plan, stage) == tokens * 2 * hidden


def test_tensor_parallel_ranks_split_what_sequence_parallelism_lets_them():
    alone = a_plan()
    split = a_plan(parallel={"tensor": 2, "world": 2})
    spread = a_plan(parallel={"tensor": 2, "world": 2, "sequence": True})
    stage = alone.stages[0]
    whole = 32 * 4 * 64 * 2  # inputs and outputs of two norms
    assert layer_bytes(split, stage) == whole + (layer_bytes(alone, stage) - whole) // 2
    assert layer_bytes(spread, stage) == layer_bytes(alone, stage) // 2


def test_context_parallel_ranks_keep_keys_and_values_of_the_whole_sequence():
    alone, split = a_plan(), a_plan(parallel={"context": 2, "world": 2})
    keys_and_values = 32 * 2 * 2 * 16 * 2
    stage = alone.stages[0]
    assert layer_bytes(split, stage) == (layer_bytes(alone, stage) - keys_and_values) // 2 + keys_and_values


def test_full_recomputation_keeps_the_layers_inputs_and_one_layer():
    plan = a_plan(parallel={"recompute": "full"})
    stage, residual = plan.stages[0], 32 * 64 * 2
    assert rank_memory(plan, stage).activations == 4 * residual + layer_bytes(plan, stage) + 2 * residual
    selective = a_plan(parallel={"recompute": "selective"})
    assert rank_memory(selective, stage) == rank_memory(a_plan(), stage)


def test_the_first_pipeline_stage_waits_for_as_many_micro_batches_as_there_are_stages():
    plan = a_plan(parallel={"pipeline": 4, "world": 4})
    memory = rank_memory(plan, plan.stages[0])
    assert memory.pipeline_stage == 0
    assert memory.activations == 4 * layer_bytes(plan, plan.stages[0])
    few = a_plan(parallel={"pipeline": 4, "world": 4, "micro_batch": 4}, model__mlp_hidden=4096)
    assert micro_batches(few, few.stages[0]) == 2
    assert rank_memory(few, few.stages[0]).activations == 2 * layer_bytes(few, few.stages[0])


def test_the_last_pipeline_stage_counts_where_logits_are_most():
    plan = a_plan(parallel={"pipeline": 2, "world": 2}, model__vocabulary=128_000)
    memory = rank_memory(plan, plan.stages[0])
    assert memory.pipeline_stage == 1
    assert memory.logits == 32 * 128_000 * 10


def test_logits_in_fp32_need_no_copy():
    plan = a_plan(optimizer={"dtype": "fp32"})
    assert rank_memory(plan, plan.stages[0]).logits == 32 * 512 * 8


@settings(max_examples=40, deadline=None)
@given(plans())
def test_a_ranks_memory_is_the_sum_of_its_parts_and_never_nothing(plan):
    for stage in plan.stages:
        memory = rank_memory(plan, stage)
        parts = (memory.weights, memory.gradients, memory.optimizer, memory.activations, memory.logits)
        assert min(parts) > 0
        assert memory.total == sum(parts)


def test_a_durable_checkpoint_is_as_large_as_was_measured():
    """114 MiB for 7.45 million parameters in fp32, distributed optimizer: 16 bytes each."""
    assert pytest.approx(114 * 2**20, rel=0.01) == 7.45e6 * 16
    plan = a_plan(optimizer={"dtype": "fp32"})
    assert durable_bytes(plan) == 16 * num_parameters(plan.model)
    assert durable_bytes(a_plan(optimizer={"dtype": "fp32", "distributed": False})) == 12 * num_parameters(plan.model)
    assert durable_bytes(SMOLLM3) == 14 * 3_075_098_624


def test_a_ranks_own_state_is_its_weights_and_its_share_of_the_optimizer():
    held = rank_parameters(SMOLLM3.model, SMOLLM3.parallel)
    assert rank_state_bytes(SMOLLM3) == 2 * held + held * 12 // 192


def test_smollm3_takes_24_days_at_its_published_rate():
    pace = pace_of(SMOLLM3)
    assert pace is not None
    assert pace.mfu == pytest.approx(0.283, abs=5e-4)
    assert sum(stage_seconds(SMOLLM3, pace).values()) / DAY == pytest.approx(
        11_135_877_120_000 / (13_800 * 384) / DAY, rel=1e-9
    )


def test_longer_sequences_go_slower_by_what_their_attention_costs():
    plan = a_plan(stage__1__sequence_length=64, parallel={"rank_tokens_per_second": 1000})
    pace = pace_of(plan)
    assert pace is not None
    assert pace.mfu is None
    seconds = stage_seconds(plan, pace)
    assert seconds["one"] == pytest.approx(60 * 8 * 32 / 1000)
    slower = flops_per_token(plan.model, 64) / flops_per_token(plan.model, 32)
    assert seconds["two"] == pytest.approx(40 * 8 * 64 / 1000 * slower)


def test_a_known_gpu_gives_a_pace_that_is_said_to_be_assumed():
    plan = a_plan(parallel={"part": "H100-SXM5-80GB"})
    pace = pace_of(plan)
    assert pace is not None
    assert pace.rank_flops == pytest.approx(ASSUMED_MFU * 989.4e12)
    assert pace.origin == "assumed, 30% of the peak"


def test_the_plans_own_peak_comes_before_the_parts():
    assert peak_flops(a_plan(parallel={"part": "A100-SXM4-80GB"})) == 312e12
    assert peak_flops(a_plan(parallel={"part": "A100-SXM4-80GB"}, metrics={"peak_flops": 3e14})) == 3e14
    assert peak_flops(a_plan()) is None
    assert pace_of(a_plan()) is None
