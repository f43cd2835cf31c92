"""What is cut off is never a pass, wherever it is cut; and nothing that a file may hold breaks the tool."""

import json
from collections.abc import Callable
from pathlib import Path

import foreign_outputs as made
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fryer.imports.documents import documents
from fryer.imports.formats import recognised
from fryer.imports.reading import decoded
from fryer.imports.table import table
from fryer.imports.verdict import judge_text
from watchdog.vocabulary.verdicts import Verdict

DATA = Path(__file__).parents[3] / ".." / "shared" / "data"
FOLDERS = ("nccl", "dcgm", "nvidia_smi")
PAIRS = [[None if row == column else 393.0 for column in range(4)] for row in range(4)]
PASSED = [{"entity_id": index, "status": "Pass"} for index in range(4)]

MADE = {
    "nccl.txt": made.nccl_text([(1 << 20, 60.0, "0"), (1 << 30, 470.0, "0"), (8 << 30, 480.0, "0")]),
    "nccl.json": made.nccl_json(),
    "dcgm3.json": made.dcgm3_json({"memory": [{"gpu_ids": "0,1,2,3", "status": "PASS"}]}),
    "dcgm4.json": made.dcgm4_json({"memory": PASSED, "pcie": PASSED}),
    "smi.txt": made.smi_text({}),
    "nvbandwidth.txt": made.nvbandwidth_text(pairs=PAIRS),
    "nvbandwidth.json": made.nvbandwidth_json(),
    "gpu-fryer.ndjson": made.gpu_fryer([730.0, 728.0, 731.0, 726.0]),
}
"""Each is a PASS as a whole."""


def captured() -> dict[str, str]:
    if not DATA.exists():
        return {}
    return {path.name: path.read_text() for folder in FOLDERS for path in sorted((DATA / folder).iterdir())}


SAMPLES = {**MADE, **captured()}
MOST_CUTS = 120


def has_all_that_matters(text: str, rest: str) -> bool:
    """Nothing is lost but what no verdict needs: blank space, an average over sizes, closing words."""
    if not rest.strip():
        return True
    if "Out of bounds values" in text:
        return "Out of bounds values : 0" in text
    if "NVSMI LOG" in text:
        return "Processes" not in rest
    return "NOTE: This tool reports current measured bandwidth" in text


@pytest.mark.parametrize("name", MADE)
def test_each_made_sample_is_a_pass_as_a_whole(name: str) -> None:
    assert judge_text(name, MADE[name]).verdict is Verdict.PASS


@pytest.mark.parametrize("name", SAMPLES)
def test_no_cut_at_a_line_that_loses_anything_is_a_pass(name: str) -> None:
    whole = SAMPLES[name]
    lines = whole.splitlines(keepends=True)
    cuts = sorted({*range(0, len(lines), max(1, len(lines) // MOST_CUTS)), *range(max(0, len(lines) - 25), len(lines))})
    passed = []
    for cut in cuts:
        text, rest = "".join(lines[:cut]), "".join(lines[cut:])
        if judge_text(name, text).verdict in (Verdict.PASS, Verdict.WARN) and not has_all_that_matters(text, rest):
            passed.append(cut)
    assert passed == []


@given(st.data())
def test_no_cut_within_a_line_is_a_pass(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(MADE)))
    whole = MADE[name]
    cut = data.draw(st.integers(0, len(whole) - 1))
    text, rest = whole[:cut], whole[cut:]
    verdict = judge_text(name, text).verdict
    assert verdict not in (Verdict.PASS, Verdict.WARN) or has_all_that_matters(text, rest)


@given(st.binary(max_size=400))
def test_random_bytes_are_an_error_and_break_nothing(content: bytes) -> None:
    text = decoded(content)
    judged = judge_text("-", text or "")
    assert judged.verdict is Verdict.ERROR
    assert len(judged.reasons) == 1


GARBAGE = st.text(
    alphabet=st.sampled_from(list(' :\n\t{}[]"|+-#,.0123456789GPUgpuPassFilWrn<>/=_&\ufeff\x1b')), max_size=300
)


@given(sample=st.sampled_from(sorted(MADE)), at=st.floats(0, 1), dropped=st.integers(0, 60), garbage=GARBAGE)
def test_a_damaged_file_breaks_neither_judge_nor_outputs(sample: str, at: float, dropped: int, garbage: str) -> None:
    whole = MADE[sample]
    start = int(at * len(whole))
    judged = judge_text("damaged", whole[:start] + garbage + whole[start + dropped :])
    assert judged.reasons or judged.devices
    assert table([judged]).endswith(f"damaged: {judged.verdict}\n")
    assert [json.loads(json.dumps(each, allow_nan=False))["type"] for each in documents([judged])] == [
        "facts",
        "verdict",
    ]


def json_values() -> st.SearchStrategy[object]:
    words = (
        "DCGM Diagnostic,test_categories,tests,name,results,status,warnings,entity_id,type,nvbandwidth,testcases,"
        "bandwidth_matrix,nccl_version,config,devices,size,out_of_place,gpus,burn_result,data,metadata,nodes_2,"
        "messageSize,bandwidth,gpu_idx,problems"
    )
    keys = st.sampled_from(words.split(","))
    leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8))
    return st.recursive(leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=5))


