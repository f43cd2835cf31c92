"""The command as people and scripts call it: real processes on this machine."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

FRYER = str(Path(sys.executable).with_name("fryer"))


def fryer(*arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run([FRYER, *arguments], check=False, capture_output=True, text=True, timeout=timeout)


def test_this_machine_is_qualified_and_the_result_is_kept(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = fryer(
        "run",
        "--nodes",
        "localhost",
        "--duration",
        "6s",
        "--burns",
        "gemm,hbm",
        "--json",
        "--state",
        str(tmp_path),
        "--report",
        str(page),
    )
    documents = [json.loads(line) for line in done.stdout.splitlines()]
    assert documents[-1]["type"] == "verdict", done.stderr
    assert done.returncode in (0, 1, 3)
    gemm = [d for d in documents if d["type"] == "measurement" and d["burn"] == "gemm"]
    assert gemm
    assert all(len(d["digest"]) == 16 for d in gemm)
    assert page.read_text(encoding="utf-8").startswith("<!")
    kept = fryer("history", "--state", str(tmp_path), "--json")
    assert documents[-1]["run_id"] in kept.stdout


def test_equal_seeds_give_equal_digests(tmp_path: Path) -> None:
    digests = []
    for _ in range(2):
        done = fryer(
            "run",
            "--nodes",
            "localhost",
            "--simulate",
            "healthy",
            "--burns",
            "gemm",
            "--duration",
            "4s",
            "--dtypes",
            "bf16",
            "--no-keep",
            "--json",
        )
        documents = [json.loads(line) for line in done.stdout.splitlines()]
        digests.append({d["device"]: d["digest"] for d in documents if d["type"] == "measurement"})
    assert digests[0] == digests[1]
    assert len(set(digests[0].values())) == 1


@pytest.mark.parametrize(("number", "said"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")])
def test_a_signal_stops_cleanly_keeps_what_was_measured_and_is_inconclusive(
    number: int, said: str, tmp_path: Path
) -> None:
    process = subprocess.Popen(
        [
            FRYER,
            "run",
            "--nodes",
            "localhost",
            "--simulate",
            "healthy",
            "--burns",
            "gemm",
            "--duration",
            "300s",
            "--json",
            "--state",
            str(tmp_path),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    documents = []
    for line in process.stdout:
        documents.append(json.loads(line))
        if documents[-1]["type"] == "point":
            process.send_signal(number)
            break
    rest, _ = process.communicate(timeout=60)
    last = json.loads(rest.splitlines()[-1])
    assert (process.returncode, last["verdict"]) == (3, "INCONCLUSIVE")
    assert said in rest
    assert any(json.loads(line)["type"] == "measurement" for line in rest.splitlines())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--nodes", ""), "--nodes localhost"),
        (("--nodes", "node[001"), "node[001-004,007]"),
        (("--nodes", "elsewhere", "--launcher", "shh"), "did you mean 'ssh'"),
        (("--nodes", "localhost", "--dtypes", "bf61"), "did you mean 'bf16'"),
        (("--nodes", "localhost", "--burns", "gem"), "did you mean 'gemm'"),
        (("--nodes", "localhost", "--duration", "soon"), "10s, 1m30s or 2h"),
        (("--nodes", "localhost", "--duration", "0s"), "1s to 30d"),
        (("--nodes", "localhost", "--memory", "2"), "between 0 and 1"),
        (("--nodes", "localhost", "--simulate", "slow_gp"), "did you mean 'slow_gpu'"),
        (("--nodes", "node099", "--simulate", "healthy"), "no node 'node099'"),
        (("--nodes", "localhost", "--report", "/nowhere/at/all.html"), "/nowhere/at/all.html"),
    ],
)
def test_wrong_usage_is_one_sentence_with_what_to_do_and_exit_2(
    arguments: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    done = fryer("run", *arguments, "--state", str(tmp_path))
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("fryer: ")
    assert words in done.stderr


def test_a_corrupt_database_is_said_before_anything_burns_and_is_left_as_it_was(tmp_path: Path) -> None:
    database = tmp_path / "fryer.db"
    database.write_bytes(b"no database at all" * 100)
    done = fryer("run", "--nodes", "localhost", "--duration", "2s", "--state", str(tmp_path))
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1
    assert str(database) in done.stderr
    assert database.read_bytes() == b"no database at all" * 100


def test_an_unknown_command_is_told_the_nearest_one() -> None:
    done = fryer("histroy")
    assert (done.returncode, done.stdout) == (2, "")
    assert "did you mean 'history'" in done.stderr


def test_help_names_every_command_and_loads_nothing_heavy() -> None:
    script = (
        "import sys\nfrom fryer.main import main\nsys.argv = ['fryer', '--help']\ntry:\n    main()\n"
        "except SystemExit:\n    pass\n"
        "print(sorted({'torch', 'textual', 'sqlmodel', 'sqlalchemy', 'plotly', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
    for command in ("run", "history", "report", "scenarios"):
        assert command in done.stdout
        assert fryer(command, "--help").returncode == 0
