"""An hour's burn ends within seconds where a GPU fails beyond doubt, and goes on where somebody wants it to."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FRYER = str(Path(sys.executable).with_name("fryer"))
FLEET = 'seed = 5\nspeed = 20.0\n[fleet]\nnodes = "n1"\npart = "H100-SXM5-80GB"\ngpus_per_node = 4\nnoise = 0.01\n'
FAULTS = {
    "wrong_bits": 'on = "n1/gpu2"\nkind = "wrong_bits"\nbits = 1\nevery = 50\n',
    "slow": 'on = "n1/gpu2"\nkind = "slow"\nfactor = 0.4\n',
}


def run(tmp_path: Path, fault: str, *words: str) -> tuple[int, dict[str, Any]]:
    scenario = tmp_path / "scenario.toml"
    scenario.write_text(f"{FLEET}[[fault]]\n{FAULTS[fault]}")
    done = subprocess.run(
        [FRYER, "run", "--nodes", "n1", "--simulate", str(scenario), "--json", "--no-keep", "--dtypes", "bf16", *words],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


def verdicts(document: dict[str, Any]) -> dict[str, str]:
    return {device["device"]: device["verdict"] for device in document["nodes"][0]["devices"]}


@pytest.mark.parametrize(("fault", "code"), [("wrong_bits", "wrong_result"), ("slow", "below_node")])
def test_a_clear_failure_ends_the_burns_of_the_node(fault: str, code: str, tmp_path: Path) -> None:
    exit_code, last = run(tmp_path, fault, "--duration", "2h")
    assert exit_code == 1
    (node,) = last["nodes"]
    assert node["interrupted"] == "a clear failure of gpu2 (--no-early-stop burns on)"
    assert verdicts(last) == {f"gpu{i}": "FAIL" if i == 2 else "INCONCLUSIVE" for i in range(4)}
    (codes,) = [{r["code"] for r in device["reasons"]} for device in node["devices"] if device["device"] == "gpu2"]
    assert {code, "clear_failure"} <= codes


@pytest.mark.parametrize(
    "words",
    [("--duration", "90s", "--no-early-stop"), ("--duration", "75s")],
    ids=["not wanted", "little left"],
)
def test_it_burns_on_where_that_is_wanted_or_an_end_would_save_nothing(words: tuple[str, ...], tmp_path: Path) -> None:
    exit_code, last = run(tmp_path, "wrong_bits", "--burns", "gemm", *words)
    assert exit_code == 1
    assert last["nodes"][0]["interrupted"] is None
    assert verdicts(last) == {f"gpu{i}": "FAIL" if i == 2 else "PASS" for i in range(4)}
