"""``fryer judge`` as people and scripts call it."""

import gzip
import io
import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import foreign_outputs as made
import pytest
from typer.testing import CliRunner, Result

from fryer.cli.judge import app
from fryer.imports import reading
from fryer.imports.formats import FORMATS
from watchdog.vocabulary.errors import UsageError

GOOD = made.nccl_text([(8 << 30, 480.0, "0")])
SLOW = made.nccl_text([(8 << 30, 300.0, "0")])
WARN = made.nccl_text([(8 << 30, 450.0, "0")])
DATA = Path(__file__).parents[3] / ".." / "shared" / "data"
DOCS = Path(__file__).parents[3] / "docs" / "judge.md"


def run(*arguments: object, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments], input=stdin)


def write(folder: Path, **files: str) -> list[Path]:
    paths = [folder / name for name in files]
    for path, text in zip(paths, files.values(), strict=True):
        path.write_text(text)
    return paths


@pytest.mark.parametrize(("text", "code"), [(GOOD, 0), (SLOW, 1), (WARN, 0), ("", 3), ("hello\n", 3), (GOOD[:-200], 3)])
def test_the_exit_code_says_healthy_unhealthy_or_cannot_tell(tmp_path: Path, text: str, code: int) -> None:
    (path,) = write(tmp_path, out=text)
    assert run(path).exit_code == code


def test_strict_makes_a_warning_unhealthy(tmp_path: Path) -> None:
    (path,) = write(tmp_path, out=WARN)
    assert (run(path).exit_code, run("--strict", path).exit_code) == (0, 1)


def test_the_gravest_of_several_files_wins(tmp_path: Path) -> None:
    good, slow, cut = write(tmp_path, good=GOOD, slow=SLOW, cut=GOOD[:-200])
    assert [run(good, cut).exit_code, run(good, cut, slow).exit_code, run(good, good).exit_code] == [3, 1, 0]
    assert run(good, cut, slow).output.splitlines()[-1] == "all files: FAIL (1 of 3 files)"


def test_the_name_of_a_file_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    path.write_text(GOOD)
    assert run(path).exit_code == 0


def test_standard_input_is_a_dash() -> None:
    result = run("-", stdin=GOOD)
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "-: PASS")


@pytest.mark.parametrize("missing", ["there/is/none.txt", ""])
def test_a_file_that_is_not_there_is_wrong_usage_and_is_named(tmp_path: Path, missing: str) -> None:
    path = tmp_path / missing
    with pytest.raises(UsageError, match=re.escape(str(path))):
        run_raising(path)


def run_raising(*arguments: object) -> None:
    CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False, standalone_mode=False)


def test_a_missing_file_ends_the_command_with_2(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "fryer", "judge", str(tmp_path / "none.txt")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", f"fryer: no such file: {tmp_path / 'none.txt'}\n")


def test_standard_input_can_be_given_once() -> None:
    with pytest.raises(UsageError, match="once"):
        run_raising("-", "-")


def test_json_ends_with_the_verdict_and_each_line_is_a_document(tmp_path: Path) -> None:
    good, slow = write(tmp_path, good=GOOD, slow=made.smi_text({"Remapped Rows/Pending": "Yes"}))
    documents = [json.loads(line) for line in run("--json", good, slow).output.splitlines()]
    assert [(each["type"], each["schema"], each["version"]) for each in documents] == [
        ("facts", "fryer/judge", 1),
        ("facts", "fryer/judge", 1),
        ("verdict", "fryer/judge", 1),
    ]
    verdict = documents[-1]
    assert (verdict["verdict"], [(each["file"], each["verdict"]) for each in verdict["files"]]) == (
        "WARN",
        [(str(good), "PASS"), (str(slow), "WARN")],
    )
    device = verdict["files"][1]["devices"][0]
    assert (device["device"], device["serial"], device["reasons"][0]["code"]) == (
        "gpu0",
        "1650124031592",
        "row_remap_pending",
    )
    assert set(device["reasons"][0]) == {"code", "verdict", "message", "evidence", "remedy", "repeat"}


def test_facts_are_in_base_units(tmp_path: Path) -> None:
    (path,) = write(tmp_path, smi=made.smi_text({}))
    document = json.loads(run("--json", path).output.splitlines()[0])
    facts = {fact["metric"]: fact["value"] for fact in document["facts"] if fact["subject"] == "gpu0"}
    assert (facts["sm_clock_hertz"], facts["power_watts"], facts["utilization_ratio"]) == (1.7e9, 690.0, 1.0)


def test_what_is_expected_of_the_network_can_be_said(tmp_path: Path) -> None:
    (path,) = write(tmp_path, out=made.nccl_text([(8 << 30, 150.0, "0")], hosts=["a"] * 8 + ["b"] * 8))
    assert [run(path).exit_code, run("--expect", "150", path).exit_code, run("--expect", "200", path).exit_code] == [
        3,
        0,
        1,
    ]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\x7fELF\x00\x01" + bytes(range(256)) * 8, "it is binary: the text that a tool printed is missing"),
        (gzip.compress(GOOD.encode()), "it is packed with gzip: unpack it first"),
        (b"   \n\n", "it is empty: the tool's output is missing"),
    ],
    ids=["binary", "gzip", "blank"],
)
def test_what_is_no_text_is_an_error_with_one_sentence(content: bytes, sentence: str) -> None:
    result = run("-", stdin=content)
    assert (result.exit_code, sentence in result.output) == (3, True)


