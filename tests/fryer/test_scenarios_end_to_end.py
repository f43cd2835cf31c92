"""Every ready scenario through the whole command: real processes, real pynvml code, real products, real verdict."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from watchdog.simulator.scenario import is_of_fleet, load, ready_names
from watchdog.vocabulary.verdicts import exit_code

FRYER = str(Path(sys.executable).with_name("fryer"))


@pytest.mark.parametrize("name", [name for name in ready_names() if not is_of_fleet(name)])
def test_a_ready_scenario_leads_to_the_verdict_that_it_promises(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            FRYER,
            "run",
            "--nodes",
            "localhost",
            "--duration",
            "20s",
            "--simulate",
            name,
            "--json",
            "--state",
            str(tmp_path),
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=200,
    )
    expect = load(name).expect
    assert expect is not None
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["type"], last["verdict"]) == ("verdict", expect.verdict), done.stderr
    assert done.returncode == exit_code(expect.verdict)
    (node,) = last["nodes"]
    verdicts = {device["device"]: device["verdict"] for device in node["devices"]}
    assert {device: verdicts[device] for device in expect.devices} == dict(expect.devices)
    codes = {reason["code"] for device in node["devices"] for reason in device["reasons"]}
    codes |= {reason["code"] for reason in node["reasons"]}
    assert set(expect.codes) <= codes
