"""What srun and salloc print, as 22.05 and 24.11 print it."""

import json
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fryer.fleet.orders import Collected
from fryer.fleet.wire import encode
from fryer.launchers.slurm_words import (
    LINE_BYTES,
    PIECE_BYTES,
    Allocation,
    Joiner,
    Labelled,
    NodeLost,
    Placed,
    Remark,
    TaskEnd,
    read_stderr,
    read_stdout,
)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("salloc: Granted job allocation 72", Allocation(job="72", is_granted=True)),
        ("salloc: Pending job allocation 75", Allocation(job="75", is_granted=False)),
        ("srun: launching StepId=75.0 on host node3, 1 tasks: 2", Placed(step="75.0", node="node3", task=2)),
        ("srun: launching 75.0 on host node3, 1 tasks: 2", Placed(step="75.0", node="node3", task=2)),
        ("srun: error: Node failure on node3", NodeLost(nodes="node3")),
        ("2: slurmstepd-node3: error: execve(): no", Labelled(task=2, text="slurmstepd-node3: error: execve(): no")),
        ("012: complaint", Labelled(task=12, text="complaint")),
    ],
)
def test_lines_on_stderr_are_understood(line, said):
    assert read_stderr(line) == said


@pytest.mark.parametrize(
    ("line", "tasks", "exit_code"),
    [
        ("srun: error: node2: task 1: Exited with exit code 7", (1,), 7),
        ("srun: error: node[1,3-4]: tasks 0,2-3: Exited with exit code 1", (0, 2, 3), 1),
        ("srun: error: node3: task 2: Killed", (2,), 137),
        ("srun: error: node3: task 2: Terminated", (2,), 143),
        ("srun: error: node3: task 2: Segmentation fault (core dumped)", (2,), 139),
        ("srun: error: node3: task 2: Out Of Memory", (2,), 137),
        ("srun: launch/slurm: _task_finish: node1: task 0: Completed", (0,), 0),
    ],
)
def test_the_end_of_tasks_is_understood_however_they_ended(line, tasks, exit_code):
    how = line.rpartition(": ")[2]
    assert read_stderr(line) == TaskEnd(tasks=tasks, exit_code=exit_code, how=how)


@pytest.mark.parametrize(
    ("line", "is_error"),
    [
        ("srun: error: Unable to create step for job 7: Job/step already completing or completed", True),
        ("srun: fatal: cannot resolve", True),
        ("prolog: no space left", True),
        ("srun: launch/slurm: _task_start: Node node3, 1 tasks started", False),
        ("srun: cluster configuration lacks support for cpu binding", False),
        ("salloc: Relinquishing job allocation 72", False),
        ("srun: node3: task x: Killed", False),
    ],
)
def test_only_what_may_explain_an_end_is_an_error(line, is_error):
    assert read_stderr(line) == Remark(text=line, is_error=is_error)


def test_a_line_on_stdout_says_whose_it_is_and_keeps_its_blanks():
    assert read_stdout("3:  a: b ") == Labelled(task=3, text=" a: b ")
    assert read_stdout("10: ") == Labelled(task=10, text="")
    assert read_stdout("no label") is None


@given(st.data(), st.integers(min_value=1, max_value=400), st.booleans())
def test_lines_cut_anywhere_come_whole_and_in_their_order(data, length, has_pieces):
    draw = random.Random(length)
    texts = ['"}{ \\ ' + "".join(draw.choices('abc}"{', k=length * index)) for index in range(1, 4)]
    words = [Collected(node="node1", order="o", problem=text) for text in texts]
    lines = [line for i, w in enumerate(words) for line in encode(w, PIECE_BYTES if has_pieces else None, i)]
    joiner, found = Joiner(), []
    for line in lines:
        cuts = data.draw(st.lists(st.integers(60, max(61, len(line) - 1)), max_size=4, unique=True))
        places = [0, *sorted(cut for cut in cuts if cut < len(line)), len(line)]
        for start, end in pairwise(places):
            found += joiner.feed(line[start:end])
    assert found == lines
    assert joiner.rest() == ()


def test_chatter_passes_as_it_is():
    joiner = Joiner()
    assert joiner.feed("Loading module cuda") == ("Loading module cuda",)
    (line,) = encode(Collected(node="node1", order="o"))
    assert joiner.feed(line[:100]) == ()
    assert joiner.feed(line[100:]) == (line,)
    assert joiner.feed("") == ("",)


def test_a_line_that_lost_its_end_is_given_out_before_the_next_one():
    (line,) = encode(Collected(node="node1", order="o"))
    joiner = Joiner()
    assert joiner.feed(line[:80]) == ()
    assert joiner.feed(line) == (line[:80], line)
    assert joiner.feed(line[:90]) == ()
    assert joiner.rest() == (line[:90],)


def test_a_piece_fits_a_message_of_slurm_with_its_newline():
    word = Collected(node="n" * 63, order="o", problem=random.Random(1).randbytes(50_000).hex())
    lines = encode(word, PIECE_BYTES, 10**9)
    assert len(lines) > 50
    assert PIECE_BYTES - 8 < max(map(len, lines)) <= PIECE_BYTES < LINE_BYTES
    assert all(json.loads(line)["type"] == "piece" for line in lines)
