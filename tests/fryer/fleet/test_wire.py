import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fryer.collectives.cases import CollectiveCase, CollectiveRow
from fryer.evidence import NodeEvidence
from fryer.fleet.orders import Collect, Collected, Hello, Progress, Qualified, Qualify, Stop
from fryer.fleet.wire import MESSAGES, ORDERS, SHORTEST_PIECE_BYTES, Noise, Reader, Unreadable, encode
from fryer.plan import Phase, Plan

CASE = CollectiveCase(operation="all_reduce", size_bytes=2**26, algorithm="Ring")
HELLO = Hello(
    node="node001", protocol=1, versions={"fryer": "0.1.0", "torch": "2.13.0"}, addresses=("10.0.0.1",), num_gpus=8
)
PLAN = Plan(nodes=("node001",), dtypes=("bf16",), phases=(Phase(burn="gemm", seconds=4.5),), seed=1, memory_ratio=None)
COLLECT = Collect(
    id="c1",
    groups=(("node001", "node002"), ("node003", "node004")),
    cases=(CASE,),
    repeats=3,
    ranks_per_node=0,
    rail=0,
    addresses={"node001": "10.0.0.1"},
    port=29500,
    join_seconds=30.0,
    seconds=60.0,
)
ROW = CollectiveRow(
    case=CASE,
    repeat=0,
    num_ranks=16,
    seconds=0.1,
    algbw_bytes_per_second=1e9,
    busbw_bytes_per_second=float("inf"),
    num_wrong=0,
    slowest_seconds=0.2,
    wrong_ranks=(1, 2),
)


@pytest.mark.parametrize("order", [Qualify(id="q1", plan=PLAN), COLLECT, Stop(reason="Ctrl-C")])
def test_an_order_comes_back_as_it_was_sent(order: object) -> None:
    (line,) = encode(order)
    assert Reader(ORDERS).read(line) == order


@pytest.mark.parametrize(
    "message",
    [
        HELLO,
        Progress(node="node001", order="q1", what="gemm", seconds=5.0, problems=("gpu3 is lost",)),
        Qualified(
            node="node001", order="q1", evidence=NodeEvidence(node="node001", devices=(), versions={"fryer": "0.1.0"})
        ),
        Collected(node="node001", order="c1", rows=(ROW,)),
        Collected(node="node002", order="c1", problem="node001 did not come", missing=("node001",)),
    ],
)
def test_a_message_comes_back_as_it_was_sent(message: object) -> None:
    (line,) = encode(message)
    assert Reader(MESSAGES).read(line) == message


def test_each_line_begins_with_schema_version_and_type() -> None:
    (line,) = encode(HELLO)
    assert line.startswith('{"schema":"fryer/worker","version":1,"type":"hello","node":"node001",')
    assert "\n" not in line
    assert line.isascii()


@pytest.mark.parametrize(
    "text", ["", "Welcome to node001", "{}", '{"schema":"other"}', "Lmod: loaded cuda/12.8", "\x00ü"]
)
def test_what_other_programs_print_is_noise(text: str) -> None:
    assert Reader(MESSAGES).read(text) == Noise(text=text)


def test_chatter_without_an_end_before_a_line_does_not_hide_it() -> None:
    assert Reader(MESSAGES).read("Loading cuda... " + encode(HELLO)[0]) == HELLO


@pytest.mark.parametrize("version", [0, 2, "1", None, 1.5])
def test_a_line_of_another_version_is_version_skew_and_names_its_node(version: object) -> None:
    line = json.dumps(
        {"schema": "fryer/worker", "version": version, "type": "hello", "node": "node001"}, separators=(",", ":")
    )
    assert Reader(MESSAGES).read(line) == Unreadable(
        code="version_skew",
        message=f"its lines are of protocol {version!r}, and this Fryer speaks 1",
        node="node001",
    )


def test_a_hello_with_words_of_another_version_is_version_skew() -> None:
    line = encode(HELLO)[0].replace('"num_gpus":8', '"num_accelerators":8')
    found = Reader(MESSAGES).read(line)
    assert isinstance(found, Unreadable)
    assert (found.code, found.node) == ("version_skew", "node001")
    assert found.message == (
        "its Hello can't be read here: hello has a field 'num_accelerators' that this Fryer doesn't know"
    )


