import subprocess
import sys

import pytest

from trainer.device.cuda import dense_flops
from trainer.device.open import KINDS, choose
from trainer.device.parallel import layout_of
from trainer.plan import ParallelPlan
from watchdog.vocabulary.errors import UsageError


@pytest.mark.parametrize(
    ("kind", "has_cuda", "chosen"),
    [
        ("auto", True, "cuda"),
        ("auto", False, "cpu"),
        ("cuda", True, "cuda"),
        ("cpu", True, "cpu"),
        ("cpu", False, "cpu"),
    ],
)
def test_a_gpu_is_used_wherever_there_is_one_unless_the_processor_is_asked_for(kind, has_cuda, chosen):
    """So Megatron runs unchanged on GPUs: only the processor's device changes anything."""
    assert choose(kind, has_cuda=has_cuda) == chosen


def test_a_gpu_that_is_asked_for_and_missing_is_an_error_with_a_way_out():
    with pytest.raises(UsageError, match="torch sees no GPU here; see nvidia-smi, or give --device cpu"):
        choose("cuda", has_cuda=False)


def test_an_unknown_kind_gets_the_nearest_known_one():
    with pytest.raises(UsageError, match="'cudda'; did you mean 'cuda'"):
        choose("cudda", has_cuda=True)
    assert KINDS == ("auto", "cpu", "cuda")


def test_the_gpus_module_brings_nothing_of_the_processors():
    program = (
        "import sys; import trainer.device.open, trainer.device.cuda; "
        "sys.exit(any(name.startswith('trainer.device.cpu') or name == 'megatron' for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize(
    ("name", "dtype", "flops"),
    [
        ("NVIDIA H100 80GB HBM3", "bf16", 989.4e12),
        ("NVIDIA H100 80GB HBM3", "fp32", 66.9e12),
        ("NVIDIA A100-SXM4-80GB", "bf16", 312e12),
        ("NVIDIA GeForce RTX 3060", "bf16", None),
    ],
)
def test_peak_rates_are_the_datasheets_and_none_for_other_parts(name, dtype, flops):
    assert dense_flops(name, dtype) == flops


def test_what_the_model_leaves_of_the_world_is_data_parallel():
    layout = layout_of(ParallelPlan(tensor=2, pipeline=3, sequence=True), 24)
    assert (layout.tensor, layout.pipeline, layout.context, layout.data, layout.sequence) == (2, 3, 1, 4, True)
    assert layout.world == 24


def test_a_world_that_holds_no_whole_model_is_refused():
    with pytest.raises(UsageError, match=r"6 ranks .* 2 x 2 x 1 .* give a multiple of 4"):
        layout_of(ParallelPlan(tensor=2, pipeline=2), 6)
