"""Real Prometheus and Alertmanager on loopback, and a page for them to scrape. All that is started is stopped again."""

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import socket
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).parents[2]


def _need(name: str, package: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        assert os.environ.get("CI") != "true", f"CI installs {name} (.ci/packages.txt)"
        pytest.skip(f"{name} is not installed (Debian package {package})")
    return found


def _until(what: str, look: Callable[[], Any], seconds: float = 30.0) -> Any:
    """What `look` returns once it is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {seconds:g} s")


def _free_port() -> int:
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _http(answer: Callable[[str, bytes], bytes]) -> Iterator[int]:
    """A server on loopback that answers every request with `answer(path, body)`; gives its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        def _answer(self, body: bytes) -> None:
            text = answer(self.path, body)
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *arguments: object) -> None:
            """Tests print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def _program(arguments: list[str], log: Path) -> Iterator[None]:
    with log.open("wb") as stream:
        process = subprocess.Popen(arguments, stdout=stream, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        try:
            yield
        except BaseException as error:
            error.add_note(log.read_text(encoding="utf-8", errors="replace")[-3000:])
            raise
        finally:
            process.terminate()
            process.wait(10)


@dataclass
class Monitoring:
    """Prometheus that scrapes `page` as job fryer, instance node007; Alertmanager that posts to `alerts`."""

    port: int = 0
    page: Callable[[], str] = str
    alerts: list[dict[str, Any]] = field(default_factory=list)
    """Of all webhook messages, oldest first."""

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Series that `expression` gives now; an expression that does not parse is an error."""
        url = f"http://127.0.0.1:{self.port}/api/v1/query?{urlencode({'query': expression})}"
        with urlopen(url, timeout=10) as answer:
            result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
            return result

    def wait_for_samples(self, metric: str, count: int) -> None:
        """Until `metric` was scraped `count` times."""
        _until(f"{count} samples of {metric}", lambda: self.query(f"count_over_time({metric}[1m]) >= {count}"))

    def wait_for_alert(self, name: str, status: str) -> dict[str, Any]:
        """The alert as the webhook got it, once it has."""

        def look() -> dict[str, Any] | None:
            wanted = (one for one in self.alerts if (one["labels"]["alertname"], one["status"]) == (name, status))
            return next(wanted, None)

        found: dict[str, Any] = _until(f"alert {name} {status}", look)
        return found


def _is_ready(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=1) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _configure(folder: Path, scrape: str, hook: int, alertmanager: int) -> None:
    (folder / "am.yml").write_text(
        "route: {receiver: hook, group_wait: 0s, group_interval: 1s, repeat_interval: 1h}\n"
        f"receivers: [{{name: hook, webhook_configs: [{{url: 'http://127.0.0.1:{hook}/', send_resolved: true}}]}}]\n"
    )
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
        f"rule_files: [{ROOT}/deploy/prometheus/fryer.rules.yml]\n"
        f"alerting: {{alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{alertmanager}']}}]}}]}}\n"
        "scrape_configs:\n"
        "  - job_name: fryer\n"
        f"{scrape}\n"
    )


@contextmanager
def _monitoring(made: Monitoring, folder: Path, scrape: str) -> Iterator[Monitoring]:
    prometheus = _need("prometheus", "prometheus")
    alertmanager = _need("prometheus-alertmanager", "prometheus-alertmanager")
    made.port = _free_port()

    def keep(path: str, body: bytes) -> bytes:
        made.alerts.extend(json.loads(body)["alerts"])
        return b""

    with ExitStack() as stack:
        hook, am = stack.enter_context(_http(keep)), _free_port()
        _configure(folder, scrape, hook, am)
        stack.enter_context(
            _program(
                [
                    alertmanager,
                    f"--config.file={folder}/am.yml",
                    f"--storage.path={folder}/am",
                    f"--web.listen-address=127.0.0.1:{am}",
                    "--cluster.listen-address=",  # without it, it listens on all addresses
                ],
                folder / "am.log",
            )
        )
        stack.enter_context(
            _program(
                [
                    prometheus,
                    f"--config.file={folder}/prometheus.yml",
                    f"--storage.tsdb.path={folder}/tsdb",
                    f"--web.listen-address=127.0.0.1:{made.port}",
                ],
                folder / "prometheus.log",
            )
        )
        _until("Alertmanager", lambda: _is_ready(am))
        _until("Prometheus", lambda: _is_ready(made.port))
        yield made


@pytest.fixture
def monitoring(tmp_path: Path) -> Iterator[Monitoring]:
    """Prometheus over a page of the test's own."""
    made = Monitoring()
    with _http(lambda path, body: made.page().encode()) as page:
        scrape = f"    static_configs: [{{targets: ['127.0.0.1:{page}'], labels: {{instance: node007}}}}]"
        with _monitoring(made, tmp_path, scrape):
            yield made


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[Callable[[str], Monitoring]]:
    """Prometheus over what is given: the lines of a job below its name."""
    with ExitStack() as stack:
        yield lambda scrape: stack.enter_context(_monitoring(Monitoring(), tmp_path, scrape))


@pytest.fixture
def need() -> Callable[[str, str], str]:
    """(program, Debian package) -> path; skips where it is missing, and fails in CI."""
    return _need
