"""Text to Megatron's indexed datasets and back, and datasets that others have made."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_plan import plan, stage

from trainer.plan import ModelPlan, Plan, Source, Tokenizer
from watchdog.vocabulary.errors import UsageError

pytestmark = pytest.mark.usefixtures("megatron")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    root = tmp_path / "corpus"
    root.mkdir()
    for number in range(50):
        (root / f"{number}.txt").write_text(f"this is document number {number}; " * (number + 1))
    return root


def of(corpus: Path, **changes: Any) -> Plan:
    return plan(sources={"code": f"{corpus}/*.txt"}, **changes)


def of_dataset(prefix: Path, **changes: Any) -> Plan:
    return replace(plan(), sources={"code": Source(name="code", dataset=prefix)}, **changes)


def prepare(plan: Plan, directory: Path, **changes: Any) -> Any:
    from trainer.data.prepare import prepare

    return prepare(plan, "code", directory, **changes)


def documents_of(prefix: Path) -> list[list[int]]:
    from trainer.data.indexed import open_dataset

    return [document.tolist() for document in open_dataset(prefix)]


def write(prefix: Path, documents: Sequence[Sequence[int]], dtype: Any = np.uint16) -> None:
    from megatron.core.datasets.indexed_dataset import IndexedDatasetBuilder

    builder = IndexedDatasetBuilder(f"{prefix}.bin", dtype=dtype)
    for ids in documents:
        builder.add_document(np.array(ids), [len(ids)])
    builder.finalize(f"{prefix}.idx")


def test_every_byte_of_every_document_is_there_and_its_end(corpus: Path, tmp_path: Path) -> None:
    found = documents_of(prepare(of(corpus), tmp_path / "data").prefix)
    assert {document[-1] for document in found} == {256}
    assert sorted(bytes(document[:-1]) for document in found) == sorted(f.read_bytes() for f in corpus.iterdir())


def test_the_last_documents_are_held_out(corpus: Path, tmp_path: Path) -> None:
    def held_out(share: float) -> int:
        sources = {"code": Source(name="code", text=f"{corpus}/*.txt", held_out=share)}
        found = prepare(replace(of(corpus), sources=sources), tmp_path / "data")
        assert found.num_documents == found.num_training + found.num_held_out == 50
        return int(found.num_held_out)

    assert [held_out(share) for share in (0.0, 0.001, 0.1, 0.5, 1.0)] == [0, 1, 5, 25, 49]


def test_a_second_run_finds_what_the_first_one_made(corpus: Path, tmp_path: Path) -> None:
    first = prepare(of(corpus), tmp_path / "data")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*")}
    assert prepare(of(corpus), tmp_path / "data") == first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*")} == before


def test_an_edit_of_a_document_or_another_tokenizer_makes_other_tokens_beside_the_old_ones(
    corpus: Path, tmp_path: Path
) -> None:
    first = prepare(of(corpus), tmp_path / "data")
    before = documents_of(first.prefix)
    (corpus / "7.txt").write_text("edited")
    edited = prepare(of(corpus), tmp_path / "data")
    bpe = prepare(of(corpus, tokenizer=Tokenizer(kind="bpe", vocabulary=300)), tmp_path / "data")
    assert len({first.identity, edited.identity, bpe.identity}) == 3
    assert documents_of(first.prefix) == before
    (corpus / "7.txt").write_text("this is document number 7; " * 8)
    assert prepare(of(corpus), tmp_path / "data") == first


def test_tokens_are_named_alike_wherever_the_text_lies(corpus: Path, tmp_path: Path) -> None:
    first = prepare(of(corpus), tmp_path / "one")
    corpus.rename(tmp_path / "moved")
    assert prepare(of(tmp_path / "moved"), tmp_path / "two").identity == first.identity


def test_files_that_were_cut_or_taken_away_are_made_again(corpus: Path, tmp_path: Path) -> None:
    first = prepare(of(corpus), tmp_path / "data")
    before = documents_of(first.prefix)
    first.prefix.with_name("text.bin").write_bytes(b"cut")
    assert prepare(of(corpus), tmp_path / "data") == first
    first.prefix.with_name("text.idx").unlink()
    assert prepare(of(corpus), tmp_path / "data") == first
    assert documents_of(first.prefix) == before


def test_what_was_left_out_is_counted(corpus: Path, tmp_path: Path) -> None:
    (corpus / "bad.txt").write_bytes(b"\xff")
    found = prepare(of(corpus), tmp_path / "data")
    manifest = json.loads(found.prefix.with_name("manifest.json").read_text())
    assert (manifest["num_documents"], manifest["num_left_out"]) == (50, 1)


def test_a_source_without_any_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_bytes(b"\xff")
    with pytest.raises(UsageError, match=r"sources.code: none of 1 files is UTF-8 text"):
        prepare(of(tmp_path), tmp_path / "data")
    assert not list((tmp_path / "data" / "tokens").iterdir())


def test_a_directory_that_cannot_be_written_is_told_in_one_sentence(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(UsageError, match=r"sources.code can't be prepared in .*data: .*data"):
        prepare(of(corpus), tmp_path / "data")


def test_a_model_with_too_few_rows_for_the_tokenizer_is_refused(corpus: Path, tmp_path: Path) -> None:
    model = ModelPlan(layers=2, hidden=64, heads=4, kv_heads=2, mlp_hidden=128, vocabulary=128)
    with pytest.raises(UsageError, match=r"the tokenizer has 257 ids and model.vocabulary is 128"):
        prepare(of(corpus, model=model), tmp_path / "data")


def test_a_bpe_learns_from_the_first_stage_alone(corpus: Path, tmp_path: Path) -> None:
    """Or a source that is appended for a later stage would change all ids of the past."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.txt").write_text("zyxwvut " * 1000)
    bpe = Tokenizer(kind="bpe", vocabulary=300)
    both = {"code": f"{corpus}/*.txt", "other": f"{tmp_path}/other/*.txt"}
    alone = prepare(of(corpus, tokenizer=bpe), tmp_path / "data")
    appended = plan(stage(), stage("two", mixture={"other": 1.0}), sources=both, tokenizer=bpe)
    assert prepare(appended, tmp_path / "data") == alone
    mixed = plan(stage(mixture={"code": 0.5, "other": 0.5}), sources=both, tokenizer=bpe)
    assert prepare(mixed, tmp_path / "data").facts.identity != alone.facts.identity


