"""Evidence of simulated nodes, judged by the real judge: the healthy pass, and each fault leads to its reason."""

import json
from collections.abc import Sequence

import pytest

from fryer.burns.patterns import PATTERNS
from fryer.devices.cuda import SHAPE
from fryer.evidence import NodeEvidence, NodeVerdict
from fryer.exchange import decode, encode
from fryer.fleet.simulated_links import by_node
from fryer.fleet.simulated_node import SimulatedQualification
from fryer.fleet.simulated_timeline import FLOPS_PER_PRODUCT, MEMORY_CASES
from fryer.fleet.simulated_timeline import SHAPE as SHAPE_WORDS
from fryer.plan import make_plan
from fryer.verdict import judge
from watchdog.simulator.fault import Fault
from watchdog.simulator.parts import PARTS
from watchdog.simulator.scenario import Scenario, parse
from watchdog.vocabulary.verdicts import Verdict


def scenario(*faults: str, part: str = "H100-SXM5-80GB", gpus: int = 8, noise: float = 0.02) -> Scenario:
    tables = "".join(f"[[fault]]\n{fault}\n" for fault in faults)
    fleet = f'[fleet]\nnodes = "node[001-400]"\npart = "{part}"\ngpus_per_node = {gpus}\nnoise = {noise}\n'
    return parse(f"seed = 3\n{fleet}{tables}", file="test.toml")


def qualification(of: Scenario, seconds: float = 60, burns: Sequence[str] = ()) -> SimulatedQualification:
    plan = make_plan(
        nodes=("node001",), seconds=seconds, dtypes=(), burns=burns, seed=1, memory_ratio=None, scenario="test.toml"
    )
    return SimulatedQualification(of, plan, 0.0, {"fryer": "0.1.0", "torch": "2.13.0"})


def evidence(*faults: str, node: str = "node001", seconds: float = 60) -> NodeEvidence:
    of = scenario(*faults)
    return qualification(of, seconds).evidence(node, by_node(of.faults).get(node, ()))


def codes(verdict: NodeVerdict, device: str) -> dict[str, Verdict]:
    (found,) = [each for each in verdict.devices if each.device == device]
    return {reason.code: reason.verdict for reason in reversed(found.reasons) if reason.verdict is not Verdict.PASS}


def test_names_that_stand_in_for_those_of_modules_with_torch_are_theirs() -> None:
    assert tuple(PATTERNS) == MEMORY_CASES
    assert str(SHAPE) == SHAPE_WORDS
    assert SHAPE.flops == FLOPS_PER_PRODUCT


@pytest.mark.parametrize("part", PARTS)
def test_healthy_nodes_of_every_part_pass(part: str) -> None:
    made = qualification(scenario(part=part, noise=0.01))
    assert {judge(made.evidence(f"node{number:03d}", ())).verdict for number in range(1, 41)} == {Verdict.PASS}


@pytest.mark.parametrize("gpus", [1, 2, 4])
def test_smaller_nodes_pass_too(gpus: int) -> None:
    assert judge(qualification(scenario(gpus=gpus, noise=0.01)).evidence("node001", ())).verdict is Verdict.PASS


@pytest.mark.parametrize("seconds", [1, 20, 600])
def test_healthy_nodes_pass_in_short_and_long_runs(seconds: float) -> None:
    assert judge(evidence(seconds=seconds)).verdict is Verdict.PASS


def test_of_four_hundred_healthy_nodes_with_usual_noise_none_fails() -> None:
    made = qualification(scenario())
    verdicts = [judge(made.evidence(f"node{number:03d}", ())).verdict for number in range(1, 401)]
    assert set(verdicts) <= {Verdict.PASS, Verdict.WARN}
    assert verdicts.count(Verdict.WARN) <= 4


@pytest.mark.parametrize(
    ("fault", "code", "verdict"),
    [
        ('kind = "slow"\nfactor = 0.85', "below_node", Verdict.FAIL),
        ('kind = "slow"\nfactor = 0.85\nwhat = "memory"', "below_floor", Verdict.FAIL),
        ('kind = "slow"\nfactor = 0.7\nwhat = "link"', "slow_link", Verdict.FAIL),
        ('kind = "throttle"\ncelsius = 90', "thermal_throttle", Verdict.FAIL),
        ('kind = "power_brake"', "power_brake", Verdict.FAIL),
        ('kind = "hot"\ncelsius = 97\nfactor = 1.0\nsensor = "memory"', "hbm_hot", Verdict.WARN),
        ('kind = "wrong_bits"\nbits = 1', "wrong_result", Verdict.FAIL),
        ('kind = "wrong_bits"\nnan = true', "nan_result", Verdict.FAIL),
        ('kind = "ecc"\ncount = 1\nat = "10s"', "ecc_uncorrected", Verdict.FAIL),
        ('kind = "row_remap"\npending = true', "row_remap_pending", Verdict.WARN),
        ('kind = "row_remap"\nfailed = true', "row_remap_failed", Verdict.FAIL),
        ('kind = "xid"\ncode = 79', "xid", Verdict.FAIL),
        ('kind = "xid"\ncode = 13', "application_xid", Verdict.WARN),
        ('kind = "lost"\nat = "20s"', "device_lost", Verdict.FAIL),
        ('kind = "lost"', "device_lost", Verdict.FAIL),
        ('kind = "hang"\nat = "20s"', "reader_hung", Verdict.FAIL),
        ('kind = "hang"', "reader_hung", Verdict.FAIL),
        ('kind = "nvlink_errors"\nper_second = 500', "nvlink_errors", Verdict.FAIL),
        ('kind = "nvlink_errors"\ncount = 5\nat = "10s"', "nvlink_errors", Verdict.WARN),
        ('kind = "pcie_narrow"\nwidth = 8', "narrow_link", Verdict.FAIL),
    ],
)
def test_a_fault_of_one_gpu_leads_to_its_reason_and_leaves_the_others_alone(
    fault: str, code: str, verdict: Verdict
) -> None:
    judged = judge(evidence(f'on = "node001/gpu3"\n{fault}'))
    assert codes(judged, "gpu3").get(code) is verdict
    assert judged.verdict is verdict
    assert {each.verdict for each in judged.devices if each.device != "gpu3"} <= {Verdict.PASS}


