"""A run over many nodes that was cut off goes on where it was, from what is on the disk."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fleet_results import make_fleet

from fryer.archive import load
from fryer.fleet.conductor import conduct, nothing_past
from fryer.fleet.journal import Journal, discard, resume, unfinished
from fryer.fleet.network_plan import NetworkPlan
from fryer.fleet.simulated import SimulatedHosts
from fryer.localise import Trial
from fryer.outputs.fleet_table import FleetTable
from fryer.plan import make_plan
from fryer.platform import versions
from fryer.result import RunInfo, RunResult
from fryer.stopper import Stopper
from watchdog.simulator.scenario import load as load_scenario
from watchdog.store import Store
from watchdog.vocabulary.errors import StoreError, UsageError

READY = "fleet_two_faults"


def info(run_id: str = "11111111-2222-4333-8444-555555555555") -> RunInfo:
    nodes = load_scenario(READY).fleet.node_names
    plan = make_plan(
        nodes=nodes, seconds=20.0, dtypes=(), burns=(), seed=1, memory_ratio=None, scenario=READY, expected_gpus=None
    )
    return RunInfo(run_id=run_id, started_at="2026-01-01T00:00:00+00:00", plan=plan, command="fryer run")


def journalled(directory: Path, most: int) -> RunResult:
    """A whole run, of which only the first `most` pieces reached the disk."""
    journal = Journal(directory, info())
    left = [most]

    def keep(piece: object) -> None:
        left[0] -= 1
        if left[0] >= 0:
            journal.keep(piece)  # type: ignore[arg-type]

    result = conduct(
        info(),
        SimulatedHosts(load_scenario(READY)),
        FleetTable(io.StringIO(), io.StringIO()),
        Stopper(),
        past=nothing_past,
        network=NetworkPlan(),
        keep=keep,
    )
    journal.close()
    return result


def test_what_was_kept_comes_back(tmp_path: Path) -> None:
    result = journalled(tmp_path, most=10**6)
    taken = resume(tmp_path, "1111")
    known = taken.known
    assert taken.info == info()
    assert known.evidence == {one.node: one for one in result.evidence}
    assert result.network is not None
    assert known.network is not None
    assert known.network.trials == result.network.trials
    assert known.network.rounds == result.network.rounds
    assert known.network.sweeps == result.network.sweeps
    assert len(known.network.sweeps) > 1


def test_a_round_of_which_no_group_was_kept_is_begun_again(tmp_path: Path) -> None:
    fleet = make_fleet(8)
    assert fleet.network is not None
    first, second = fleet.network.rounds[:2]
    journal = Journal(tmp_path, info())
    journal.keep(first)
    journal.keep(fleet.network.trials[0])
    journal.keep(second)
    journal.close()
    known = resume(tmp_path, "1").known.network
    assert known is not None
    assert known.rounds == (first,)


def test_a_last_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    journalled(tmp_path, most=3)
    path = tmp_path / "unfinished" / f"{info().run_id}.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    assert len(resume(tmp_path, "1").known.evidence) == 2


def test_an_unknown_run_is_told_which_there_are(tmp_path: Path) -> None:
    journalled(tmp_path, most=1)
    with pytest.raises(UsageError, match=f"unfinished are {info().run_id}"):
        resume(tmp_path, "9")


def test_a_file_that_is_no_journal_is_an_error(tmp_path: Path) -> None:
    journalled(tmp_path, most=1)
    (tmp_path / "unfinished" / f"{info().run_id}.jsonl").write_text('{"type": "run", "info": {"run_id": 3}}\n')
    with pytest.raises(StoreError, match="begin a new run"):
        resume(tmp_path, "1")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b'"version": 1', b'"version": 2', "of version 2, and this Fryer reads fryer/unfinished of version 1"),
        (b"{", b"\xff{", "can't be read"),
        (b"{", b"[]\n{", "no JSON object"),
    ],
)
def test_a_journal_of_another_version_or_none_at_all_is_never_guessed_at(
    tmp_path: Path, old: bytes, new: bytes, said: str
) -> None:
    journalled(tmp_path, most=1)
    path = tmp_path / "unfinished" / f"{info().run_id}.jsonl"
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    with pytest.raises(StoreError, match=said):
        resume(tmp_path, "1")


def test_a_run_of_another_fryer_is_not_gone_on_with(tmp_path: Path) -> None:
    journalled(tmp_path, most=1)
    path = tmp_path / "unfinished" / f"{info().run_id}.jsonl"
    path.write_text(path.read_text().replace(f'"fryer": "{versions()["fryer"]}"', '"fryer": "0.0.1"', 1))
    with pytest.raises(UsageError, match=r"of Fryer 0.0.1, and this is .*; install that one, or begin a new run"):
        resume(tmp_path, "1")


def test_a_run_that_is_still_going_on_is_not_begun_a_second_time(tmp_path: Path) -> None:
    journal = Journal(tmp_path, info())
    with pytest.raises(UsageError, match="that run is still going on"):
        resume(tmp_path, "1")
    journal.close()
    taken = resume(tmp_path, "1")
    with pytest.raises(UsageError, match="that run is still going on"):
        resume(tmp_path, "1")
    os.close(taken.lock)
    os.close(resume(tmp_path, "1").lock)


def test_a_journal_is_gone_once_its_run_is_kept(tmp_path: Path) -> None:
    journalled(tmp_path, most=1)
    discard(tmp_path, info().run_id)
    assert unfinished(tmp_path) == []


def test_trials_of_other_results_read_back_too(tmp_path: Path) -> None:
    fleet = make_fleet(8)
    assert fleet.network is not None
    journal = Journal(tmp_path, info())
    for trial in fleet.network.trials:
        journal.keep(trial)
    journal.close()
    known = resume(tmp_path, "1").known
    assert known.network is not None
    assert known.network.trials == fleet.network.trials
    assert all(isinstance(trial, Trial) for trial in known.network.trials)


@pytest.mark.parametrize("most", [5, 18, 36, 45])
def test_the_command_goes_on_and_comes_to_the_same_verdicts(tmp_path: Path, most: int) -> None:
    whole = journalled(tmp_path, most=most)
    words = [sys.executable, "-m", "fryer", "run", "--resume", "1111", "--state", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stderr
    assert unfinished(tmp_path) == []
    store = Store.open(tmp_path)
    [run] = store.runs(10)
    kept = load(store, run.run_id)
    assert [(v.node, v.verdict) for v in kept.verdicts] == [(v.node, v.verdict) for v in whole.verdicts]
    assert kept.network is not None
    assert whole.network is not None
    rounds = [(each.number, each.rail) for each in kept.network.rounds]
    assert set(rounds) == {(trial.round, trial.rail) for trial in kept.network.trials}
    assert len(set(rounds)) == len(rounds)
    assert len(kept.network.sweeps) == len(whole.network.sweeps)


def test_resume_takes_no_other_nodes(tmp_path: Path) -> None:
    journalled(tmp_path, most=1)
    words = [sys.executable, "-m", "fryer", "run", "--resume", "1", "--nodes", "a", "--state", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (
        2,
        "fryer: --resume goes on as the run began: leave out --nodes\n",
    )