def test_an_unknown_type_is_garbled_and_says_which_are_known() -> None:
    line = encode(HELLO)[0].replace('"type":"hello"', '"type":"hullo"')
    assert Reader(MESSAGES).read(line) == Unreadable(
        code="garbled",
        message="its line is of type 'hullo', none of hello, progress, qualified, collected",
        node="node001",
    )


def test_a_worker_can_not_say_the_launcher_s_words() -> None:
    line = '{"schema":"fryer/worker","version":1,"type":"ended","node":"n","code":"done","message":""}'
    found = Reader(MESSAGES).read(line)
    assert isinstance(found, Unreadable)
    assert found.code == "garbled"


def test_a_cut_line_is_garbled() -> None:
    found = Reader(MESSAGES).read(encode(HELLO)[0][:-5])
    assert isinstance(found, Unreadable)
    assert found.code == "garbled"


@given(st.text())
def test_no_line_whatever_raises(text: str) -> None:
    assert isinstance(Reader(MESSAGES).read('{"schema":"fryer/worker",' + text), Unreadable)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    ),
    st.sampled_from(["node", "versions", "addresses", "num_gpus", "protocol", "type"]),
)
def test_no_value_in_any_field_raises(value: object, name: str) -> None:
    fields = json.loads(encode(HELLO)[0]) | {name: value}
    found = Reader(MESSAGES).read(json.dumps(fields, separators=(",", ":")))
    assert isinstance(found, Hello | Unreadable)


LONG = Progress(
    node="node001", order="q1", what="gemm", seconds=5.0, problems=tuple(f"problem {i}" for i in range(900))
)


def test_a_short_message_is_never_split() -> None:
    assert encode(Progress(node="n", order="q", what="gemm", seconds=1.0), 900) == encode(
        Progress(node="n", order="q", what="gemm", seconds=1.0)
    )


def test_a_long_message_is_split_into_pieces_of_bounded_length_and_put_together_again() -> None:
    lines = encode(LONG, 900, 7)
    assert len(lines) > 1
    assert all(len(line) <= 900 for line in lines)
    reader = Reader(MESSAGES)
    assert [reader.read(line) for line in lines] == [None] * (len(lines) - 1) + [LONG]


def test_pieces_of_several_nodes_may_come_between_one_another() -> None:
    other = Progress(node="node002", order="q1", what="hbm", seconds=5.0, problems=LONG.problems)
    reader = Reader(MESSAGES)
    found = []
    for mine, theirs in zip(encode(LONG, 900, 7), encode(other, 900, 7), strict=True):
        found += [reader.read(mine), reader.read("chatter"), reader.read(theirs)]
    assert [each for each in found if each is not None and not isinstance(each, Noise)] == [LONG, other]


def test_a_lost_piece_makes_the_line_garbled() -> None:
    first, _, *rest = encode(LONG, SHORTEST_PIECE_BYTES, 7)
    reader = Reader(MESSAGES)
    assert reader.read(first) is None
    found = reader.read(rest[0])
    assert isinstance(found, Unreadable)
    assert (found.code, found.node) == ("garbled", "node001")


def test_pieces_are_bounded_in_memory() -> None:
    lines = encode(LONG, SHORTEST_PIECE_BYTES, 7)
    reader = Reader(MESSAGES, most_bytes=600)
    found = [reader.read(line) for line in lines]
    assert any(isinstance(each, Unreadable) and "600 bytes" in each.message for each in found)
    assert LONG not in found


def test_a_small_line_that_unpacks_into_a_huge_one_is_garbled() -> None:
    huge = Progress(node="n", order="q", what="x" * 200_000, seconds=1.0)
    reader = Reader(MESSAGES, most_bytes=100_000)
    found = [reader.read(line) for line in encode(huge, 900)]
    assert isinstance(found[-1], Unreadable)
    assert found[-1].message == "its pieces are cut off, or more than 100,000 bytes together"


@given(st.text(max_size=3000), st.integers(SHORTEST_PIECE_BYTES, 2000), st.integers(0, 10**6))
def test_any_text_survives_any_piece_length(text: str, piece_bytes: int, serial: int) -> None:
    stop = Stop(reason=text)
    reader = Reader(ORDERS)
    lines = encode(stop, piece_bytes, serial)
    assert all(len(line) <= piece_bytes for line in lines)
    assert [reader.read(line) for line in lines][-1] == stop
