import subprocess
import sys
from pathlib import Path

import pytest

from trainer.data.tokens import BpeTokenizer, ByteTokenizer, train_bpe
from watchdog.vocabulary.errors import UsageError

END = "<|endoftext|>"
TEXTS = ["the cat sat on the mat", "ein Stück Käse 🧀", "def f(x):\n\treturn x  # the cat", f"no {END} here"] * 20


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bpe") / "bpe.json"
    path.write_text(train_bpe(iter(TEXTS), 300, END))
    return path


def test_bytes_are_the_bytes_of_utf_8() -> None:
    (ids,) = ByteTokenizer().encode(["aé\n"])
    assert ids.tolist() == [97, 0xC3, 0xA9, 10]
    assert (ByteTokenizer.facts.vocab_size, ByteTokenizer.facts.eod) == (257, 256)


def test_a_trained_bpe_gives_every_text_back_in_fewer_ids_than_bytes(file: Path) -> None:
    from tokenizers import Tokenizer

    tokenizer = BpeTokenizer(file, END)
    found = list(tokenizer.encode(TEXTS))
    decoder = Tokenizer.from_file(str(file))
    assert [decoder.decode(ids.tolist(), skip_special_tokens=False) for ids in found] == TEXTS
    assert sum(map(len, found)) < 0.6 * sum(len(text.encode()) for text in TEXTS)
    assert tokenizer.facts.vocab_size == 300
    assert all(ids.max() < 300 for ids in found)


def test_text_that_spells_the_end_of_document_does_not_end_it(file: Path) -> None:
    tokenizer = BpeTokenizer(file, END)
    assert tokenizer.facts.eod == 0
    (ids,) = tokenizer.encode([f"no {END} here"])
    assert 0 not in ids.tolist()


def test_training_gives_the_same_in_every_process(file: Path) -> None:
    """Hash seeds and threads differ from process to process."""
    program = (
        "import sys; from trainer.data.tokens import train_bpe\n"
        f"sys.stdout.write(train_bpe(iter({TEXTS[:4]!r} * 20), 300, {END!r}))"
    )
    again = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert again.stdout == file.read_text()


def test_a_tokenizer_is_named_by_its_content_and_its_end(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text(train_bpe(iter(TEXTS), 301, END))
    copy = tmp_path / "copy.json"
    copy.write_text(file.read_text())
    one = BpeTokenizer(file, END).facts.identity
    assert BpeTokenizer(copy, END).facts.identity == one
    assert BpeTokenizer(other, END).facts.identity != one
    assert BpeTokenizer(file, "a").facts.identity != one


def test_a_tokenizer_without_the_end_of_document_is_refused(file: Path) -> None:
    with pytest.raises(UsageError, match=r"has no token '</s>'; set tokenizer.end_of_document"):
        BpeTokenizer(file, "</s>")


@pytest.mark.parametrize("text", ["{", "[1, 2]", '{"model": 7}'])
def test_a_file_that_is_no_tokenizer_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "none.json").write_text(text)
    with pytest.raises(UsageError, match=r"none.json is none of tokenizers' JSON"):
        BpeTokenizer(tmp_path / "none.json", END)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none.json can't be read"):
        BpeTokenizer(tmp_path / "none.json", END)
