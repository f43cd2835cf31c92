import os
import sysconfig
from pathlib import Path

import pytest

from trainer.data.corpus import content_of, list_documents, read_texts, status_of
from watchdog.vocabulary.errors import UsageError


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    root = tmp_path / "corpus"
    for number in range(20):
        file = root / f"d{number % 3}" / f"{number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"text {number}")
    return root


def names(pattern: str) -> list[str]:
    return [document.name for document in list_documents("code", pattern)]


def test_two_stars_go_into_all_directories(corpus: Path) -> None:
    assert sorted(names(f"{corpus}/**/*.txt")) == sorted(f"d{number % 3}/{number}.txt" for number in range(20))
    assert sorted(names(f"{corpus}/d1/1?.txt")) == ["10.txt", "13.txt", "16.txt", "19.txt"]
    assert names(f"{corpus}/d0/0.txt") == ["0.txt"]


def test_the_order_mixes_directories_and_depends_on_names_alone(corpus: Path, tmp_path: Path) -> None:
    before = names(f"{corpus}/**/*.txt")
    assert before != sorted(before)
    moved = tmp_path / "elsewhere"
    corpus.rename(moved)
    assert names(f"{moved}/**/*.txt") == before


def test_a_glob_from_the_current_directory_is_one_too(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(corpus)
    assert sorted(names("d1/1?.txt")) == ["10.txt", "13.txt", "16.txt", "19.txt"]


def test_the_standard_library_is_found_without_what_was_installed_into_it() -> None:
    found = names("{stdlib}/**/*.py")
    assert "json/decoder.py" in found
    assert not [name for name in found if "site-packages" in name or "dist-packages" in name]
    assert list_documents("code", "{stdlib}/ast.py")[0].path == Path(sysconfig.get_path("stdlib")) / "ast.py"


def test_a_glob_of_nothing_is_refused(corpus: Path) -> None:
    with pytest.raises(UsageError, match=r"sources.code.text is '.*none.*', which is no file here"):
        names(f"{corpus}/none/*.txt")


def test_what_is_no_text_is_no_document(corpus: Path) -> None:
    (corpus / "d1" / "1.txt").write_bytes(b"\xff\xfe")
    (corpus / "d1" / "4.txt").write_bytes(b"")
    found = dict(
        zip(names(f"{corpus}/d1/*.txt"), read_texts(list_documents("code", f"{corpus}/d1/*.txt")), strict=True)
    )
    assert found["1.txt"] is None
    assert found["4.txt"] is None
    assert found["7.txt"] == "text 7"


def test_content_has_one_name_wherever_it_lies_and_another_for_any_change(corpus: Path, tmp_path: Path) -> None:
    def content(root: Path) -> str:
        return content_of(list_documents("code", f"{root}/**/*.txt"))

    before = content(corpus)
    corpus.rename(tmp_path / "elsewhere")
    assert content(tmp_path / "elsewhere") == before
    (tmp_path / "elsewhere" / "d1" / "1.txt").write_text("text!1")
    edited = content(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "d1" / "1.txt").rename(tmp_path / "elsewhere" / "d1" / "renamed.txt")
    assert len({before, edited, content(tmp_path / "elsewhere")}) == 3


def test_a_status_changes_when_a_file_is_written(corpus: Path) -> None:
    file = corpus / "d1" / "1.txt"
    before = status_of([file])
    assert status_of([file]) == before
    os.utime(file, ns=(1, 2))
    assert status_of([file]) != before
