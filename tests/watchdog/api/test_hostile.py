"""Huge, slow, malformed, unauthorised and too many requests over raw sockets: refused in JSON, and bounded."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from served import Served, read_all, serving, wait_until

from watchdog.api.limits import ApiLimits

QUICK = ApiLimits(head_seconds=0.3, body_seconds=0.3, body_bytes=10_000, buffered_bytes=15_000)


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("api") / "w.sock", limits=QUICK) as served:
        yield served
        assert served.http.get("/healthz").status_code == 200


def document(answer: bytes) -> tuple[int, dict[str, object]]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes(quick: Served) -> None:
    answer = quick.exchange(b"POST /v1/steps HTTP/1.1\r\nHost: x\r\nContent-Length: 10001\r\n\r\n")
    status, refusal = document(answer)
    assert (status, refusal["error"]) == (413, "the body is larger than 10000 bytes")
    assert refusal["hint"] == "send fewer records in one request"


def test_a_large_body_that_is_being_sent_gets_the_answer_and_no_reset(quick: Served) -> None:
    answer = quick.exchange(b"POST /v1/steps HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n" + b"x" * 4_000_000)
    assert document(answer)[0] == 413


def test_a_chunked_body_is_cut_off_at_the_limit(quick: Served) -> None:
    chunk = b"1000\r\n" + b"x" * 0x1000 + b"\r\n"
    head = b"POST /v1/steps HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert document(quick.exchange(head + 3 * chunk))[0] == 413


@pytest.mark.parametrize("length", [b"-1", b"1e9", b"9" * 30, b"0x10"])
def test_an_odd_content_length_is_refused(quick: Served, length: bytes) -> None:
    status, _ = document(
        quick.exchange(b"POST /v1/steps HTTP/1.1\r\nHost: x\r\nContent-Length: " + length + b"\r\n\r\n")
    )
    assert status in (400, 413)


def test_a_body_that_comes_too_slowly_is_refused(quick: Served) -> None:
    answer = quick.exchange(b"POST /v1/steps HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    status, refusal = document(answer)
    assert (status, refusal["error"]) == (408, "the body did not come within 0.3 s")


@pytest.mark.parametrize("sent", [b"", b"GET /v1/state HT", b"GET /v1/state HTTP/1.1\r\nHost: x\r\nX-Slow: "])
def test_a_head_that_comes_too_slowly_is_refused(quick: Served, sent: bytes) -> None:
    status, refusal = document(quick.exchange(sent))
    assert (status, refusal["error"]) == (408, "no whole request within 0.3 s")


def test_a_slow_second_head_on_a_connection_is_refused_too(quick: Served) -> None:
    with quick.connect() as end:
        end.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: b"alive" in end.recv(1 << 16))
        end.sendall(b"GET /hea")
        assert document(read_all(end))[0] == 408


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n bad: fold\x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n",
    ],
)
def test_what_is_no_http_is_refused_in_json(quick: Served, sent: bytes) -> None:
    status, refusal = document(quick.exchange(sent))
    assert (status, refusal["error"]) == (400, "Invalid HTTP request received")


def test_a_peer_that_leaves_in_the_middle_of_a_body_harms_nobody(quick: Served) -> None:
    with quick.connect() as end:
        end.sendall(b"POST /v1/steps HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    assert quick.http.get("/healthz").status_code == 200


def test_bodies_held_at_once_are_bounded_over_all_connections(quick: Served) -> None:
    head = b"POST /v1/steps HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n"
    with quick.connect() as first, quick.connect() as second:
        first.sendall(head + b"x" * 9000)
        second.sendall(head + b"x" * 9000)
        answers = {document(read_all(end))[0] for end in (first, second)}
    assert answers == {408, 429}


def test_more_requests_than_the_rate_allows_get_429_with_the_time_to_wait(tmp_path: Path) -> None:
    limits = ApiLimits(requests_per_second=0.5, burst=3)
    with serving(tmp_path / "w.sock", limits=limits) as served:
        answers = [served.http.get("/v1/health") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert answers[3].headers["retry-after"] == "2"
        assert answers[3].json()["error"] == "more than 0.5 requests a second"


def test_more_connections_than_the_limit_are_refused_and_the_others_go_on(tmp_path: Path) -> None:
    with serving(tmp_path / "w.sock", limits=ApiLimits(connections=2)) as served:
        with served.connect() as first, served.connect():
            served.call(lambda: None)
            with served.connect() as third:
                status, refusal = document(read_all(third))
            assert (status, refusal["error"]) == (429, "2 connections are open, which is the most")
            first.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert document(read_all(first))[0] == 200
        wait_until(lambda: not served.call(lambda: served.server.connections))
        assert served.http.get("/healthz").status_code == 200


def test_a_reader_that_does_not_read_is_cut_off(tmp_path: Path) -> None:
    with serving(tmp_path / "w.sock", limits=ApiLimits(write_seconds=0.2)) as served:
        large = {f"m{number}": 1.0 for number in range(100_000)}
        served.publish(counters=large)
        with served.connect() as end:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            end.sendall(b"GET /v1/state HTTP/1.1\r\nHost: x\r\n\r\n")
            time.sleep(0.5)
            wait_until(lambda: not served.call(lambda: served.server.connections))
            assert len(read_all(end)) < 1_000_000


def test_a_pipeline_of_requests_is_answered_in_order(quick: Served) -> None:
    request = b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = quick.exchange(5 * request + last)
    assert answer.count(b'"type":"health"') == 5
    assert answer.endswith(b'"started_at":900.0}')


def test_a_client_that_asks_before_it_sends_is_told_no_without_sending(quick: Served) -> None:
    head = b"POST /v1/steps HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: "
    refused = quick.exchange(head + b"10001\r\n\r\n")
    assert document(refused)[0] == 413
    assert b"100 Continue" not in refused
    with quick.connect() as end:
        end.sendall(head + b"2\r\n\r\n")
        assert end.recv(1 << 16).startswith(b"HTTP/1.1 100 ")
