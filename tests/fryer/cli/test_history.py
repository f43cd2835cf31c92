"""``fryer history`` as people and scripts see it."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fryer.archive import load, save, spool
from fryer.cli.history import app
from fryer.evidence import DeviceInfo, DeviceVerdict, Measurement, NodeEvidence, NodeVerdict
from fryer.plan import Phase, Plan
from fryer.records import FLOPS
from fryer.result import RunInfo, RunResult
from watchdog.store import Store
from watchdog.vocabulary.errors import StoreError, UsageError
from watchdog.vocabulary.verdicts import Verdict

ROOT = Path(__file__).parents[3]


def a_result(number: int, value: float, verdict: Verdict = Verdict.PASS, kind: str = "cuda") -> RunResult:
    device = DeviceInfo(name="gpu0", kind=kind, part="H100", uuid="GPU-5f3a1b2c-0001")
    measurement = Measurement(
        device="gpu0",
        burn="gemm",
        case="bf16",
        metric=FLOPS,
        value=value,
        spread_ratio=0.001,
        steady_from_seconds=2.0,
        digest=None,
        series=(),
    )
    plan = Plan(nodes=("n1",), dtypes=(), phases=(Phase(burn="gemm", seconds=4.0),), seed=1, memory_ratio=0.9)
    info = RunInfo(
        run_id=f"{number}2345678-aaaa",
        started_at=f"2026-01-0{number}T23:30:00-01:00",
        plan=plan,
        command=f"fryer run --seed {number}",
    )
    return RunResult(
        info=info,
        seconds=85.0,
        evidence=(NodeEvidence(node="n1", devices=(device,), versions={}, measurements=(measurement,)),),
        verdicts=(
            NodeVerdict(
                node="n1",
                verdict=verdict,
                reasons=(),
                devices=(DeviceVerdict(device="gpu0", verdict=verdict, reasons=()),),
            ),
        ),
    )


@pytest.fixture
def state(tmp_path: Path) -> Path:
    store = Store.open(tmp_path / "state")
    for result in (a_result(1, 7.3e14), a_result(2, 7.25e14), a_result(3, 6.1e14, Verdict.FAIL)):
        save(store, result)
    return tmp_path / "state"


def shown(*arguments: object) -> str:
    outcome = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    return outcome.stdout


def documents(*arguments: object) -> list[dict[str, Any]]:
    return [json.loads(line) for line in shown(*arguments, "--json").splitlines()]


def test_without_a_selection_the_runs_are_listed_newest_first(state: Path) -> None:
    assert (
        shown("--state", state)
        == """\
