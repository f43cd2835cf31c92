"""Our rows in nccl-tests' forms: held against a published table, and read back by our own readers of such files."""

import json
import re
from pathlib import Path

import pytest
from collective_rows import row

from fryer.collectives.cases import CollectiveCase, CollectiveRow
from fryer.collectives.document import nccl_document
from fryer.collectives.table import RankDevice, fit_number, render_table
from fryer.imports import nccl_json, nccl_text

PUBLISHED = Path(__file__).parents[3].parent / "shared" / "data" / "nccl" / "nvidia_dgxc_h100_1.txt"
FIELD = re.compile(r"\S+")
DEVICES = tuple(
    RankDevice(rank=rank, pid=1006102, host="pool0-01806", index=rank, pci=f"0000:{rank:02x}:00", name="NVIDIA H100")
    for rank in range(8)
)


def case(operation: str = "all_reduce", size: int = 1 << 20, *, is_in_place: bool = False) -> CollectiveCase:
    return CollectiveCase(operation=operation, size_bytes=size, is_in_place=is_in_place)


def result_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def published_lines() -> list[str]:
    if not PUBLISHED.is_file():
        pytest.skip(f"the published table is not at {PUBLISHED}")
    return result_lines(PUBLISHED.read_text())


def rows_of(lines: list[str]) -> list[CollectiveRow]:
    found = []
    for line in lines:
        words = line.split()
        for time, is_in_place in ((words[5], False), (words[9], True)):
            this = case(size=int(words[0]), is_in_place=is_in_place)
            found.append(row(this, seconds=float(time) * 1e-6))
    return found


def test_lines_have_the_columns_and_figures_of_a_published_table() -> None:
    published = published_lines()
    ours = result_lines(render_table(rows_of(published)))
    assert len(ours) == len(published) == 32
    for mine, theirs in zip(ours, published, strict=True):
        ends = [found.end() for found in FIELD.finditer(theirs)]
        # In newer versions the column #wrong is one character wider than in this table.
        wider = [*ends[:8], *(end + 1 for end in ends[8:12]), ends[12] + 2]
        assert [found.end() for found in FIELD.finditer(mine)] == wider
        for got, wanted in zip(mine.split(), theirs.split(), strict=True):
            if wanted.replace(".", "").isdigit():
                # Their times have four digits, so bandwidths that follow from them may differ in the last one.
                assert float(got) == pytest.approx(float(wanted), rel=1e-3, abs=0.011)
            else:
                assert got == wanted


def test_the_average_is_that_of_the_published_table() -> None:
    found = re.search(r"Avg bus bandwidth    : ([\d.]+)", render_table(rows_of(published_lines())))
    assert found is not None
    assert float(found[1]) == pytest.approx(159.151, abs=0.01)


def test_a_small_table_is_exactly_this() -> None:
    rows = [
        row(case(size=1024), seconds=12.5e-6),
        row(case(size=1024, is_in_place=True), seconds=11e-6, num_wrong=3),
        row(case(size=1 << 30), seconds=4029.4e-6),
        row(case(size=1 << 30, is_in_place=True), seconds=16.123456),
    ]
    assert render_table(rows, DEVICES[:1]) == Path(__file__).with_name("small_table.txt").read_text()


def test_what_was_not_measured_in_place_is_not_a_number() -> None:
    (line,) = result_lines(render_table([row(case("alltoall"), seconds=1e-3)]))
    assert line.split()[3:5] == ["none", "-1"]
    assert line.split()[9:] == ["N/A"] * 4


def test_each_operation_has_a_table_of_its_own() -> None:
    text = render_table([row(case("reduce"), seconds=1e-3), row(case("gather"), seconds=1e-3)])
    assert re.findall(r"concluded: (\w+)", text) == ["reduce_perf", "gather_perf"]
    assert [line.split()[3:5] for line in result_lines(text)] == [["sum", "0"], ["none", "0"]]
    assert render_table([]) == ""


@pytest.mark.parametrize(
    ("value", "text"), [(1.0, "   1.00"), (31307.4, "31307.4"), (1234567.8, "1234568"), (12345678.9, "1.2e+07")]
)
def test_numbers_are_as_precise_as_the_column_holds(value: float, text: str) -> None:
    assert fit_number(value, 7) == text


def measured() -> list[CollectiveRow]:
    return [
        row(case(size=size, is_in_place=is_in_place), seconds=size / 2e11 + 1e-5, num_wrong=size // (1 << 30))
        for size in (1 << 20, 1 << 30)
        for is_in_place in (False, True)
    ]


def test_our_reader_of_nccl_tests_json_reads_ours() -> None:
    document = nccl_document(
        measured(), devices=DEVICES, start_time="2026-01-01 00:00:00", end_time="2026-01-01 00:01:00"
    )
    facts = nccl_json.parse(json.dumps(document))
    (run,) = facts.runs
    assert facts.missing == ()
    assert (run.operation, run.num_ranks, run.num_nodes, run.parts) == ("all_reduce", 8, 1, ("NVIDIA H100",))
    assert run.num_out_of_bounds == 2
    for figure, ours in zip(run.figures, measured(), strict=True):
        assert (figure.size_bytes, figure.is_in_place) == (ours.case.size_bytes, ours.case.is_in_place)
        assert figure.busbw_bytes_per_second == pytest.approx(ours.busbw_bytes_per_second)
        assert figure.num_wrong == ours.num_wrong


def test_our_reader_of_nccl_tests_text_reads_ours() -> None:
    facts = nccl_text.parse(render_table(measured(), DEVICES))
    (run,) = facts.runs
    assert facts.missing == ()
    assert (run.operation, run.num_ranks, run.num_out_of_bounds) == ("all_reduce", 8, 2)
    assert [figure.num_wrong for figure in run.figures] == [0, 0, 1, 1]


def test_truths_and_roots_are_words_as_in_nccl_tests() -> None:
    document = nccl_document([row(case("reduce"), seconds=1e-3)])
    assert document["version"] == 3
    assert document["out_of_bounds"] == {"count": 0, "okay": "true"}
    assert document["results"][0]["root"] == "     0"
    assert document["results"][0]["in_place"] is None
    assert document["average_bus_bandwidth"]["okay"] == "unchecked"
    assert document["args"] == ["reduce_perf"]
