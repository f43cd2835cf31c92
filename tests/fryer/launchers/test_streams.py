"""What is said of a worker from what it printed and how it ended; the real programs are in test_local and test_ssh."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fryer.fleet.orders import Ended, Hello, Progress
from fryer.fleet.wire import encode
from fryer.launchers.streams import TAIL_CHARACTERS, TAIL_LINES, Cause, NodeLines

HELLO = Hello(node="node001", protocol=1, versions={"fryer": "0.1.0"}, addresses=(), num_gpus=0)
PROGRESS = Progress(node="node001", order="q1", what="gemm", seconds=1.0)


def lines(*, is_ssh: bool = True, hello: bool = False, stderr: str = "") -> NodeLines:
    found = NodeLines("node001", "0.1.0", is_ssh=is_ssh)
    if hello:
        assert found.out(encode(HELLO)[0]) == HELLO
    if stderr:
        found.err(stderr)
    return found


@pytest.mark.parametrize(
    ("is_ssh", "hello", "stderr", "exit_code", "code"),
    [
        (True, False, "ssh: Could not resolve hostname node001: Name or service not known", 255, "unreachable"),
        (True, False, "root@node001: Permission denied (publickey).", 255, "unreachable"),
        (True, True, "Timeout, server node001 not responding.", 255, "unreachable"),
        (True, True, "client_loop: send disconnect: Broken pipe", 255, "died"),
        (True, True, "Connection to node001 closed by remote host.", 255, "died"),
        (True, True, "", 255, "died"),
        (False, False, "something", 255, "died"),
        (True, False, "bash: line 1: fryer: command not found", 127, "not_installed"),
        (True, False, "permission denied", 126, "not_installed"),
        (True, False, "/opt/python: No module named fryer", 1, "not_installed"),
        (True, True, "No module named fryer", 1, "died"),
        (True, False, "fryer: no command 'worker'; known: run", 2, "version_skew"),
        (True, False, "fryer: something else", 2, "died"),
        (True, True, "", 139, "died"),
        (False, True, "", -11, "died"),
        (True, True, "", 0, "died"),
    ],
)
def test_an_end_has_the_code_of_its_cause(is_ssh: bool, hello: bool, stderr: str, exit_code: int, code: str) -> None:
    ended = lines(is_ssh=is_ssh, hello=hello, stderr=stderr).end(exit_code, Cause.BY_ITSELF)
    assert ended is not None
    assert (ended.node, ended.code, ended.exit_code, ended.stderr) == ("node001", code, exit_code, stderr)


def test_a_signal_is_named_as_a_shell_and_as_a_parent_count_it() -> None:
    for exit_code in (139, -11):
        ended = lines(is_ssh=False, hello=True).end(exit_code, Cause.BY_ITSELF)
        assert ended is not None
        assert ended.message == (
            "node001: its worker was killed by signal 11; look at dmesg there: out of memory, or a crash?"
        )


def test_a_worker_that_ends_once_it_was_told_is_done_whatever_its_code() -> None:
    ended = lines(hello=True).end(255, Cause.STOPPED)
    assert ended is not None
    assert ended.code == "done"


def test_an_end_comes_once_and_nothing_after_it() -> None:
    found = lines(hello=True)
    assert found.end(0, Cause.BY_ITSELF) is not None
    assert found.end(0, Cause.BY_ITSELF) is None
    assert found.out(encode(PROGRESS)[0]) is None


def test_a_worker_that_speaks_for_another_node_is_garbled() -> None:
    found = lines(hello=True)
    ended = found.out(encode(Progress(node="node002", order="q1", what="gemm", seconds=1.0))[0])
    assert isinstance(ended, Ended)
    assert (ended.node, ended.code) == ("node001", "garbled")


def test_a_worker_that_speaks_before_its_hello_is_garbled() -> None:
    ended = lines().out(encode(PROGRESS)[0])
    assert isinstance(ended, Ended)
    assert ended.code == "garbled"


def test_only_the_last_lines_of_stderr_are_kept_and_each_is_cut() -> None:
    found = lines(hello=True)
    for index in range(1000):
        found.err(f"{index} " + "x" * 10_000)
    kept = found.tail.split("\n")
    assert len(kept) == TAIL_LINES
    assert kept[-1] == ("999 " + "x" * 10_000)[:TAIL_CHARACTERS]


def test_what_was_printed_on_stdout_before_a_hello_is_shown_when_none_came() -> None:
    found = lines(stderr="bash: exec: no such thing")
    found.out("This machine is down for maintenance")
    assert found.tail == "This machine is down for maintenance\nbash: exec: no such thing"


@given(st.lists(st.tuples(st.booleans(), st.text(max_size=60))), st.none() | st.integers(-64, 255), st.booleans())
def test_whatever_is_printed_there_is_exactly_one_end(
    printed: list[tuple[bool, str]], exit_code: int | None, is_ssh: bool
) -> None:
    found = NodeLines("node001", "0.1.0", is_ssh=is_ssh)
    ends = []
    for is_stderr, text in printed:
        if is_stderr:
            found.err(text)
        else:
            ends.append(found.out('{"schema":"fryer/worker",' + text))
    ends += [found.end(exit_code, Cause.BY_ITSELF), found.end(exit_code, Cause.BY_ITSELF)]
    assert sum(isinstance(one, Ended) for one in ends) == 1