@given(json_values(), st.sampled_from(['"DCGM Diagnostic"', '"nvbandwidth":', '"nccl_version"', '"messageSize"']))
def test_json_of_the_right_words_and_the_wrong_shapes_is_never_a_pass_by_accident(value: object, sign: str) -> None:
    judged = judge_text("-", json.dumps({"value": value, sign.strip('":'): value}))
    assert judged.verdict is not Verdict.PASS or any(reason.verdict is Verdict.PASS for reason in judged.reasons)
    json.dumps(list(documents([judged])), allow_nan=False)


@pytest.mark.parametrize(
    "deep", ["[" * 100_000, '{"nvbandwidth":' + '{"a":' * 50_000, "<nvidia_smi_log>" + "<a>" * 50_000]
)
def test_nesting_without_end_is_an_error(deep: str) -> None:
    assert judge_text("-", deep).verdict is Verdict.ERROR


def test_entities_in_xml_are_refused_before_they_expand() -> None:
    bomb = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbb">]><nvidia_smi_log>&b;</nvidia_smi_log>'
    judged = judge_text("-", bomb)
    assert (judged.verdict, judged.reasons[0].message) == (
        Verdict.ERROR,
        "its XML defines entities, which nvidia-smi's never does",
    )


@pytest.mark.parametrize("name", [name for name in MADE if name.endswith(".json")])
def test_two_documents_in_one_file_are_refused_since_only_one_would_be_seen(name: str) -> None:
    judged = judge_text(name, MADE[name] + "\n" + MADE[name])
    assert judged.reasons[0].message == "it holds several JSON documents: give each a file of its own"


def around(wrap: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: "".join(f"{wrap(line)}\n" for line in text.splitlines())


@pytest.mark.parametrize(
    "worn",
    [
        around(lambda line: f"{line}\r"),
        around(lambda line: f"0: {line}"),
        around(lambda line: f"[1,0]<stdout>:{line}"),
        around(lambda line: f"\x1b[32m{line}\x1b[0m"),
        lambda text: "\ufeff" + text,
    ],
    ids=["windows", "srun --label", "mpirun --tag-output", "colours", "byte order mark"],
)
@pytest.mark.parametrize("name", ["nccl.txt", "smi.txt", "nvbandwidth.txt"])
def test_what_terminals_and_launchers_add_changes_nothing(name: str, worn: Callable[[str], str]) -> None:
    assert judge_text(name, worn(MADE[name])).verdict is Verdict.PASS


def test_outputs_of_two_tools_in_one_file_are_refused_since_only_one_would_be_seen() -> None:
    judged = judge_text("-", MADE["nccl.txt"] + MADE["smi.txt"])
    assert (judged.verdict, judged.reasons[0].code) == (Verdict.ERROR, "several_formats")


@pytest.mark.parametrize("name", SAMPLES)
def test_no_sample_has_signs_of_two_formats(name: str) -> None:
    assert len(recognised(SAMPLES[name])) == (0 if name.endswith(".prom") else 1)


def test_a_log_before_the_json_changes_nothing() -> None:
    assert judge_text("-", "srun: job 7 started\n" + MADE["dcgm4.json"]).verdict is Verdict.PASS
