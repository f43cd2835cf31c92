from collections.abc import Callable
from pathlib import Path

import pytest

from watchdog.simulator.fault_file import path_ends
from watchdog.simulator.kinds import KINDS
from watchdog.simulator.scenario import READY, is_of_fleet, load, ready_names, scenario_path
from watchdog.vocabulary.errors import UsageError
from watchdog.vocabulary.verdicts import Verdict

Write = Callable[..., str]

REASONS = frozenset(
    {
        "below_floor",
        "below_node",
        "thermal_throttle",
        "power_brake",
        "wrong_result",
        "nan_result",
        "digest_minority",
        "hbm_hot",
        "ecc_uncorrected",
        "ecc_corrected",
        "row_remap_pending",
        "row_remap_failed",
        "xid",
        "device_lost",
        "reader_hung",
        "slow_link",
        "narrow_link",
        "application_xid",
    }
)


def complaints(path: str) -> list[str]:
    with pytest.raises(UsageError) as caught:
        load(path)
    return [line.strip() for line in str(caught.value).splitlines()[1:]]


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        (
            '[[fault]]\non = "node001/gpu3"\nkind = "slow"\nfacter = 0.5\n',
            "fault[1].facter is no key here; did you mean",
        ),
        ('[[fault]]\non = "node001/gpu3"\nkind = "slwo"\nfactor = 0.5\n', "did you mean 'slow'?"),
        ('[[fault]]\non = "node009/gpu3"\nkind = "lost"\n', "fault[1].on is 'node009'; allowed: nodes of the fleet"),
        ('[[fault]]\non = "node001/gpu8"\nkind = "lost"\n', "fault[1].on is 'node001/gpu8'"),
        ('[[fault]]\non = "node001/tpu1"\nkind = "lost"\n', "fault[1].on is 'node001/tpu1'"),
        ('[[fault]]\non = "node001/nic0"\nkind = "lost"\n', "fault[1].on is 'node001/nic0'"),
        ('[[fault]]\nkind = "lost"\n', "fault[1].on is missing"),
        ('[[fault]]\non = "node001/gpu0"\nkind = "slow"\n', "fault[1].factor is missing"),
        ('[[fault]]\non = "node001/gpu0"\nkind = "slow"\nfactor = 1.5\n', "at most 1"),
        ('[[fault]]\non = "node001/gpu0"\nkind = "slow"\nfactor = "half"\n', "fault[1].factor is 'half'"),
        ('[[fault]]\non = "node001/gpu0"\nkind = "lost"\nat = "soon"\n', "fault[1].at is 'soon'; allowed: a duration"),
        ('[[fault]]\non = "node001/gpu0"\nkind = "lost"\nat = "1s"\nstep = 3\n', "either at or step"),
        ('[[fault]]\non = "node001/gpu0"\nkind = "wrong_bits"\n', "fault[1].bits or fault[1].nan is missing"),
        ('[expect]\nverdict = "FALE"\n', "did you mean 'FAIL'?"),
        ('[expect]\nverdict = "FAIL"\n[expect.devices]\ngpu9 = "FAIL"\n', "gpu9"),
    ],
)
def test_what_is_wrong_is_named_with_its_key_and_what_would_be_right(write: Write, faults: str, told: str) -> None:
    assert any(told in line for line in complaints(write(faults)))


def test_everything_wrong_is_told_at_once(write: Write) -> None:
    found = complaints(
        write(
            '[[fault]]\non = "node001/gpu9"\nkind = "slow"\nfactor = 0.5\n[[fault]]\non = "node001"\nkind = "lsot"\n',
            head='seed = -1\nsped = 2.0\n[fleet]\nnodes = "node[001-002]"\npart = "H100-SXM5"\n',
        )
    )
    for told in ("sped", "seed", "fleet.part", "fault[1].on", "fault[2].kind"):
        assert [line.startswith((f"{told} ", f"{told}.")) for line in found].count(True) == 1, (told, found)
    assert len(found) == 5


def test_a_file_that_is_no_scenario_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("[fleet\n")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    for name in ("absent.toml", "broken.toml", "binary.toml"):
        with pytest.raises(UsageError, match=name):
            load(str(tmp_path / name))


def test_a_ready_scenario_is_meant_by_its_name_and_a_typo_is_told() -> None:
    assert scenario_path("slow_gpu") == READY / "slow_gpu.toml"
    with pytest.raises(UsageError, match="did you mean 'slow_gpu'"):
        scenario_path("slow_gpus")