date (UTC)        nodes  devices   took  verdict  run       command
2026-01-04 00:30  n1           1  1m25s  FAIL     32345678  fryer run --seed 3
2026-01-03 00:30  n1           1  1m25s  PASS     22345678  fryer run --seed 2
2026-01-02 00:30  n1           1  1m25s  PASS     12345678  fryer run --seed 1
"""
    )


DRIFT = """\
date (UTC)        node  device  uuid          burn  case        value  vs previous  vs first  verdict  run
2026-01-02 00:30  n1    gpu0    GPU-5f3a1b2c  gemm  bf16  730 TFLOP/s            -         -  PASS     12345678
2026-01-03 00:30  n1    gpu0    GPU-5f3a1b2c  gemm  bf16  725 TFLOP/s        -0.7%     -0.7%  PASS     22345678
2026-01-04 00:30  n1    gpu0    GPU-5f3a1b2c  gemm  bf16  610 TFLOP/s       -15.9%    -16.4%  FAIL     32345678
"""


@pytest.mark.parametrize(
    "selection",
    [("--node", "n1"), ("--gpu", "GPU-5f"), ("--burn", "gemm"), ("--node", "n1", "--gpu", "5f3a", "--burn", "gemm")],
)
def test_a_selection_shows_how_its_figures_moved(state: Path, selection: tuple[str, ...]) -> None:
    assert shown("--state", state, *selection) == DRIFT


def test_the_limit_is_of_runs_and_changes_still_count_from_the_first(state: Path) -> None:
    header, *lines = DRIFT.splitlines(keepends=True)
    assert shown("--state", state, "--node", "n1", "--limit", 1) == header + lines[-1]
    assert [document["run_id"] for document in documents("--state", state, "--limit", 2)] == [
        "32345678-aaaa",
        "22345678-aaaa",
    ]


def test_a_simulated_figure_says_so(state: Path) -> None:
    save(Store.open(state), a_result(4, 1e14, kind="simulated"))
    assert "gpu0 (simulated)" in shown("--state", state, "--node", "n1").splitlines()[-1]


def test_scripts_get_one_document_a_line(state: Path) -> None:
    last = documents("--state", state, "--gpu", "GPU-5f")[-1]
    changes = last.pop("change_from_previous_ratio"), last.pop("change_from_first_ratio")
    assert changes == (6.1e14 / 7.25e14 - 1, 6.1e14 / 7.3e14 - 1)
    assert last == {
        "type": "measurement",
        "schema": "fryer/history",
        "version": 1,
        "run_id": "32345678-aaaa",
        "started_at": "2026-01-03T23:30:00-01:00",
        "started_epoch_seconds": 1767486600.0,
        "node": "n1",
        "device": "gpu0",
        "kind": "cuda",
        "part": "H100",
        "uuid": "GPU-5f3a1b2c-0001",
        "serial": None,
        "burn": "gemm",
        "case": "bf16",
        "metric": "flops_per_second",
        "value": 6.1e14,
        "spread_ratio": 0.001,
        "digest": None,
        "verdict": "FAIL",
        "is_steady": True,
        "seed": 1,
        "versions": {},
    }
    assert documents("--state", state)[-1] == {
        "type": "run",
        "schema": "fryer/history",
        "version": 1,
        "run_id": "12345678-aaaa",
        "started_at": "2026-01-01T23:30:00-01:00",
        "command": "fryer run --seed 1",
        "seconds": 85.0,
        "verdict": "PASS",
        "nodes": ["n1"],
        "num_devices": 1,
    }


def test_an_empty_store_shows_no_run_and_says_so_to_the_person(tmp_path: Path) -> None:
    Store.open(tmp_path)
    outcome = CliRunner().invoke(app, ["--state", str(tmp_path)])
    assert (outcome.exit_code, outcome.stdout) == (0, "")
    assert outcome.stderr == f"no results are kept in {tmp_path}/fryer.db yet: `fryer run` makes the first\n"
    assert documents("--state", tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--node", "n2"], "no result of a node 'n2' is kept; known: n1"),
        (["--gpu", "GPU-6"], "no result of a device 'GPU-6' is kept"),
        (["--burn", "gem"], "--burn: unknown burn 'gem'; did you mean 'gemm'"),
        (["--node", "n1", "--burn", "hbm"], "no figure of burn hbm of n1 is kept; `fryer history` lists the runs"),
        (["--node", "n1", "--import", "x"], "--import takes in a whole result"),
        (["--import", "/nonexistent"], "can't read /nonexistent: No such file"),
    ],
)
def test_what_is_not_kept_is_one_sentence(state: Path, arguments: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        CliRunner().invoke(app, ["--state", str(state), *arguments], catch_exceptions=False)
    assert "\n" not in str(caught.value)


def test_a_directory_without_results_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no results are kept in"):
        CliRunner().invoke(app, ["--state", str(tmp_path / "typo")], catch_exceptions=False)
    assert not (tmp_path / "typo").exists()


def test_a_damaged_database_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "fryer.db").write_bytes(b"junk" * 1000)
    with pytest.raises(StoreError, match="is damaged or no database"):
        CliRunner().invoke(app, ["--state", str(tmp_path)], catch_exceptions=False)


def test_a_spooled_result_is_taken_in_once(state: Path, tmp_path: Path) -> None:
    result = a_result(4, 7e14)
    file = spool(result, tmp_path)
    path = state / "fryer.db"
    assert shown("--state", state, "--import", file) == f"run 42345678-aaaa (PASS) is now kept in {path}\n"
    assert shown("--state", state, "--import", file) == f"run 42345678-aaaa (PASS) is already kept in {path}\n"
    assert load(Store.open_to_read(state), "4") == result
    assert documents("--state", state, "--import", file) == [
        {
            "type": "import",
            "schema": "fryer/history",
            "version": 1,
            "run_id": "42345678-aaaa",
            "imported": False,
            "path": str(path),
        }
    ]


def test_a_figure_that_is_no_number_is_null_to_scripts(state: Path) -> None:
    save(Store.open(state), replace(a_result(4, float("nan"))))
    assert documents("--state", state, "--node", "n1")[-1]["value"] is None
    assert "no number" in shown("--state", state, "--node", "n1")


def test_a_terminal_gets_colour_and_nothing_is_cut_off(state: Path) -> None:
    """Ids are there to be copied, also from a narrow window."""
    command = f"{sys.executable} -c 'from fryer.cli.history import app; app()' --state {state} --node n1"
    drawn = subprocess.run(
        ["script", "-qec", command, "/dev/null"],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=True,
        stdin=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin", "TERM": "xterm"},
    ).stdout
    assert "GPU-5f3a1b2c" in drawn
    assert "12345678" in drawn
    assert "…" not in drawn
    assert "\x1b[1;31mFAIL" in drawn


def test_help_has_examples_and_exit_codes() -> None:
    text = shown("--help")
    assert "fryer history --gpu GPU-5f3a --burn gemm" in text
    assert "Exit codes: 0 shown; 2 wrong usage" in text


def test_asking_for_help_loads_no_database_library() -> None:
    code = (
        "import sys; from fryer.cli import history; "
        "print([name for name in ('torch', 'sqlmodel', 'sqlalchemy', 'rich.table') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True, check=True).stdout
    assert found == "[]\n"


def a_fleet(number: int, fates: dict[str, tuple[float, Verdict]], scenario: str | None = None) -> RunResult:
    """A run over nodes of one GPU each: by node its rate and verdict."""
    kind = "simulated" if scenario else "cuda"
    parts = [(name, a_result(number, value, verdict, kind)) for name, (value, verdict) in fates.items()]
    evidence = tuple(
        replace(
            part.evidence[0],
            node=name,
            devices=tuple(replace(device, uuid=f"GPU-{name}") for device in part.evidence[0].devices),
        )
        for name, part in parts
    )
    verdicts = tuple(replace(part.verdicts[0], node=name) for name, part in parts)
    first = parts[0][1]
    plan = replace(first.info.plan, nodes=tuple(fates), scenario=scenario)
    return replace(first, info=replace(first.info, plan=plan), evidence=evidence, verdicts=verdicts)


P, F = Verdict.PASS, Verdict.FAIL


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    store = Store.open(tmp_path / "state")
    save(store, a_fleet(1, {"n1": (7e14, P), "n2": (7e14, P), "n3": (7e14, P), "n4": (6e14, F), "n5": (7e14, P)}))
    save(store, a_fleet(2, {"n1": (7.1e14, P), "n2": (1e14, P)}, scenario="fleet.toml"))
    save(
        store,
        a_fleet(
            3,
            {
                "n1": (7e14, P),
                "n2": (5.6e14, F),
                "n3": (6.65e14, P),
                "n4": (7e14, P),
                "n5": (6.9e14, P),
                "n6": (7e14, P),
            },
        ),
    )
    return tmp_path / "state"


def test_a_run_beside_earlier_ones_tells_the_worse_and_slower_and_folds_the_rest(fleet: Path) -> None:
    assert (
        shown("--state", fleet, "--run", "last")
        == """\
