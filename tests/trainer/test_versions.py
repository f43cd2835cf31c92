import platform
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from trainer.versions import diff_versions, read_driver, skew_of, versions


def test_versions_of_this_process_are_those_that_are_installed() -> None:
    found = versions()
    assert found["python"] == platform.python_version()
    assert found["torch"] == version("torch")
    assert found["megatron-core"] == version("megatron-core")
    assert ("nccl" in found) == torch.cuda.is_available()
    assert ("threads" in found) != torch.cuda.is_available()


def test_a_change_is_one_sentence_with_both_versions() -> None:
    old = {"torch": "2.12.0", "numpy": "2.0", "nccl": "2.26"}
    new = {"torch": "2.13.0", "numpy": "2.0", "driver": "575.57.08"}
    assert diff_versions(old, new) == [
        "driver absent → 575.57.08: results may differ in the last bits",
        "nccl 2.26 → absent: results may differ in the last bits",
        "torch 2.12.0 → 2.13.0: results may differ in the last bits",
    ]


def test_equal_versions_are_no_change() -> None:
    assert diff_versions({"torch": "2.13.0"}, {"torch": "2.13.0"}) == []


@pytest.mark.parametrize(
    "line",
    [
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  575.57.08  Sat May 24 07:25:21 UTC 2025",
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  575.57.08  Release Build  (dvs-builder@U22)",
    ],
)
def test_the_driver_tells_its_version_itself(tmp_path: Path, line: str) -> None:
    (tmp_path / "version").write_text(f"{line}\nGCC version:  gcc version 12.3.0 (Ubuntu 12.3.0-1)\n")
    assert read_driver(tmp_path / "version") == "575.57.08"


def test_a_driver_that_is_not_there_has_no_version(tmp_path: Path) -> None:
    assert read_driver(tmp_path / "version") is None
    (tmp_path / "version").write_text("something else\n")
    assert read_driver(tmp_path / "version") is None


def test_ranks_with_one_set_of_versions_may_train() -> None:
    assert skew_of([{"torch": "2.13.0"}] * 3) == ""


def test_a_rank_with_another_version_is_named() -> None:
    one, other = {"torch": "2.13.0", "numpy": "2.0"}, {"torch": "2.12.0", "numpy": "2.0"}
    assert skew_of([one, one, other]) == "rank 0 has torch 2.13.0 and rank 2 2.12.0; install the same on all nodes"
    assert skew_of([one, other, one, other]).startswith("rank 0 has torch 2.13.0 and rank 1 and 1 other 2.12.0")
    assert skew_of([one, {"numpy": "2.0"}]).startswith("rank 0 has torch 2.13.0 and rank 1 absent")


def test_nodes_may_have_other_gpus_and_drivers() -> None:
    assert skew_of([{"gpu": "H100", "driver": "575"}, {"gpu": "H200", "driver": "570"}]) == ""
