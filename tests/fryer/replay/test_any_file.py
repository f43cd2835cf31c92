"""Whatever stands in a file: readers say one sentence or give points, and the detectors take them."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st
from replayed import curve

from fryer.replay.judged import File
from fryer.replay.replaying import Asked, replay_files
from fryer.replay.told import Told

numbers = st.one_of(
    st.floats().map(str),
    st.integers(-(10**25), 10**25).map(str),
    st.sampled_from(["", "NaN", "inf", "-1e400", "none", "x", "1,2"]),
)
rows = st.lists(st.tuples(numbers, numbers, numbers).map(",".join), max_size=40)


def replayed(content: bytes, **options: object) -> tuple[list[File], list[Told]]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        path.write_bytes(content)
        return replay_files(Asked(files=[str(path)], **options))  # type: ignore[arg-type]


def spans(told: list[Told]) -> list[tuple[str, str, int, int]]:
    return [(each.finding.kind, each.finding.shape, each.finding.start, each.end) for each in told]


@given(rows)
@settings(deadline=None, max_examples=60)
def test_any_table_is_judged_or_refused_in_a_sentence(lines: list[str]) -> None:
    (file,), told = replayed(("step,loss,throughput\n" + "\n".join(lines)).encode())
    assert (not file.problem) or (not told and "\n" not in file.problem)


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["step", "loss", "type", "at", "run", "x"]),
            st.one_of(
                st.none(),
                st.booleans(),
                st.floats(),
                st.integers(),
                st.text(max_size=5),
                st.lists(st.integers(), max_size=2),
            ),
            max_size=6,
        ),
        max_size=20,
    )
)
@settings(deadline=None, max_examples=60)
def test_any_json_lines_are_judged_or_refused_in_a_sentence(lines: list[dict[str, object]]) -> None:
    (file,), told = replayed("".join(json.dumps(line) + "\n" for line in lines).encode())
    assert (not file.problem) or (not told and "\n" not in file.problem)


@given(st.binary(max_size=300))
@settings(deadline=None, max_examples=60)
def test_any_bytes_are_judged_or_refused_in_a_sentence(content: bytes) -> None:
    (file,), told = replayed(content)
    assert (not file.problem) or (not told and "\n" not in file.problem)


SPIKED = curve(600, spikes={400: 4.5}).encode()
FOUND = [("spike", "one_step", 400, 400)]


def test_the_curve_of_these_tests_has_one_spike() -> None:
    assert spans(replayed(SPIKED)[1]) == FOUND


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=10)
def test_a_file_out_of_order_says_the_same_as_one_in_order(seed: int) -> None:
    import random

    header, *lines = SPIKED.decode().splitlines()
    random.Random(seed).shuffle(lines)
    assert spans(replayed("\n".join([header, *lines]).encode())[1]) == FOUND


@given(st.integers(2, 9))
@settings(deadline=None, max_examples=8)
def test_chunks_in_another_order_say_the_same(num_chunks: int) -> None:
    header, *lines = SPIKED.decode().splitlines()
    size = -(-len(lines) // num_chunks)
    chunks = [lines[place : place + size] for place in range(0, len(lines), size)]
    reordered = [line for chunk in reversed(chunks) for line in chunk]
    assert spans(replayed("\n".join([header, *reordered]).encode())[1]) == FOUND


@given(st.integers(1, len(SPIKED)))
@settings(deadline=None, max_examples=20)
def test_a_file_that_was_cut_off_says_what_it_says_until_there(length: int) -> None:
    (file,), told = replayed(SPIKED[:length])
    whole = SPIKED[:length].count(b"\n")
    assert spans(told) in ([], FOUND)
    assert bool(file.problem) == (whole < 1 or not file.runs)


def test_rows_that_come_twice_count_once() -> None:
    header, *lines = SPIKED.decode().splitlines()
    twice = "\n".join([header, *(line for line in lines for _ in range(2))]).encode()
    (file,), told = replayed(twice)
    assert spans(told) == FOUND
    assert [(run.num_points, run.attempts.num_stretches) for run in file.runs] == [(600, 1)]


def test_figures_of_one_step_in_two_rows_are_one_point() -> None:
    text = "step,loss,throughput\n" + "".join(f"{step},2.5,\n{step},,100\n" for step in range(1, 50))
    (file,), _ = replayed(text.encode())
    assert (file.runs[0].num_points, file.runs[0].counts["loss"], file.runs[0].counts["tokens_per_second"]) == (
        49,
        49,
        49,
    )
