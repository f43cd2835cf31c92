"""``fryer alerts test`` against a real receiver on this machine."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from commanded import fryer


class Receiver:
    """Takes every POST, and answers with `status`."""

    def __init__(self) -> None:
        self.status = 200
        self.bodies: list[Any] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's name
                """Silent."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def settings(folder: Path, text: str) -> Path:
    file = folder / "fryer.toml"
    file.write_text(text)
    return file


def test_a_test_alert_reaches_the_receiver_and_its_answer_is_said(receiver: Receiver, tmp_path: Path) -> None:
    file = settings(tmp_path, f'[watchdog.alerts]\nurl = "{receiver.url}"\nformat = "json"\n')
    done = fryer("alerts", "test", "--config", file, "--node", "n7")
    assert (done.returncode, done.stderr) == (0, "")
    assert receiver.url.removesuffix("/hook") + " took it: answered 200" in done.stdout
    (body,) = receiver.bodies
    assert (body["name"], body["node"], body["schema"]) == ("FryerTest", "n7", "fryer/alert")


@pytest.mark.parametrize(("status", "word"), [(403, "refused it"), (503, "could not take it now")])
def test_a_receiver_that_refuses_exits_1(receiver: Receiver, status: int, word: str, tmp_path: Path) -> None:
    receiver.status = status
    done = fryer("alerts", "test", "--config", settings(tmp_path, f'[watchdog.alerts]\nurl = "{receiver.url}"\n'))
    assert done.returncode == 1
    assert f"{word}: answered {status}" in done.stdout


def test_no_answer_exits_3_and_says_where(receiver: Receiver, tmp_path: Path) -> None:
    url = "http://127.0.0.1:1/secret-path"
    done = fryer("alerts", "test", "--config", settings(tmp_path, f'[watchdog.alerts]\nurl = "{url}"\n'))
    assert (done.returncode, done.stdout) == (3, "")
    assert "http://127.0.0.1:1: alert not sent" in done.stderr
    assert "secret-path" not in done.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "url is empty"),
        ("[watchdog.alerts]\nulr = 'x'\n", "did you mean 'url'"),
        ("[watchdog.alerts]\nurl = 'ftp://x'\n", "http"),
        ("[watchdog", "not TOML"),
    ],
)
def test_settings_that_lead_nowhere_exit_2(text: str, words: str, tmp_path: Path) -> None:
    done = fryer("alerts", "test", "--config", settings(tmp_path, text))
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


def test_a_settings_file_that_is_not_there_exits_2(tmp_path: Path) -> None:
    done = fryer("alerts", "test", "--config", tmp_path / "none.toml")
    assert done.returncode == 2
    assert "none.toml" in done.stderr