PREPARER = """
import sys, warnings
from pathlib import Path
warnings.simplefilter("ignore")
from trainer.device.open import open_device
open_device("cpu")
from small_plan import plan
from trainer.data.stage_data import StageData
from trainer.plan import Tokenizer
small = plan(sources={"code": sys.argv[1]}, tokenizer=Tokenizer(kind="bpe", vocabulary=300))
data = StageData.open(small, 0, Path(sys.argv[2]), is_builder=sys.argv[3] == "0")
print(data.identities, data.num_sequences("code"), data.sample(5).tokens.tolist())
"""


@pytest.mark.slow
def test_ranks_that_come_at_once_get_the_same_data(corpus: Path, tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", PREPARER, f"{corpus}/*.txt", str(tmp_path / "data")]
    fakes = str(Path(__file__).parents[2] / "fakes")
    ranks = [
        subprocess.Popen([*arguments, str(rank)], stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": fakes})
        for rank in range(2)
    ]
    said = [rank.communicate(timeout=120)[0] for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0]
    assert said[0] == said[1] != ""
    assert not list((tmp_path / "data").rglob("*making*"))


def test_a_dataset_of_others_is_taken_as_it_is(tmp_path: Path) -> None:
    write(tmp_path / "text", [[1, 2, 256], [3, 256]])
    found = prepare(of_dataset(tmp_path / "text"), tmp_path / "data")
    assert (found.prefix, found.num_documents) == (tmp_path / "text", 2)
    again = prepare(of_dataset(tmp_path / "text"), tmp_path / "elsewhere")
    assert again.identity == found.identity
    write(tmp_path / "text", [[1, 3, 256], [3, 256]])
    assert prepare(of_dataset(tmp_path / "text"), tmp_path / "data").identity != found.identity


@pytest.mark.parametrize(
    ("documents", "dtype", "complaint"),
    [
        ([[1, 2, 256], [3, 4]], np.uint16, "document 1 of dataset .*text ends with token 4, not with .* 256"),
        ([[1, 2, 256], []], np.uint16, "document 1 of dataset .*text ends with token None, not with .* 256"),
        ([[1, 300, 256]], np.uint16, "document 0 of dataset .*text holds ids from 1 to 300; .* are 0 to 256"),
        ([[1, -1, 256]], np.int32, "document 0 of dataset .*text holds ids from -1 to 256"),
        ([[1, 2, 256]], np.float32, "holds float32, which are no token ids"),
    ],
)
def test_a_dataset_that_the_tokenizer_did_not_make_is_refused(
    tmp_path: Path, documents: list[list[int]], dtype: Any, complaint: str
) -> None:
    write(tmp_path / "text", documents, dtype)
    with pytest.raises(UsageError, match=complaint):
        prepare(of_dataset(tmp_path / "text"), tmp_path / "data")


def test_a_dataset_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"dataset .*text has no text.bin; give the path without .bin and .idx"):
        prepare(of_dataset(tmp_path / "text"), tmp_path / "data")


def test_a_dataset_that_was_cut_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "text", [[1, 2, 256], [3, 256]])
    (tmp_path / "text.bin").write_bytes((tmp_path / "text.bin").read_bytes()[:-2])
    with pytest.raises(UsageError, match=r"text.bin has 8 bytes where text.idx says 10; copy both again"):
        prepare(of_dataset(tmp_path / "text"), tmp_path / "data")


def test_an_index_that_was_cut_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "text", [[1, 2, 256], [3, 256]])
    (tmp_path / "text.idx").write_bytes((tmp_path / "text.idx").read_bytes()[:50])
    with pytest.raises(UsageError, match=r"text.idx has 50 bytes of at least 82; copy it again"):
        prepare(of_dataset(tmp_path / "text"), tmp_path / "data")


def test_a_dataset_without_documents_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "text", [])
    with pytest.raises(UsageError, match=r"dataset .*text holds no document"):
        prepare(of_dataset(tmp_path / "text"), tmp_path / "data")


def test_files_that_are_no_dataset_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.bin").write_bytes(b"0" * 100)
    (tmp_path / "text.idx").write_bytes(b"0" * 100)
    with pytest.raises(UsageError, match=r"text.idx is no index of an indexed dataset of Megatron's"):
        prepare(of_dataset(tmp_path / "text"), tmp_path / "data")


def test_a_bpe_that_has_nothing_to_learn_from_asks_for_a_file(tmp_path: Path) -> None:
    write(tmp_path / "text", [[1, 2, 256]])
    with pytest.raises(UsageError, match=r"give tokenizer.file"):
        prepare(of_dataset(tmp_path / "text", tokenizer=Tokenizer(kind="bpe")), tmp_path / "data")


def test_a_source_that_the_plan_does_not_have_is_refused(corpus: Path, tmp_path: Path) -> None:
    from trainer.data.prepare import prepare

    with pytest.raises(UsageError, match=r"cod is no source of the plan; did you mean 'code'\?"):
        prepare(of(corpus), "cod", tmp_path / "data")
