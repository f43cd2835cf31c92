"""On an NVIDIA GPU: Megatron as it is, attention by compiled blocks, nccl; the same facts as on the processor."""

from pathlib import Path
from typing import Any

import pytest
import torch
from trainer_ranks import run_ranks

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")]
COMPILING_SECONDS = 600
"""Kernels of attention, forward and backward, once a process."""


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gpu") / "start"


@pytest.fixture(scope="module")
def alone(start: Path) -> dict[str, Any]:
    found: dict[str, Any] = run_ranks(1, "model_facts:alone", COMPILING_SECONDS, directory=str(start), kind="cuda")[0]
    return found


@pytest.mark.timeout(COMPILING_SECONDS + 60)
@pytest.mark.parametrize("variant", ["plain tied", "plain untied"])
def test_logits_and_steps_are_those_of_plain_torch(alone: dict[str, Any], variant: str) -> None:
    assert alone[variant]["logits"] < 1e-4
    assert alone[variant]["weights"] < 1e-4
    for ours, theirs in zip(alone[variant]["losses"], alone[variant]["plain losses"], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)


def test_a_document_does_not_see_the_one_before_it(alone: dict[str, Any]) -> None:
    assert alone["masking"]["second"] == 0.0
    assert alone["masking"]["first"] > 0.1
    assert alone["masking off"]["second"] > 0.1


@pytest.mark.parametrize("fact", ["saved", "saved bf16"])
def test_megatrons_checkpoint_is_gone_on_from_to_the_bit(alone: dict[str, Any], fact: str) -> None:
    assert alone[fact] == {"loaded": True, "same": True}


def test_a_state_put_back_and_a_veto_change_no_bit(alone: dict[str, Any]) -> None:
    assert alone["local"]["restored"] is alone["local"]["same"] is True
    assert alone["veto"]["untouched"] is alone["veto"]["same"] is True


def test_bf16_learns(alone: dict[str, Any]) -> None:
    assert alone["bf16"]["losses"][-1] < alone["bf16"]["losses"][0] / 10


@pytest.mark.timeout(COMPILING_SECONDS + 60)
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one CUDA device makes no layouts")
def test_two_gpus_take_the_steps_of_one(alone: dict[str, Any], start: Path) -> None:
    pair = run_ranks(2, "model_facts:pair", COMPILING_SECONDS, start=str(start), kind="cuda")
    for layout in ("dp2", "tp2", "tp2 sp", "pp2", "cp2"):
        for step, one in zip(pair[0][layout], alone["one"], strict=True):
            assert step["loss"] == pytest.approx(one["loss"], rel=1e-4), layout
            assert step["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-4), layout
