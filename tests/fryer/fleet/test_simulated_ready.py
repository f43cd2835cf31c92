"""Every ready fleet through the whole command: true conductor, judges, localisation and store, and the true verdict."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from watchdog.simulator.scenario import is_of_fleet, load, ready_names
from watchdog.vocabulary.verdicts import Verdict, exit_code

FRYER = str(Path(sys.executable).with_name("fryer"))


@pytest.mark.parametrize("name", [name for name in ready_names() if is_of_fleet(name)])
def test_a_ready_fleet_names_the_nodes_and_paths_that_are_bad_and_no_others(name: str, tmp_path: Path) -> None:
    scenario = load(name)
    expect = scenario.expect
    assert expect is not None
    command = [FRYER, "run", "--nodes", scenario.fleet.nodes, "--simulate", name, "--json", "--state", str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=200)
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["type"], last["verdict"]) == ("verdict", expect.verdict), done.stderr
    assert done.returncode == exit_code(expect.verdict)
    assert {n["node"]: n["verdict"] for n in last["nodes"] if n["verdict"] != Verdict.PASS} == dict(expect.nodes)
    assert {"-".join(link["nodes"]): link["verdict"] for link in last["links"]} == dict(expect.links)
    devices = {f"{node['node']}/{each['device']}": each for node in last["nodes"] for each in node["devices"]}
    assert {device: devices[device]["verdict"] for device in expect.devices} == dict(expect.devices)
    reasons = [reason for holder in (*last["nodes"], *devices.values()) for reason in holder["reasons"]]
    assert set(expect.codes) <= {reason["code"] for reason in (*reasons, *last["links"])}
