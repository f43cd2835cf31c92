"""Public logs of real runs, read with as many points as they hold by an independent count of their lines."""

import re
from collections import Counter
from pathlib import Path

import pytest
from replayed import DATA, points, rank_points, read

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the captured public data are not beside the repository")

RUNS = {
    "curves/smollm3_spike_loss.csv": {"Non recoverable spikes": 500, "Recoverable spikes": 500},
    "curves/smollm3_tp_debug_fix_loss.csv": {"TP2": 8699, "TP1": 5805, "TP2 after fix": 3866},
    "curves/smollm3_nope_loss.csv": {"RoPE (baseline)": 500, "NoPE": 500, "NoPE + doc masking": 500},
    "curves/smollm3_wsd_loss.csv": {"Cosine (baseline)": 500, "WSD, decay 20%": 500, "WSD, decay 10%": 500},
    "curves/smollm3_megatron_vs_nanosets_plt.csv": {"tokenizedbytes_dataloader": 10_000, "nanosets_dataloader": 10_000},
    "curves/bloom176b_spike_31214_31251.log": {"": 11},
    "curves/hf_metamath_trainer_state.json": {"": 128},
    "curves/megatron_mixtral8x7b_a100.json": {"": 4801 - 1707},
    "curves/minlora_gpt2_fp16_nan.log": {"": 19},
    "curves/moddednanogpt_1B_ad8d7ae5.log": {"": 20_344},
    "throughput/smollm3_throughput_weka_drops.csv": {"Weka drops": 3222},
    "throughput/smollm3_throughput_debug_1node_full.csv": {
        "3B-nanotron-old-nn1-fwedu-32k": 4662,
        "3B-nanotron-old-nn1-fwedu-": 9349,
    },
}
"""File -> points by run. Golden values: 1707 of 4801 are not logged."""


@pytest.mark.parametrize("file", RUNS)
def test_a_captured_file_has_all_its_points(file: str) -> None:
    items, reading = read(DATA / file)
    assert Counter(name for name, _ in points(items)) == RUNS[file]
    assert reading.num_unread == 0


def test_ten_workers_are_read_as_ranks() -> None:
    items, _ = read(DATA / "throughput" / "alibaba_minibatch_job_1.csv")
    assert Counter(point.rank for point in rank_points(items)) == dict.fromkeys(range(10), 300)


@pytest.mark.parametrize(
    ("file", "pattern"),
    [
        ("bloom176b_spike_31214_31251.log", r"iteration +(\d+)/.*?lm loss: (\S+)"),
        ("minlora_gpt2_fp16_nan.log", r"iter (\d+): loss ([^,\s]+)"),
        ("moddednanogpt_1B_ad8d7ae5.log", r"step:(\d+)/\d+ train_loss:(\S+)"),
    ],
)
def test_logs_give_the_very_figures_that_stand_in_them(file: str, pattern: str) -> None:
    text = (DATA / "curves" / file).read_text()
    there = [(int(each[1]), str(float(each[2]))) for each in re.finditer(pattern, text)]
    items, _ = read(DATA / "curves" / file)
    assert [(point.step, str(point.loss)) for _, point in points(items)] == there


def test_every_captured_file_is_here() -> None:
    there = {str(path.relative_to(DATA)) for folder in ("curves", "throughput") for path in (DATA / folder).iterdir()}
    assert there == RUNS.keys() | {"throughput/alibaba_minibatch_job_1.csv"}
    assert all(Path(name).suffix in (".csv", ".json", ".log") for name in there)
