import hashlib
import json
from math import inf, isnan, nan

import pytest
from checkpoint_files import header_at
from hypothesis import given
from hypothesis import strategies as st

from trainer.checkpoints.manifest import BadCheckpoint, FileEntry, Manifest, parse_manifest, read_manifest, to_text
from trainer.checkpoints.words import Layout
from trainer.ledger import Ledger, Skip

HEADER = header_at(
    7,
    layout=Layout(tensor=2, pipeline=1, context=1, data=3, sequence=True),
    ledger=Ledger((Skip(stage="s", first=3, end=9, incident="i-1"),)),
    tokens=12,
    versions={"torch": "2.13.0"},
    losses={6: 0.1 + 0.2, 7: inf},
    extra={"guard": {"ema": [1.5, -inf], "budget": None}},
)
MANIFEST = Manifest(
    header=HEADER,
    files={"a/b.json": FileEntry(num_bytes=3, sha256="00"), "c": FileEntry(num_bytes=0, sha256="11")},
    created_at=1.25,
)


def test_a_manifest_is_read_as_it_was_written():
    assert parse_manifest(to_text(MANIFEST), where="m") == MANIFEST
    assert MANIFEST.num_bytes == 3


def test_numbers_that_json_lacks_are_words_in_it():
    text = to_text(Manifest(header=header_at(1, losses={1: nan}, extra={"x": nan}), files={}, created_at=0.0))

    assert json.loads(text)["header"]["losses"] == {"1": "nan"}
    header = parse_manifest(text, where="m").header
    assert isnan(header.losses[1])
    assert isnan(header.extra["x"])


@given(cut=st.integers(0, len(to_text(MANIFEST)) - 2))
def test_a_manifest_that_was_cut_off_anywhere_is_refused_with_its_name(cut):
    with pytest.raises(BadCheckpoint, match="the file"):
        parse_manifest(to_text(MANIFEST)[:cut], where="the file")


@given(place=st.integers(0, len(to_text(MANIFEST)) - 1), character=st.characters(max_codepoint=127))
def test_one_changed_character_is_refused_unless_it_means_the_same(place, character):
    text = to_text(MANIFEST)
    try:
        found = parse_manifest(text[:place] + character + text[place + 1 :], where="m")
    except BadCheckpoint:
        return
    assert found == MANIFEST  # white space


def resealed(change):
    """The manifest with a change, and a hash as if it had been written so."""
    document = json.loads(to_text(MANIFEST)) | change
    del document["sha256"]
    digest = hashlib.sha256(json.dumps(document, indent=1).encode()).hexdigest()
    return json.dumps(document | {"sha256": digest})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": 0}, "format version 0 and this Fryer reads 1; use the Fryer that wrote it"),
        ({"schema": "other"}, "no manifest of a checkpoint"),
        ({"files": {"../x": {"bytes": 1, "sha256": ""}}}, "a file is named '../x'"),
        ({"files": {"/etc/x": {"bytes": 1, "sha256": ""}}}, "a file is named '/etc/x'"),
        ({"files": {"x": {"bytes": -1, "sha256": ""}}}, "has size -1"),
        ({"header": {}}, "KeyError"),
    ],
)
def test_what_is_wrong_is_said(change, says):
    with pytest.raises(BadCheckpoint, match=says):
        parse_manifest(resealed(change), where="m")


def test_a_directory_without_a_manifest_says_so(tmp_path):
    with pytest.raises(BadCheckpoint, match=r"has no manifest\.json"):
        read_manifest(tmp_path)
