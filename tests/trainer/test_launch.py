"""The launcher with real processes: small programs stand in for `trainer.rank`, through the module's name."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trainer import codes

PROGRAM = """
import os, signal, sys, time
from pathlib import Path
from trainer.parent import die_with_parent
die_with_parent(int(sys.argv[2]))
rank, home = int(os.environ["RANK"]), Path(os.environ["HOME_OF_TEST"])
(home / f"env{rank}").write_text(" ".join(os.environ[n] for n in
    ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "OMP_NUM_THREADS")))
{body}
"""

LAUNCHER = """
import sys
from pathlib import Path
from trainer.launch import launch
from trainer.options import Options
sys.exit(launch(Options(plan=Path("p"), run=Path("r")), int(sys.argv[1])))
"""


def start(home: Path, body: str, num_ranks: int) -> "subprocess.Popen[bytes]":
    """A launcher that finds another `trainer.rank` first."""
    package = home / "first" / "trainer"
    package.mkdir(parents=True)
    root = Path(__file__).parents[2]
    (package / "__init__.py").write_text(f"__path__.append({str(root / 'trainer')!r})\n")
    (package / "rank.py").write_text(PROGRAM.replace("{body}", body))
    environment = os.environ | {
        "PYTHONPATH": f"{home / 'first'}:{root}",
        "HOME_OF_TEST": str(home),
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.Popen([sys.executable, "-c", LAUNCHER, str(num_ranks)], env=environment, cwd=home)


def wait_for(path: Path) -> None:
    give_up = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def test_each_rank_is_told_its_place(tmp_path: Path) -> None:
    assert start(tmp_path, "", 3).wait(60) == codes.DONE
    told = [(tmp_path / f"env{rank}").read_text() for rank in range(3)]
    assert told == [f"{rank} {rank} 3 127.0.0.1 1" for rank in range(3)]


def test_the_code_of_the_rank_that_failed_first_is_given_and_the_others_are_ended(tmp_path: Path) -> None:
    body = "sys.exit(11) if rank == 1 else time.sleep(0.4); sys.exit(1)"
    assert start(tmp_path, body, 2).wait(60) == codes.PERSON


def test_a_rank_that_was_killed_gives_the_code_that_a_shell_would(tmp_path: Path) -> None:
    assert start(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)", 1).wait(60) == 128 + signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_reaches_every_rank_once(tmp_path: Path, number: signal.Signals) -> None:
    body = """
got = []
signal.signal(NUMBER, lambda *_: got.append(1))
(home / f"ready{rank}").touch()
while not got: time.sleep(0.02)
time.sleep(0.2)
sys.exit(128 + NUMBER if len(got) == 1 else 99)
"""
    launcher = start(tmp_path, body.replace("NUMBER", str(int(number))), 2)
    for rank in range(2):
        wait_for(tmp_path / f"ready{rank}")
    launcher.send_signal(number)
    assert launcher.wait(60) == codes.after_signal(number)


def test_ranks_end_with_a_launcher_that_is_killed(tmp_path: Path) -> None:
    launcher = start(tmp_path, "(home / f'pid{rank}').write_text(str(os.getpid())); time.sleep(600)", 1)
    wait_for(tmp_path / "pid0")
    time.sleep(0.1)
    pid = int((tmp_path / "pid0").read_text())
    launcher.kill()
    launcher.wait()
    give_up = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() and time.monotonic() < give_up:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()
