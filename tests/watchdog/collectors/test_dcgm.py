"""dcgm-exporter's page: captured by others, and served here by a real HTTP server, well and badly."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from watchdog.collectors.dcgm import Dcgm, Settings, read_gpus
from watchdog.collectors.dcgm_fields import FIELDS, field_of, is_blank
from watchdog.vocabulary.errors import SourceFailed, SourceMissing
from watchdog.vocabulary.subjects import Subject

PAGE = Path(__file__).parents[3] / "../shared/data/dcgm/netdata_metrics_valid.prom"
GPU = Subject("node001", "gpu", "GPU-aaa")
Answer = Callable[[BaseHTTPRequestHandler], None]
Serve = Callable[[str | Answer], str]


@pytest.fixture
def captured() -> str:
    """The page of netdata's tests: one GPU, one of its fields blank, one instance of a divided GPU."""
    if not PAGE.exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{PAGE} is needed here")
        pytest.skip(f"{PAGE} is not here")
    return PAGE.read_text(encoding="utf-8")


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve a text, or let a function answer; returns the URL."""
    answer: list[str | Answer] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if callable(answer[-1]):
                answer[-1](self)
            else:
                send(self, answer[-1])

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()

    def start(what: str | Answer) -> str:
        answer.append(what)
        return f"http://127.0.0.1:{server.server_address[1]}/metrics"

    yield start
    server.shutdown()
    server.server_close()
    thread.join(10)


def send(handler: BaseHTTPRequestHandler, text: str, length: int | None = None, status: int = 200) -> None:
    body = text.encode()
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)
    handler.close_connection = True


def page(name: str, value: float | str, labels: str = 'gpu="0",UUID="GPU-aaa"') -> str:
    return f"# HELP {name} of a test\n{name}{{{labels}}} {value}\n"


def dcgm(url: str, **settings: object) -> Dcgm:
    return Dcgm("node001", Settings(url=url, **settings))  # type: ignore[arg-type]


def test_the_captured_page_is_read_without_its_blank_value_and_its_instance(captured: str) -> None:
    assert read_gpus(captured, "node001") == {
        GPU: {
            203: 80,
            252: 1024,
            230: 31,
            395: 1,
            393: 7,
            240: 2_000_000,
            241: 5_000_000,
            1009: 123_456,
            429: 4,
        }
    }


def test_the_captured_page_cut_anywhere_in_a_line_is_a_failure(captured: str) -> None:
    cuts = [at for at in range(1, len(captured)) if captured[at - 1] != "\n"]
    for at in cuts[::37]:
        with pytest.raises(SourceFailed, match="ends in the middle"):
            read_gpus(captured[:at], "node001")


def test_values_come_in_our_units_with_a_prefix_and_the_old_xid_is_a_fact(serve: Serve, captured: str) -> None:
    collected = dcgm(serve(captured)).collect(5.0)
    (row,) = collected.rows
    assert (row.subject, row.at) == (GPU, 5.0)
    assert row.values == {
        "dcgm_utilization_ratio": pytest.approx(0.8),
        "dcgm_memory_used_bytes": 1024 * 2**20,
        "dcgm_remap_failed": 1,
        "dcgm_remapped_rows_uncorrected": 7,
        "dcgm_power_cap_seconds": pytest.approx(2e-3),
        "dcgm_thermal_throttle_seconds": pytest.approx(5e-3),
        "dcgm_pcie_tx_bytes_per_second": 123_456,
        "dcgm_nvlink_replay_errors_total": 4,
    }
    assert collected.events == ()
    assert collected.facts == {GPU: {"dcgm_last_xid": 31}}


def test_where_dcgm_is_the_first_source_its_figures_are_the_gpus_own(serve: Serve) -> None:
    url = serve(page("DCGM_FI_DEV_GPU_TEMP", 61) + page("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", 0.5))
    assert dcgm(url, is_primary=True).collect(0.0).rows[0].values == {
        "temperature_celsius": 61,
        "tensor_active_ratio": 0.5,
    }


def test_what_nvml_does_not_give_needs_no_prefix(serve: Serve) -> None:
    url = serve(page("DCGM_FI_PROF_TENSOR_UTIL_RATIO", 0.5) + page("DCGM_FI_PROF_DRAM_ACTIVE", 0.25))
    assert dcgm(url).collect(0.0).rows[0].values == {"tensor_active_ratio": 0.5, "dram_active_ratio": 0.25}


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("DCGM_FI_DEV_GPU_TEMP", 150),
        ("DCGM_FI_DEV_GPU_TEMP_CELSIUS", 150),
        ("150", 150),
        ("DCGM_FI_DEV_XID_ERRORS", 230),
        ("DCGM_FI_DEV_XID_ERROR", 230),
        ("DCGM_FI_DEV_PCIE_REPLAY_COUNTER", 202),
        ("DCGM_FI_DEV_PCIE_REPLAY_TOTAL", 202),
        ("DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS", 393),
        ("DCGM_FI_DEV_ROW_REMAP_UNCORRECTABLE_TOTAL", 393),
        ("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", 1004),
        ("DCGM_FI_PROF_TENSOR_UTIL_RATIO", 1004),
    ],
)
def test_a_field_is_found_by_its_number_and_by_every_name_that_it_had(name: str, number: int) -> None:
    found = field_of(name)
    assert found is not None
    assert found.number == number


def test_a_name_that_is_not_known_is_no_field() -> None:
    assert field_of("DCGM_FI_DEV_NOVELTY") is None
    assert field_of("9999") is None
    assert len({field.metric for field in FIELDS.values()}) == len(FIELDS)


@pytest.mark.parametrize(
    ("value", "blank"),
    [
        (9223372036854775792, True),
        (9223372036854775794, True),
        (2147483632, True),
        (2147483635, True),
        (140737488355330.0, True),
        (2147483631, False),
        (2147483636, False),
        (0, False),
        (-1, False),
    ],
)
def test_blank_values_are_those_at_the_end_of_a_type(value: float, blank: bool) -> None:
    assert is_blank(float(value)) is blank


def test_an_xid_is_an_event_when_it_changes_and_never_at_the_first_look(serve: Serve) -> None:
    collector = dcgm(serve(page("DCGM_FI_DEV_XID_ERRORS", 31)))
    events = [collector.collect(0.0).events]
    for code in (31, 79, 0):
        serve(page("DCGM_FI_DEV_XID_ERRORS", code))
        events.append(collector.collect(1.0 + code).events)
    assert [[event.code for event in some] for some in events] == [[], [], [79], []]
    (event,) = events[2]
    assert (event.kind, event.subject, event.at, event.action) == ("xid", GPU, 80.0, "reboot_node")
    assert event.data == {"source": "dcgm"}


def test_links_are_added_up(serve: Serve) -> None:
    links = [
        page("DCGM_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL", n, f'UUID="GPU-aaa",nvlink="{n}"') for n in range(1, 4)
    ]
    assert dcgm(serve("".join(links))).collect(0.0).rows[0].values == {"dcgm_nvlink_replay_errors_total": 6}


def test_a_value_that_is_no_number_is_absent(serve: Serve) -> None:
    url = serve(page("DCGM_FI_DEV_GPU_TEMP", "NaN") + page("DCGM_FI_DEV_POWER_USAGE", 300))
    assert dcgm(url).collect(0.0).rows[0].values == {"dcgm_power_watts": 300}


@pytest.mark.parametrize("text", ["", "# nothing\n", "go_goroutines 7\n", page("DCGM_FI_DEV_GPU_TEMP", 2147483632)])
def test_a_page_without_a_field_of_a_gpu_is_a_failure(serve: Serve, text: str) -> None:
    with pytest.raises(SourceFailed, match="no field of any GPU"):
        dcgm(serve(text)).collect(0.0)


@pytest.mark.parametrize("line", ['a{b="c} 1', "a b c d", 'a{b="c"} x', '{b="c"} 1'])
def test_a_line_that_is_no_sample_is_a_failure_that_names_it(serve: Serve, line: str) -> None:
    with pytest.raises(SourceFailed, match="line 1 is not Prometheus text"):
        dcgm(serve(line + "\n")).collect(0.0)


def test_a_body_shorter_than_its_length_is_a_failure(serve: Serve) -> None:
    text = page("DCGM_FI_DEV_GPU_TEMP", 61)
    with pytest.raises(SourceFailed, match="can't be read"):
        dcgm(serve(lambda handler: send(handler, text, length=len(text) + 10))).collect(0.0)


def test_another_status_than_200_is_a_failure_and_no_redirect_is_followed(serve: Serve) -> None:
    with pytest.raises(SourceFailed, match="answers 302"):
        dcgm(serve(lambda handler: send(handler, "elsewhere", status=302))).collect(0.0)


def test_a_page_that_is_too_long_is_refused(serve: Serve) -> None:
    url = serve("# " + "x" * 5000 + "\n" + page("DCGM_FI_DEV_GPU_TEMP", 61))
    with pytest.raises(SourceFailed, match="more than 2000 bytes"):
        dcgm(url, most_bytes=2000).collect(0.0)


@pytest.mark.parametrize("part", ["head", "body"])
def test_an_answer_that_drips_ends_at_the_deadline(serve: Serve, part: str) -> None:
    """Each byte comes within the socket's timeout, so only a deadline for the whole ends it."""
    enough = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        try:
            if part == "body":
                handler.send_response(200)
                handler.send_header("Content-Length", "100000")
                handler.end_headers()
            else:
                handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not enough.wait(0.05):
                handler.wfile.write(b"x")
        except OSError:
            handler.close_connection = True  # the other side hung up, which is what is tested

    begun = time.monotonic()
    with pytest.raises(SourceFailed, match=r"did not answer within 0\.5 s"):
        dcgm(serve(drip), deadline_seconds=0.5).collect(0.0)
    enough.set()
    assert time.monotonic() - begun < 60


def test_nobody_at_the_door_is_a_failure() -> None:
    with pytest.raises(SourceFailed, match="is the exporter running"):
        dcgm("http://127.0.0.1:9/metrics").collect(0.0)


def test_no_url_is_no_such_source() -> None:
    with pytest.raises(SourceMissing, match="no url"):
        Dcgm("node001").collect(0.0)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "https://h/metrics", "127.0.0.1:9400", "http://u:p@h/metrics"])
def test_settings_want_a_plain_http_url(url: str) -> None:
    with pytest.raises(ValueError, match="allowed: http://HOST:PORT/PATH"):
        Settings(url=url)