def test_text_of_windows_shells_is_read() -> None:
    assert run("-", stdin=GOOD.encode("utf-16")).exit_code == 0


def test_a_file_without_end_is_refused_after_a_bounded_part(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(io.RawIOBase):
        asked = 0

        def read(self, size: int = -1) -> bytes:
            Endless.asked += size
            return b"x" * size

    monkeypatch.setattr(reading, "LIMIT_BYTES", 1000)
    monkeypatch.setattr(sys, "stdin", type("Stdin", (), {"buffer": Endless()})())
    judged = reading.judge_file("-")
    assert (judged.reasons[0].code, Endless.asked) == ("too_large", 1001)


def test_a_file_that_can_not_be_read_is_an_error() -> None:
    result = run("/proc/self/mem")  # its first bytes are mapped nowhere
    assert (result.exit_code, "ERROR unreadable: it can't be read: Input/output error" in result.output) == (3, True)


def test_reasons_of_several_gpus_in_equal_words_are_one_line(tmp_path: Path) -> None:
    (path,) = write(tmp_path, smi=made.smi_text({"Remapped Rows/Pending": "Yes"}, {"Remapped Rows/Pending": "Yes"}, {}))
    lines = run(path).output.splitlines()
    assert "gpu0, gpu1 WARN row_remap_pending: a row remapping waits for a reset" in lines
    assert lines[-1] == f"{path}: WARN"


def test_control_characters_of_a_file_do_not_reach_the_terminal(tmp_path: Path) -> None:
    text = made.smi_text({"GPU Recovery Action": "\x1b]0;title\x07Reset\x08"})
    (path,) = write(tmp_path, smi=text)
    output = run(path).output
    assert not any(sign in output for sign in ("\x1b", "\x07", "\x08"))


@pytest.mark.skipif(not DATA.exists(), reason=f"captured public data are not at {DATA}")
def test_the_example_of_the_page_is_what_the_command_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    page = DOCS.read_text()
    example = page.partition("## Example\n\n")[2].partition("\n## ")[0]
    command, _, printed = textwrap.dedent(example).strip("\n").partition("\n")
    monkeypatch.chdir(DATA)
    assert run(*command.split()[3:]).output.strip("\n") == printed.strip("\n")
    document = json.loads(page.partition("```json\n")[2].partition("\n```")[0])
    assert json.loads(run("--json", document["files"][0]["file"]).output.splitlines()[-1]) == document


def test_the_command_starts_without_heavy_libraries() -> None:
    code = "import sys, fryer.imports.reading; print([m for m in ('torch', 'pynvml', 'sqlmodel') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("name", [each.name for each in FORMATS])
def test_the_page_names_each_format(name: str) -> None:
    assert f"| {name} |" in DOCS.read_text()