def test_a_node_whose_gpus_are_all_slow_falls_below_the_floor_of_the_part() -> None:
    judged = judge(evidence('on = "node001"\nkind = "slow"\nfactor = 0.8'))
    assert {codes(judged, f"gpu{index}").get("below_floor") for index in range(8)} == {Verdict.FAIL}


def test_a_fault_that_ends_before_it_tells_leaves_a_healthy_node_and_another_node_has_none_of_it() -> None:
    fault = 'on = "node001/gpu3"\nkind = "slow"\nfactor = 0.5\nat = "61s"'
    assert judge(evidence(fault)).verdict is Verdict.PASS
    assert evidence('on = "node001"\nkind = "slow"\nfactor = 0.5', node="node002") == evidence(node="node002")


def test_a_fault_begins_at_its_time_and_not_before() -> None:
    found = evidence('on = "node001/gpu3"\nkind = "slow"\nfactor = 0.5\nat = "12s"')
    (bf16,) = [m for m in found.measurements if m.device == "gpu3" and m.case.startswith("bf16")]
    (fp8,) = [m for m in found.measurements if m.device == "gpu3" and m.case.startswith("fp8")]
    assert min(point.value for point in bf16.series) > 700e12
    assert max(point.value for point in fp8.series) < 700e12


def test_nothing_is_measured_on_a_gpu_after_it_was_lost() -> None:
    found = evidence('on = "node001/gpu3"\nkind = "lost"\nat = "20s"')
    assert max(point.at_seconds for m in found.measurements if m.device == "gpu3" for point in m.series) <= 20
    assert [problem.code for problem in found.problems if problem.device == "gpu3"] == [
        "device_lost",
        *["left_out"] * 4,
    ]


def test_a_burn_that_the_plan_does_not_have_is_not_measured() -> None:
    found = qualification(scenario(), burns=("hbm",)).evidence("node001", ())
    assert {m.burn for m in found.measurements} == {"hbm"}
    assert found.digests == ()
    assert judge(found).verdict is Verdict.PASS


def test_a_format_that_the_part_lacks_is_skipped_as_on_a_single_simulated_node() -> None:
    found = qualification(scenario(part="A100-SXM4-80GB")).evidence("node001", ())
    skipped = {(problem.device, problem.message) for problem in found.problems if problem.code == "unsupported"}
    assert skipped == {(f"gpu{index}", "fp8 is no format of NVIDIA A100-SXM4-80GB") for index in range(8)}


def test_equal_arguments_give_equal_evidence_that_survives_json() -> None:
    fault = 'on = "node001/gpu3"\nkind = "throttle"\nat = "5s"\nfor = "9s"'
    assert evidence(fault) == evidence(fault)
    assert decode(NodeEvidence, json.loads(json.dumps(encode(evidence(fault))))) == evidence(fault)


def test_gpus_of_a_fleet_are_all_different_and_their_figures_scatter() -> None:
    made = qualification(scenario())
    nodes = [made.evidence(f"node{number:03d}", ()) for number in range(1, 101)]
    assert len({device.uuid for node in nodes for device in node.devices}) == 800
    assert len({device.serial for node in nodes for device in node.devices}) == 800
    values = [m.value for node in nodes for m in node.measurements if m.case.startswith("bf16")]
    middle = sum(values) / len(values)
    deviation = (sum((value - middle) ** 2 for value in values) / len(values)) ** 0.5
    assert middle == pytest.approx(729e12, rel=0.002)
    assert deviation / middle == pytest.approx(0.01, rel=0.1)


def test_a_node_is_small_and_shares_what_is_not_its_own() -> None:
    made = qualification(scenario())
    nodes = [made.evidence(f"node{number:03d}", ()) for number in range(1, 401)]
    assert len(json.dumps(encode(nodes[0]))) < 150_000
    assert {len(node.measurements) for node in nodes} == {72}
    assert len({id(m) for node in nodes for m in node.measurements}) < 72 * 60
    assert len({id(node.digests) for node in nodes}) == len({id(node.counted) for node in nodes}) == 1
    assert {len(readings) for node in nodes for readings in node.gpu_readings.values()} == {4}


def test_faults_of_nics_and_paths_are_not_in_the_evidence_of_a_node() -> None:
    faults = (Fault(on="node001/nic0", kind="wrong_bits", nodes=frozenset({"node001"}), unit="nic0", bits=1),)
    assert qualification(scenario()).evidence("node001", faults) == evidence()
