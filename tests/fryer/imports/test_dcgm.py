"""What is concluded of ``dcgmi diag``: each test's result, and an error's own severity."""

import json

import foreign_outputs as made
import pytest

from fryer.imports.verdict import FileVerdict, judge_text
from watchdog.vocabulary.verdicts import Verdict

HEAD = """Successfully ran diagnostic for group.
+---------------------------+------------------------------------------------+
| Diagnostic                | Result                                         |
+===========================+================================================+
|-----  Metadata  ----------+------------------------------------------------|
| DCGM Version              | 3.3.9                                          |
| GPU Device IDs Detected   | 2330, 2330, 2330, 2330, 2330, 2330, 2330, 2330 |
+-----  Hardware  ----------+------------------------------------------------+
"""
FOOT = "+---------------------------+------------------------------------------------+\n"


def row(name: str, value: str) -> str:
    return f"| {name:<25} | {value:<46} |\n"


def judged(text: str) -> FileVerdict:
    return judge_text("dcgm", text)


def reasons_of(file: FileVerdict, device: str) -> list[tuple[Verdict, str]]:
    found = next(each for each in file.devices if each.device == device)
    return [(reason.verdict, reason.message) for reason in found.reasons]


def warned(status: str, severity: int, error_id: int = 55, **changes: object) -> dict[str, object]:
    warning = {"warning": "something", "error_id": error_id, "error_category": 1, "error_severity": severity}
    return {"entity_id": 0, "status": status, "warnings": [warning]} | changes


def test_dcgm_3_names_the_gpu_that_failed_and_why_in_words_that_it_cut() -> None:
    text = (
        HEAD
        + row("GPU Memory", "Pass - GPUs: 1, 2, 3, 4, 5, 6, 7")
        + row("", "Fail - GPU: 0")
        + row("Warning", "GPU 0 Thermal violations totaling 13.3 second")
        + row("", "s started at 9.7 seconds into the test for GP")
        + row("", "U 0")
        + FOOT
    )
    found = judged(text)
    assert found.verdict is Verdict.FAIL
    assert [device.verdict for device in found.devices] == [Verdict.FAIL, *[Verdict.PASS] * 7]
    assert reasons_of(found, "gpu0") == [
        (
            Verdict.FAIL,
            (
                "GPU Memory says Fail: GPU 0 Thermal violations totaling 13.3 seconds started at 9.7 seconds into the "
                "test for GPU 0"
            ),
        )
    ]


def test_dcgm_4_names_the_gpu_that_failed() -> None:
    text = HEAD + row("memory", "Fail") + row("", "GPU0: Pass") + row("", "GPU3: Fail")
    text += row("Warning: GPU3", "Found 2 faulty memory elements on GPU 3") + FOOT
    found = judged(text)
    assert found.verdict is Verdict.FAIL
    assert reasons_of(found, "gpu3") == [(Verdict.FAIL, "memory says Fail: Found 2 faulty memory elements on GPU 3")]


def test_a_fail_of_all_is_one_of_each_gpu() -> None:
    found = judged(HEAD + row("Targeted Power", "Fail - All") + FOOT)
    assert [device.verdict for device in found.devices] == [Verdict.FAIL] * 8


@pytest.mark.parametrize(
    ("word", "verdict"),
    [
        ("Pass", Verdict.PASS),
        ("Fail", Verdict.FAIL),
        ("Warn", Verdict.WARN),
        ("Skip", Verdict.SKIPPED),
        ("Not Run", Verdict.SKIPPED),
        ("Banana", Verdict.ERROR),
    ],
)
def test_each_word_of_a_result_has_its_verdict(word: str, verdict: Verdict) -> None:
    assert judged(HEAD + row("Inforom", word) + FOOT).verdict is verdict
    results = {"inforom": [{"entity_id": 0, "status": word}]}
    assert judged(made.dcgm4_json(results, num_gpus=1)).verdict is verdict