run 32345678 beside the last run of each node before it

change     nodes             verdict       since run  largest fall
worse      n2                PASS -> FAIL  12345678   -20.0% gemm bf16 gpu0, now 560 TFLOP/s
slower     n3                PASS          12345678   -5.0% gemm bf16 gpu0, now 665 TFLOP/s
better     n4 (1 node)       FAIL -> PASS  -          -
new        n6 (1 node)       PASS          -          -
as before  n[1,5] (2 nodes)  PASS          -          -
"""
    )


def test_a_simulated_run_is_beside_simulated_ones_only(fleet: Path) -> None:
    assert [(d["node"], d["change"]) for d in documents("--state", fleet, "--run", "2")] == [
        ("n1", "new"),
        ("n2", "new"),
    ]


def test_changes_as_documents_have_the_figure_that_fell_most(fleet: Path) -> None:
    first = documents("--state", fleet, "--run", "3")[0]
    assert first["worst"].pop("change_ratio") == pytest.approx(-0.2)
    assert first == {
        "type": "change",
        "schema": "fryer/history",
        "version": 1,
        "node": "n2",
        "verdict": "FAIL",
        "previous_verdict": "PASS",
        "previous_run_id": "12345678-aaaa",
        "worst": {
            "device": "gpu0",
            "burn": "gemm",
            "case": "bf16",
            "metric": FLOPS,
            "value": 5.6e14,
            "previous_value": 7e14,
            "previous_run_id": "12345678-aaaa",
        },
        "run_id": "32345678-aaaa",
        "change": "worse",
    }


def test_figures_of_a_device_that_failed_are_no_measure_of_the_next_run(fleet: Path) -> None:
    n4 = next(d for d in documents("--state", fleet, "--run", "3") if d["node"] == "n4")
    assert (n4["change"], n4["worst"]) == ("better", None)


def test_a_comparison_takes_no_other_selection_and_a_run_that_is_kept(fleet: Path) -> None:
    with pytest.raises(UsageError, match="--run compares all nodes"):
        shown("--state", fleet, "--run", "last", "--node", "n1")
    with pytest.raises(UsageError, match="no result of a run '99'"):
        shown("--state", fleet, "--run", "99")
