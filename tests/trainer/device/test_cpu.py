"""The processor as Megatron's device: in a process of its own, as what it changes stays changed."""

from typing import Any

import pytest
from trainer_ranks import run_ranks


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return run_ranks(1, "device_facts:cpu")[0]


def test_the_processor_is_trained_on_through_gloo(found):
    assert found["kind"] == ["cpu", "gloo", "cpu"]


def test_a_process_that_imported_megatron_too_early_is_told_so(found):
    """Its modules would look for CUDA in the real torch, deep in a step."""
    assert "megatron.core was imported before" in found["megatron first"]
    assert "import it later" in found["megatron first"]


def test_torch_itself_is_not_changed(found):
    assert found["torch as it was"] is True


def test_other_modules_see_tensors_as_they_are(found):
    assert found["of others"] == {"type": "torch.FloatTensor", "converted": "torch.float64", "cuda raises": True}


def test_megatrons_modules_find_the_processor_where_they_look_for_a_gpu(found):
    assert found["of megatron"]["early"] == ["cpu", "cpu", True]
    assert found["of megatron"]["type"] == "torch.cuda.FloatTensor"
    assert found["of megatron"]["cuda is itself"] is True


def test_modules_that_megatron_imports_at_its_first_save_find_it_too(found):
    assert found["of megatron"]["late"] is True
    assert found["of megatron"]["lately"] == ["cpu", "cpu", True]


def test_opening_the_device_again_changes_nothing_more(found):
    assert found["twice"] == 1


def test_memory_is_the_processs_and_a_processor_has_no_datasheet(found):
    assert found["places"] == {"memory": True, "flops": None}


def test_the_groups_have_the_timeout_that_was_given(found):
    """Below a minute too: Megatron counts in minutes."""
    assert found["timeout"] == 7.5


def test_one_rank_is_a_layout_of_one(found):
    assert found["layout"] == [1, 1, 1, 1]
    assert found["stopped"] is True


def test_the_same_seed_gives_the_same_numbers(found):
    assert found["seeds"]["again"] is True


def test_tensor_ranks_agree_on_replicated_weights_and_differ_on_sharded_ones(found):
    """Equal shards on every rank are silent, and waste most of the model: a known fault of a 1T-token run."""
    assert found["seeds"]["tensor"] == [True, False]


def test_pipeline_stages_start_with_other_weights(found):
    assert found["seeds"]["pipeline"] == [False, False]


@pytest.mark.parametrize("generator", ["python", "numpy", "torch", "gauss", "tracker"])
def test_every_generator_goes_back_to_a_state(found, generator):
    drawn = found["generators"]
    assert drawn["again"][generator] == drawn["first"][generator]
    assert drawn["following"][generator] != drawn["first"][generator]
