"""``fryer report`` as people call it."""

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fryer.archive import load, save
from fryer.cli.report import app
from fryer.evidence import DeviceInfo, DeviceVerdict, Measurement, NodeEvidence, NodeVerdict
from fryer.outputs.html import render
from fryer.plan import Phase, Plan
from fryer.records import FLOPS, Point
from fryer.result import RunInfo, RunResult
from watchdog.store import Store
from watchdog.vocabulary.errors import UsageError
from watchdog.vocabulary.verdicts import Verdict


def a_result(number: int) -> RunResult:
    series = tuple(
        Point(device="gpu0", burn="gemm", case="bf16", metric=FLOPS, at_seconds=float(at), value=7e14 + at)
        for at in range(1, 6)
    )
    measurement = Measurement(
        device="gpu0",
        burn="gemm",
        case="bf16",
        metric=FLOPS,
        value=7e14,
        spread_ratio=0.001,
        steady_from_seconds=2.0,
        digest=None,
        series=series,
    )
    plan = Plan(nodes=("n1",), dtypes=(), phases=(Phase(burn="gemm", seconds=4.0),), seed=number, memory_ratio=None)
    info = RunInfo(
        run_id=f"{number}2345678-aaaa",
        started_at=f"2026-01-0{number}T08:00:00+00:00",
        plan=plan,
        command=f"fryer run --seed {number}",
    )
    device = DeviceInfo(name="gpu0", kind="cuda", part="H100", uuid="GPU-5f3a1b2c-0001")
    verdict = NodeVerdict(
        node="n1",
        verdict=Verdict.PASS,
        reasons=(),
        devices=(DeviceVerdict(device="gpu0", verdict=Verdict.PASS, reasons=()),),
    )
    return RunResult(
        info=info,
        seconds=5.0,
        verdicts=(verdict,),
        evidence=(
            NodeEvidence(node="n1", devices=(device,), versions={"fryer": "0.1.0"}, measurements=(measurement,)),
        ),
    )


@pytest.fixture
def state(tmp_path: Path) -> Path:
    store = Store.open(tmp_path / "state")
    for number in (2, 3, 1):
        save(store, a_result(number))
    return tmp_path / "state"


def asked(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def test_last_is_the_run_that_started_last(state: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    outcome = asked("last", "--html", page, "--state", state)
    assert (outcome.exit_code, outcome.stdout) == (0, "")
    assert outcome.stderr == f"run 32345678-aaaa (PASS): {page}\n"
    assert page.read_text(encoding="utf-8") == render(a_result(3))


def test_a_run_is_named_by_the_start_of_its_id(state: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert asked("12", "--html", page, "--state", state).exit_code == 0
    assert page.read_text(encoding="utf-8") == render(a_result(1))


def test_the_page_of_a_kept_run_is_that_of_the_run_itself(state: Path) -> None:
    assert render(load(Store.open_to_read(state), "2")) == render(a_result(2))


def test_an_unknown_run_is_refused_and_no_file_is_made(state: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="9999"):
        asked("9999", "--html", tmp_path / "page.html", "--state", state)
    assert not (tmp_path / "page.html").exists()


def test_last_of_an_empty_store_says_how_to_make_a_run(tmp_path: Path) -> None:
    Store.open(tmp_path / "state")
    with pytest.raises(UsageError, match="no results are kept in"):
        asked("last", "--html", tmp_path / "page.html", "--state", tmp_path / "state")


def test_a_file_that_cannot_be_written_is_refused(state: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no directory"):
        asked("last", "--html", tmp_path / "none" / "page.html", "--state", state)


def two_nodes() -> RunResult:
    one = a_result(4)
    other = replace(one.evidence[0], node="n2"), replace(one.verdicts[0], node="n2")
    return replace(one, evidence=(*one.evidence, other[0]), verdicts=(*one.verdicts, other[1]))


def test_several_nodes_are_all_in_the_page() -> None:
    page = render(two_nodes())
    assert ">n1</th>" in page
    assert ">n2</th>" in page


def test_of_a_run_over_many_nodes_one_can_have_a_page_of_its_own(tmp_path: Path) -> None:
    save(Store.open(tmp_path / "state"), two_nodes())
    page = tmp_path / "page.html"
    outcome = asked("last", "--node", "n2", "--html", page, "--state", tmp_path / "state")
    assert outcome.exit_code == 0
    text = page.read_text(encoding="utf-8")
    assert "n2: PASS (1 device)" in text
    assert "n1: PASS" not in text
    assert "<h3>Rates</h3>" in text


def test_a_node_that_was_not_in_the_run_is_refused_with_the_nearest(tmp_path: Path) -> None:
    save(Store.open(tmp_path / "state"), two_nodes())
    with pytest.raises(UsageError, match="run 42345678 has no node 'n22'; did you mean 'n2'"):
        asked("last", "--node", "n22", "--html", tmp_path / "page.html", "--state", tmp_path / "state")