@pytest.mark.parametrize(
    ("status", "severity", "verdict"),
    [
        ("Pass", 0, Verdict.PASS),
        ("Pass", 1, Verdict.WARN),
        ("Pass", 2, Verdict.FAIL),
        ("Warn", 5, Verdict.WARN),
        ("Warn", 6, Verdict.FAIL),
        ("Fail", 1, Verdict.FAIL),
        ("Fail", 5, Verdict.FAIL),
        ("Skip", 1, Verdict.SKIPPED),
        ("Skip", 2, Verdict.INCONCLUSIVE),
    ],
)
def test_the_severity_of_an_error_goes_before_a_mild_result(status: str, severity: int, verdict: Verdict) -> None:
    found = judged(made.dcgm4_json({"memory": [warned(status, severity)]}, num_gpus=1))
    worst = [reason for device in found.devices for reason in device.reasons if reason.verdict is verdict]
    assert worst
    assert found.verdict is (verdict if verdict is not Verdict.SKIPPED else Verdict.SKIPPED)


def test_an_error_s_id_gives_the_action() -> None:
    found = judged(made.dcgm4_json({"software": [warned("Fail", 6, error_id=126)]}, num_gpus=1))
    reason = found.devices[0].reasons[0]
    assert (reason.remedy, reason.evidence["error_ids"], reason.evidence["severities"]) == (
        "reboot the node",
        [126],
        ["reset"],
    )


@pytest.mark.parametrize("status", ["PASS", "Pass"])
def test_dcgm_3_json_names_gpus_by_lists_and_knows_their_serials(status: str) -> None:
    results = [{"gpu_ids": "0,1,2", "status": status}, {"gpu_id": 3, "status": "FAIL", "warnings": ["bad row"]}]
    found = judged(made.dcgm3_json({"memory": results}))
    assert [device.verdict for device in found.devices] == [*[Verdict.PASS] * 3, Verdict.FAIL]
    assert reasons_of(found, "gpu3") == [(Verdict.FAIL, "memory says Fail: bad row")]
    assert [device.serial for device in found.known] == ["165012403159", "165012403160", "", ""]


def test_a_gpu_without_a_result_where_others_have_one_is_not_settled() -> None:
    found = judged(made.dcgm4_json({"memory": [{"entity_id": i, "status": "Pass"} for i in range(3)]}, num_gpus=4))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert reasons_of(found, "gpu3") == [
        (Verdict.INCONCLUSIVE, "memory has no result for it, while it has for other GPUs")
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Error: Unable to complete diagnostic for group 2147483647. Return: (-4) : Timeout\n",
        "Error: Diagnostic can only be performed on a homogeneous group of GPUs.\n",
        json.dumps({"DCGM Diagnostic": {"version": "4.4.2", "runtime_error": "Unable to complete diagnostic."}}),
    ],
)
def test_a_diagnostic_that_did_not_run_is_an_error(text: str) -> None:
    found = judged(text)
    assert (found.verdict, found.reasons[0].code) == (Verdict.ERROR, "failed")


def test_the_iterations_of_a_run_all_count() -> None:
    good = json.loads(made.dcgm4_json({"memory": [{"entity_id": 0, "status": "Pass"}]}, num_gpus=1))
    bad = json.loads(made.dcgm4_json({"memory": [{"entity_id": 0, "status": "Fail"}]}, num_gpus=1))
    assert judged(json.dumps({"iterations": [good, good], "Overall Result": "Pass"})).verdict is Verdict.PASS
    assert judged(json.dumps({"iterations": [good, bad]})).verdict is Verdict.FAIL


def test_tests_that_were_all_skipped_are_no_pass() -> None:
    assert judged(HEAD + row("EUD Test", "Skip - All") + FOOT).verdict is Verdict.SKIPPED


def test_a_host_link_that_is_slow_one_way_is_worth_a_look() -> None:
    info = "GPU 0 GPU to Host bandwidth: 14.26 GB/s, GPU 0 Host to GPU bandwidth: 8.66 GB/s"
    found = judged(made.dcgm4_json({"pcie": [{"entity_id": 0, "status": "Pass", "info": [info]}]}, num_gpus=1))
    assert found.verdict is Verdict.WARN
    assert (Verdict.WARN, "its host link carries 8.66 GB/s one way and 14.3 GB/s the other") in reasons_of(
        found, "gpu0"
    )
