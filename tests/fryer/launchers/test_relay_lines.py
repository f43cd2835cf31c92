"""What a relay says becomes messages of the nodes behind it, and its end theirs, once each."""

from fryer.fleet.orders import PROTOCOL, Ended, Hello, Message, Progress
from fryer.fleet.wire import encode
from fryer.launchers.relay_lines import RelayLines
from fryer.launchers.streams import Cause


def hello(node: str, fryer: str = "1.0") -> Hello:
    return Hello(node=node, protocol=PROTOCOL, versions={"fryer": fryer}, addresses=("10.0.0.1",), num_gpus=8)


def feed(lines: RelayLines, *messages: Message) -> list[Message]:
    return [told for message in messages for line in encode(message) for told in lines.feed(line)]


def relay(*messages: Message) -> RelayLines:
    lines = RelayLines("gw1", ("n1", "n2"), "1.0")
    feed(lines, *messages)
    return lines


def ends(told: list[Message] | tuple[Ended, ...]) -> dict[str, tuple[str, str]]:
    assert all(isinstance(one, Ended) for one in told)
    return {one.node: (one.code, one.message) for one in told}


def test_its_own_hello_is_told_to_nobody_and_those_of_its_nodes_are() -> None:
    lines = RelayLines("gw1", ("n1", "gw1"), "1.0")
    assert feed(lines, hello("gw1")) == []
    assert lines.has_said_hello
    assert feed(lines, hello("n1"), hello("gw1")) == [hello("n1"), hello("gw1")]


def test_a_node_s_end_is_told_once_and_the_others_go_on() -> None:
    lines = relay(hello("gw1"), hello("n1"), hello("n2"))
    ended = Ended(node="n1", code="died", message="n1: killed")
    assert feed(lines, ended, ended) == [ended]
    assert (lines.left, lines.is_over) == (("n2",), False)
    sign = Progress(node="n2", order="q", what="gemm", seconds=1.0)
    assert feed(lines, sign) == [sign]


def test_the_relay_s_end_is_that_of_all_nodes_that_are_left_with_its_own_words() -> None:
    lines = relay(hello("gw1"), hello("n1"), hello("n2"), Ended(node="n1", code="died", message="n1: killed"))
    lines.err("client_loop: send disconnect: Broken pipe")
    (ended,) = lines.ends(255, Cause.BY_ITSELF)
    assert (ended.node, ended.code) == ("n2", "died")
    assert ended.message.startswith("n2: its gateway failed: gw1: it closed the connection: client_loop")
    assert (ended.stderr, ended.exit_code) == ("client_loop: send disconnect: Broken pipe", 255)
    assert lines.is_over
    assert lines.ends(255, Cause.BY_ITSELF) == ()


def test_after_a_stop_its_end_is_as_it_was_told() -> None:
    lines = relay(hello("gw1"), hello("n1"))
    assert {node: code for node, (code, _) in ends(lines.ends(0, Cause.STOPPED)).items()} == {
        "n1": "done",
        "n2": "done",
    }


def test_another_version_on_the_gateway_or_behind_it_is_an_error() -> None:
    lines = RelayLines("gw1", ("n1", "n2"), "1.0")
    found = ends(feed(lines, hello("gw1", "0.9")))
    assert {node: code for node, (code, _) in found.items()} == {"n1": "version_skew", "n2": "version_skew"}
    assert found["n1"][1].startswith("n1: its gateway failed: gw1: it has Fryer 0.9")
    (ended,) = feed(relay(hello("gw1")), hello("n2", "0.9"))
    assert (ended.node, ended.code) == ("n2", "version_skew")


def test_what_can_t_be_understood_ends_all() -> None:
    lines = relay(hello("gw1"))
    assert lines.feed("a banner") == ()
    assert {node: code for node, (code, _) in ends(feed(lines, hello("stranger"))).items()} == {
        "n1": "garbled",
        "n2": "garbled",
    }
    assert feed(lines, hello("n1")) == []
    broken = relay(hello("gw1"))
    assert set(ends(broken.feed('{"schema":"fryer/worker","version":1,"type":"dance"}'))) == {"n1", "n2"}


def test_nodes_that_were_given_back_are_another_s() -> None:
    lines = RelayLines("gw1", ("n1", "n2"), "1.0")
    assert lines.give_back() == ("n1", "n2")
    assert lines.is_over
    assert lines.ends(255, Cause.BY_ITSELF) == ()
