import json
import os
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributed.checkpoint.metadata import BytesStorageMetadata, Metadata, MetadataIndex

from trainer.checkpoints import rng
from trainer.checkpoints.hashing import HashingStream
from trainer.checkpoints.manifest import BadCheckpoint
from trainer.checkpoints.pickles import read_metadata, refuse_code
from trainer.checkpoints.tensor_file import DTYPES, slot_of, write_tensors


class Harmful:
    """What would run when it is unpickled."""

    def __init__(self, file):
        self._file = file

    def __reduce__(self):
        return os.mkdir, (str(self._file),)


def metadata_of(path, name, length):
    from torch.distributed.checkpoint.filesystem import _StorageInfo

    index = MetadataIndex(name)
    info = _StorageInfo(path, 0, length)
    return Metadata(state_dict_metadata={name: BytesStorageMetadata()}, storage_data={index: info})


def write_metadata(directory, metadata):
    (directory / ".metadata").write_bytes(pickle.dumps(metadata))


def test_metadata_that_would_run_code_is_refused_before_it_does(tmp_path):
    write_metadata(tmp_path, Harmful(tmp_path / "ran"))
    with pytest.raises(BadCheckpoint, match=r"it asks for posix\.mkdir"):
        read_metadata(tmp_path)
    assert not (tmp_path / "ran").exists()


def test_an_object_that_would_run_code_is_refused_before_it_does(tmp_path):
    torch.save(Harmful(tmp_path / "ran"), tmp_path / "x.distcp")
    size = (tmp_path / "x.distcp").stat().st_size
    write_metadata(tmp_path, metadata_of("x.distcp", "extra", size))
    with pytest.raises(BadCheckpoint, match="extra is not made of numbers and tensors alone"):
        refuse_code(tmp_path, frozenset({"x.distcp"}))
    assert not (tmp_path / "ran").exists()


def test_metadata_that_leads_out_of_the_checkpoint_is_refused(tmp_path):
    write_metadata(tmp_path, metadata_of("../elsewhere", "extra", 1))
    with pytest.raises(BadCheckpoint, match=r"extra is in '\.\./elsewhere', which the manifest lacks"):
        refuse_code(tmp_path, frozenset({"x.distcp"}))


def test_an_object_of_numbers_is_taken(tmp_path):
    torch.save({"step": 3, "x": torch.ones(2)}, tmp_path / "x.distcp")
    size = (tmp_path / "x.distcp").stat().st_size
    write_metadata(tmp_path, metadata_of("x.distcp", "extra", size))
    refuse_code(tmp_path, frozenset({"x.distcp"}))


def test_states_of_generators_come_back_as_they_were():
    import random

    state = {
        "python": random.Random(4).getstate(),
        "numpy": ("MT19937", torch.arange(5), 1, 2.5),
        "torch": torch.get_rng_state(),
        "tracker": {"model-parallel-rng": torch.tensor([], dtype=torch.uint8)},
        "raw": b"\x00\xff",
        "scalar": torch.tensor(3, dtype=torch.int64),
    }
    found = rng.parse(rng.to_text(state), where="x")

    assert json.loads(rng.to_text(found)) == json.loads(rng.to_text(state))
    assert found["python"] == state["python"]
    assert found["raw"] == state["raw"]
    assert torch.equal(found["torch"], state["torch"])
    assert found["scalar"].shape == ()


@pytest.mark.parametrize("text", ["", "[]", '{"a": {"$tensor": ["load", [1], "AA=="]}}', '{"a": {"$bytes": "?"}}'])
def test_what_is_no_state_of_generators_is_refused(text):
    with pytest.raises(BadCheckpoint, match="the file holds no states of generators"):
        rng.parse(text, where="the file")


def test_an_object_has_no_place_among_states():
    with pytest.raises(TypeError, match="holds a Harmful"):
        rng.to_text({"x": Harmful("y")})


@given(
    shapes=st.lists(st.lists(st.integers(0, 4), max_size=3), min_size=1, max_size=4),
    dtype=st.sampled_from(list(DTYPES)),
)
def test_a_file_of_tensors_is_read_by_safetensors_bit_by_bit(tmp_path_factory, shapes, dtype):
    from safetensors.torch import load_file

    file = tmp_path_factory.mktemp("tensors") / "x.safetensors"
    tensors = {f"t{index}": torch.randint(0, 2, shape).to(dtype) for index, shape in enumerate(shapes)}
    with file.open("wb") as raw:
        stream = HashingStream(raw)
        write_tensors(stream, {name: slot_of(tensor) for name, tensor in tensors.items()}, {"format": "pt"})

    found = load_file(file)
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == dtype
        assert torch.equal(found[name], tensor)
    assert stream.entry().num_bytes == file.stat().st_size