def test_a_fault_of_a_node_is_on_each_of_its_units_and_on_no_other_node(write: Write) -> None:
    scenario = load(write('[[fault]]\non = "node001"\nkind = "slow"\nfactor = 0.8\nat = "2s"\nfor = "3s"\n'))
    for unit in (None, "gpu0", "gpu7", "nic0"):
        assert len(scenario.all_faults_on("node001", unit)) == 1
        assert not scenario.all_faults_on("node002", unit)
    assert [len(scenario.faults_on("node001", "gpu0", at)) for at in (1.9, 2.0, 4.9, 5.0)] == [0, 1, 1, 0]


def test_a_fault_between_two_nodes_is_on_the_path_and_on_neither_of_them(write: Write) -> None:
    scenario = load(write('[[fault]]\non = "node001-node002"\nkind = "link_slow"\nfactor = 0.5\n'))
    (fault,) = scenario.faults
    assert (fault.nodes, fault.unit) == (frozenset({"node001", "node002"}), "path")
    for unit in (None, "gpu0", "nic0"):
        assert not scenario.all_faults_on("node001", unit)


def test_ends_of_a_path_may_have_dashes_in_their_names_and_must_be_two_nodes_of_the_fleet() -> None:
    nodes = {"gpu-a-1", "gpu-a", "1-gpu-b", "b"}
    assert path_ends("gpu-a-1-b", nodes) == {"gpu-a-1", "b"}
    assert path_ends("b-gpu-a", nodes) == {"b", "gpu-a"}
    assert path_ends("b-b", nodes) is None
    assert path_ends("b-c", nodes) is None
    assert path_ends("b", nodes) is None


def test_what_a_fleet_must_come_to_names_its_nodes_and_paths(write: Write) -> None:
    text = '[expect]\nverdict = "FAIL"\n[expect.nodes]\nnode001 = "FAIL"\n[expect.links]\nnode001-node002 = "WARN"\n'
    expect = load(write(text)).expect
    assert expect is not None
    assert dict(expect.nodes) == {"node001": Verdict.FAIL}
    assert dict(expect.links) == {"node001-node002": Verdict.WARN}
    wrong = complaints(write(text.replace("node001 =", "node0x =").replace("node002", "node999")))
    assert wrong == [
        "expect.nodes.node0x is no key here; did you mean 'node002'?",
        "expect.links is 'node001-node999'; allowed: paths between two nodes of the fleet, node0003-node0007",
    ]


def test_at_least_fourteen_are_ready() -> None:
    assert len(ready_names()) >= 14


@pytest.mark.parametrize("name", [name for name in ready_names() if not is_of_fleet(name)])
def test_a_ready_scenario_says_what_it_rehearses_and_what_must_come_of_it(name: str) -> None:
    scenario = load(name)
    assert scenario.description
    assert "\n" not in scenario.description
    assert scenario.speed > 1
    assert "node001" in scenario.fleet.node_names
    assert scenario.fleet.gpus_per_node == 8
    expect = scenario.expect
    assert expect is not None
    assert set(expect.codes) <= REASONS
    assert (expect.verdict is Verdict.PASS) == (not scenario.faults)
    assert bool(expect.codes) == bool(scenario.faults)
    if scenario.faults:
        assert expect.verdict in expect.devices.values()


@pytest.mark.parametrize("name", [name for name in ready_names() if is_of_fleet(name)])
def test_a_ready_fleet_says_what_it_rehearses_and_which_nodes_and_paths_must_be_named(name: str) -> None:
    scenario = load(name)
    expect = scenario.expect
    assert scenario.description
    assert expect is not None
    assert 4 <= len(scenario.fleet.node_names) <= 64
    assert (expect.verdict is Verdict.PASS) == (not scenario.faults)
    assert bool(expect.codes) == bool(scenario.faults)
    guilty = {node for fault in scenario.faults if fault.unit != "path" for node in fault.nodes}
    assert set(expect.nodes) == guilty
    assert set(expect.links) == {fault.on for fault in scenario.faults if fault.unit == "path"}
    if scenario.faults:
        assert expect.verdict in (*expect.nodes.values(), *expect.links.values())


@pytest.mark.parametrize("name", ready_names())
def test_a_ready_scenario_begins_its_faults_within_a_short_run(name: str) -> None:
    assert all(fault.kind in KINDS and fault.at_seconds <= 10 for fault in load(name).faults)


def test_no_two_ready_scenarios_have_the_same_gpus_so_that_none_is_held_against_the_past_of_another() -> None:
    seeds = [load(name).seed for name in ready_names()]
    assert len(set(seeds)) == len(seeds)
