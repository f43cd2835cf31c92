"""GPUs that should be there and are not."""

from dataclasses import replace

import pytest

from fryer.judges import missing
from fryer.judges.limits import Limits
from fryer.verdict import judge
from watchdog.vocabulary.verdicts import Verdict

LIMITS = Limits()


@pytest.mark.parametrize(("expected_gpus", "codes_found"), [(None, {}), (7, {}), (8, {}), (9, {"gpu_missing": "FAIL"})])
def test_fewer_gpus_than_the_bus_shows_is_a_failure_of_the_node(make, codes, expected_gpus, codes_found):
    evidence = make.h100s([729e12] * 8, expected_gpus=expected_gpus)
    assert codes(missing.judge(evidence, LIMITS)) == codes_found


def test_a_processor_is_no_gpu(make, codes):
    found = missing.judge(make.node([make.cpu()], expected_gpus=1), LIMITS)
    assert codes(found) == {"gpu_missing": "FAIL"}
    assert found[0].reason.evidence == {"num_found": 0, "num_expected": 1}


def test_a_node_fails_for_a_missing_gpu_though_each_that_is_there_passes(make):
    result = judge(make.h100s([729e12] * 7, expected_gpus=8))
    assert result.verdict is Verdict.FAIL
    assert {device.verdict for device in result.devices} == {Verdict.PASS}
    assert [reason.message for reason in result.reasons] == ["7 GPUs found where 8 should be: 1 missing"]


def test_a_gpu_of_the_last_run_that_is_gone_is_a_warning(make):
    evidence = replace(make.h100s([729e12]), missing_past=tuple(f"GPU-{i}" for i in range(10)))
    (found,) = missing.judge(evidence, LIMITS)
    assert (found.device, found.reason.code, found.reason.verdict) == ("", "gpu_gone", Verdict.WARN)
    assert found.reason.message.startswith("10 GPUs of this node's last qualification not here now: GPU-0, ")
    assert found.reason.message.endswith("GPU-7 and 2 more")
    assert judge(evidence).verdict is Verdict.WARN
