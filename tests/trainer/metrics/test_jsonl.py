import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trainer_records import BEGUN, ENDED, SAVED, STEP, step

from trainer.metrics.jsonl import JsonLines, read_records
from trainer.metrics.record import to_json

ROOT = Path(__file__).parents[3]


def steps_of(path: Path) -> list[int]:
    return [record["step"] for record in read_records(path)]


def test_records_are_read_back_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "run" / "metrics.jsonl"
    lines = JsonLines(path)
    for record in (BEGUN, STEP, SAVED, ENDED):
        lines.write(record)
    lines.close()
    assert list(read_records(path)) == [to_json(record) for record in (BEGUN, STEP, SAVED, ENDED)]


def test_a_second_attempt_appends(tmp_path: Path) -> None:
    for number in (1, 2):
        lines = JsonLines(tmp_path / "m")
        lines.write(step(number))
        lines.close()
    assert steps_of(tmp_path / "m") == [1, 2]


def test_no_file_has_no_records(tmp_path: Path) -> None:
    assert list(read_records(tmp_path / "none")) == []


def test_a_file_that_cannot_be_read_is_an_error_and_not_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        list(read_records(tmp_path))


@given(st.integers(0, 2000))
def test_a_file_cut_off_anywhere_has_all_whole_lines_and_takes_more(tmp_path_factory: pytest.TempPathFactory, cut: int):
    path = tmp_path_factory.mktemp("cut") / "m"
    lines = JsonLines(path)
    for number in (1, 2, 3):
        lines.write(step(number))
    lines.close()
    data = path.read_bytes()
    cut = min(cut, len(data))
    path.write_bytes(data[:cut])
    # a line without its end is whole all the same
    whole = [number for number in (1, 2, 3) if len(b"".join(data.splitlines(keepends=True)[:number])) - 1 <= cut]
    assert steps_of(path) == whole
    lines = JsonLines(path)
    lines.write(step(9))
    lines.close()
    assert steps_of(path) == [*whole, 9]


@pytest.mark.parametrize("line", [b"\xff\xfe\n", b"[1]\n", b"{}\n", b'{"type": 3}\n', b"\n", b"null\n"])
def test_lines_that_are_no_records_are_skipped(tmp_path: Path, line: bytes) -> None:
    good = json.dumps(to_json(STEP)).encode() + b"\n"
    (tmp_path / "m").write_bytes(good + line + good)
    assert steps_of(tmp_path / "m") == [5, 5]


@given(st.integers(0, 3000))
def test_the_end_of_a_file_has_its_last_whole_lines(tmp_path_factory: pytest.TempPathFactory, most: int) -> None:
    path = tmp_path_factory.mktemp("tail") / "m"
    lines = JsonLines(path)
    for number in (1, 2, 3, 4):
        lines.write(step(number))
    lines.close()
    ends = [len(line) for line in path.read_bytes().splitlines(keepends=True)]
    expected = [number for number in (1, 2, 3, 4) if sum(ends[number - 1 :]) <= most]
    assert [record["step"] for record in read_records(path, most_bytes=most)] == expected


KILLED = """
import os, signal, sys
from pathlib import Path
from trainer_records import step
from trainer.metrics.jsonl import JsonLines
lines = JsonLines(Path(sys.argv[1]))
for number in range(1, 51):
    lines.write(step(number))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_that_is_killed_loses_no_line_that_it_wrote(tmp_path: Path) -> None:
    path = tmp_path / "m"
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests/fakes'}"}
    code = subprocess.run([sys.executable, "-c", KILLED, str(path)], env=environment, check=False).returncode
    assert code == -signal.SIGKILL
    assert steps_of(path) == list(range(1, 51))


FULL = """
import json, resource, signal, sys
from pathlib import Path
from trainer_records import step
from trainer.metrics.jsonl import JsonLines
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
lines = JsonLines(Path(sys.argv[1]))
lines.write(step(1))
size = Path(sys.argv[1]).stat().st_size
# room for one line and a half: the second one is cut off, as on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (size + size // 2, resource.RLIM_INFINITY))
failed = []
for number in (2, 3):
    try:
        lines.write(step(number))
    except OSError as error:
        failed.append(number)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
lines.write(step(4))
print(json.dumps(failed))
"""


def test_lines_that_a_full_disk_refused_are_written_when_there_is_room(tmp_path: Path) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests/fakes'}"}
    told = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "m")], env=environment, check=True, capture_output=True, text=True
    ).stdout
    assert json.loads(told) == [2, 3]
    assert steps_of(tmp_path / "m") == [1, 2, 3, 4]
