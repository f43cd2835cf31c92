"""The contract: each captured file gets the verdict that is known to be true of it (SOURCES.md)."""

import re
from pathlib import Path

import pytest

from fryer.imports.reading import judge_file
from watchdog.vocabulary.verdicts import Verdict

DATA = Path(__file__).parents[3] / ".." / "shared" / "data"
SOURCES = DATA / "SOURCES.md"
FOLDERS = ("nccl", "dcgm", "nvidia_smi")
pytestmark = pytest.mark.skipif(not SOURCES.exists(), reason=f"captured public data are not at {DATA}")

OF_FIRST_WORD = {"healthy": Verdict.PASS, "pass": Verdict.PASS, "bad": Verdict.FAIL}

SAYS_MORE = {
    "nccl/cscs_gh200_1.txt": (
        Verdict.PASS,
        "| nccl/cscs_gh200_1 and _2 | same nodes with and without the network hook: 122.6 against 5.4 GB/s |",
    ),
    "nccl/cscs_gh200_2.txt": (
        Verdict.FAIL,
        "| nccl/cscs_gh200_1 and _2 | same nodes with and without the network hook: 122.6 against 5.4 GB/s |",
    ),
}
"""Rows whose truth is of two files, with the row that says it."""

SAYS_NOTHING = {
    "dcgm/dcgm4_a10g_diag_r2_pass.txt": (Verdict.PASS, "every test passed"),
    "dcgm/v100_diag_r3_verbose_pass.txt": (Verdict.PASS, "every test passed but the EUD, which was skipped"),
    "dcgm/netdata_metrics_valid.prom": (Verdict.ERROR, "an exporter's metrics, which are not judged here"),
    "nvidia_smi/telegraf_a100-sxm4-v12.xml": (Verdict.ERROR, "four GPUs are attached and one is listed"),
}
"""Files that SOURCES.md has no truth of, with what they are."""


def files() -> list[str]:
    if not SOURCES.exists():
        return []
    return sorted(str(path.relative_to(DATA)) for folder in FOLDERS for path in (DATA / folder).iterdir())


def truths() -> dict[str, Verdict]:
    """The table of known truth, as far as the first word of a row is a verdict."""
    found: dict[str, Verdict] = {}
    for names, truth in re.findall(
        r"^\| (\S+/\S+) \| (.+) \|$", SOURCES.read_text().partition("## Known truth")[2], re.M
    ):
        verdict = OF_FIRST_WORD.get(re.split(r"\W", truth)[0])
        matching = [file for file in files() if Path(file).match(names.replace("...", "*") + "*")]
        found.update(dict.fromkeys(matching, verdict) if verdict else {})
    return found


@pytest.mark.parametrize("file", files())
def test_each_captured_file_gets_the_verdict_that_is_true_of_it(file: str) -> None:
    expected = truths().get(file) or {**SAYS_MORE, **SAYS_NOTHING}[file][0]
    assert judge_file(str(DATA / file)).verdict is expected


def test_what_the_sources_say_of_two_files_is_quoted_as_it_stands() -> None:
    text = SOURCES.read_text()
    assert all(row in text for _, row in SAYS_MORE.values())


def test_the_truth_is_read_of_all_files_that_have_one() -> None:
    assert truths() == {
        "dcgm/dcgm4_8gpu_diag_truncated_info.json": Verdict.PASS,
        "nccl/nvidia_dgxc_h100_1.txt": Verdict.PASS,
        "nccl/smollm3_nccl-all-reduce-throttling-bandwidth.json": Verdict.FAIL,
        "nvidia_smi/gpud_nvidia-smi-query.535.161.08.out.0.valid.txt": Verdict.FAIL,
    }


def test_of_the_throttled_sweep_the_node_counts_from_14_on_are_bad_and_no_others() -> None:
    found = judge_file(str(DATA / "nccl/smollm3_nccl-all-reduce-throttling-bandwidth.json"))
    bad = {reason.message.partition(":")[0] for reason in found.reasons if reason.verdict is Verdict.FAIL}
    good = {reason.message.partition(":")[0] for reason in found.reasons if reason.code == "plateau_reached"}
    assert bad == {"nodes_14", "nodes_15", "nodes_16"}
    assert good == {f"nodes_{count}" for count in range(1, 14)}


def test_the_power_brake_at_29_degrees_is_seen_on_all_eight_gpus_with_its_clock() -> None:
    found = judge_file(str(DATA / "nvidia_smi/gpud_nvidia-smi-query.535.161.08.out.0.valid.txt"))
    assert [device.verdict for device in found.devices] == [Verdict.FAIL] * 8
    assert [[reason.code for reason in device.reasons] for device in found.devices] == [["power_brake"]] * 8
    assert found.devices[0].reasons[0].message == "slowed down by the power brake (86 of 1980 MHz, 29 C)"
    assert found.devices[0].reasons[0].evidence["sm_clock_hertz"] == 86e6


def test_information_that_dcgm_4_had_no_room_for_is_told_and_is_no_fault() -> None:
    found = judge_file(str(DATA / "dcgm/dcgm4_8gpu_diag_truncated_info.json"))
    told = next(reason for reason in found.reasons if reason.code == "information_missing")
    assert told.evidence["devices"] == ["gpu2", "gpu3", "gpu4", "gpu5", "gpu6", "gpu7"]
    assert [device.verdict for device in found.devices] == [Verdict.PASS] * 8


def test_the_host_link_is_read_out_of_dcgm_s_words_where_it_cut_them() -> None:
    found = judge_file(str(DATA / "dcgm/v100_diag_r3_verbose_pass.txt"))
    assert found.facts.of("gpu0") == {
        "device_to_host_bytes_per_second": 13.14e9,
        "host_to_device_bytes_per_second": 12.37e9,
    }


def test_a_skipped_test_is_named_and_not_counted_as_passed() -> None:
    found = judge_file(str(DATA / "dcgm/v100_diag_r3_verbose_pass.txt"))
    assert [reason.message for reason in found.devices[0].reasons if reason.verdict is Verdict.SKIPPED] == [
        "EUD Test says Skip"
    ]
    assert "15 of 16 tests passed" in [reason.message for reason in found.reasons]


@pytest.mark.parametrize("folder", ["curves", "throughput", "kernel_logs"])
def test_files_of_other_kinds_are_an_error_and_never_a_pass(folder: str) -> None:
    judged = {path.name: judge_file(str(path)) for path in sorted((DATA / folder).iterdir())}
    assert judged
    assert {name: (file.verdict, file.reasons[0].code) for name, file in judged.items()} == dict.fromkeys(
        judged, (Verdict.ERROR, "unknown_format")
    )
