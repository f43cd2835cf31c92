"""A checkpoint of one layout in others, and in Hugging Face's transformers."""

import json

import pytest
import torch
from checkpoint_runs import run
from safetensors import safe_open

from trainer.checkpoints.export import export
from trainer.checkpoints.manifest import BadCheckpoint
from watchdog.vocabulary.errors import UsageError

pytestmark = pytest.mark.slow

LAYOUTS = {"tp2": {"tensor": 2}, "pp2": {"pipeline": 2}, "dp2": {}}
STEP = "step_00000002"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """World 1: two steps, saved, and two more."""
    directory = tmp_path_factory.mktemp("whole")
    ops = [["train", 2], ["save", False], ["digest"], ["logits"], ["train", 2]]
    return directory, run(directory, ops)[0]


@pytest.fixture(scope="module")
def moved(whole, tmp_path_factory):
    """From world 1 into each layout: saved there at once, then trained."""
    found = {}
    for name, parallel in LAYOUTS.items():
        directory = tmp_path_factory.mktemp(name)
        ops = [["load", str(whole[0] / STEP)], ["save", True], ["wait"], ["train", 2]]
        found[name] = directory, run(directory, ops, world=2, parallel=parallel, seed=9)
    return found


@pytest.mark.parametrize("name", LAYOUTS)
def test_losses_go_on_in_another_layout(whole, moved, name):
    meant = [float.fromhex(loss) for loss in whole[1].of("train")[-1]["losses"].values()]
    for rank in moved[name][1]:
        found = [float.fromhex(loss) for loss in rank.of("train")[-1]["losses"].values()]
        assert len(found) == 4
        assert found[:2] == meant[:2]
        assert found == pytest.approx(meant, rel=1e-3)


def test_there_and_back_again_every_bit_is_as_it_was(whole, moved, tmp_path):
    ops = []
    for directory, _ in moved.values():
        ops += [["load", str(directory / STEP)], ["digest"]]
    (back,) = run(tmp_path, ops, seed=10)

    assert back.of("load") == [{"step": 2}] * 3
    meant = whole[1].of("digest")[0]
    for found in back.of("digest"):
        assert (found["weights"], found["optimizer"]) == (meant["weights"], meant["optimizer"])


@pytest.mark.filterwarnings("ignore:.*deprecat:FutureWarning", "ignore:.*deprecat:DeprecationWarning")
@pytest.mark.parametrize("name", ["tp2", "pp2"])
def test_transformers_gives_the_logits_of_an_export_from_any_layout(whole, moved, tmp_path, name):
    transformers = pytest.importorskip("transformers")
    exported = export(moved[name][0] / STEP, tmp_path / "hf", shard_bytes=20_000)

    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "hf", dtype="auto").eval()
    meant = whole[1].of("logits")[0]
    with torch.no_grad():
        found = model(torch.tensor(meant["tokens"])).logits

    assert type(model).__name__ == "SmolLM3ForCausalLM"
    assert exported.step == 2
    assert exported.num_parameters == sum(each.numel() for each in model.parameters())
    torch.testing.assert_close(found, torch.tensor(meant["logits"]), rtol=0, atol=1e-5)
    assert model.config.no_rope_layers == [1, 1, 1, 0]
    assert (model.config.eos_token_id, model.generation_config.eos_token_id) == (256, 256)
    _shards_are_as_their_index_says(tmp_path / "hf")


def _shards_are_as_their_index_says(directory):
    index = json.loads((directory / "model.safetensors.index.json").read_text())
    found = {}
    for file in sorted(directory.glob("model-*.safetensors")):
        with safe_open(file, "pt") as shard:
            found |= dict.fromkeys(shard.keys(), file.name)
    assert found == index["weight_map"]
    assert len(set(found.values())) > 1


def test_a_damaged_one_is_not_exported_and_nothing_is_left(moved, tmp_path):
    path = moved["dp2"][0] / STEP
    file = next(path.glob("*.distcp"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)

    with pytest.raises(BadCheckpoint, match="bits changed on the disk"):
        export(path, tmp_path / "hf")
    assert list(tmp_path.iterdir()) == []

    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "notes").write_text("mine")
    with pytest.raises(UsageError, match="is there already and not empty"):
        export(path, tmp_path / "hf")
