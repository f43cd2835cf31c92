"""Where the API listens, who may connect, and what is refused before it does."""

import asyncio
import os
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from fake_service import FakeService
from served import serving

from watchdog.api.server import ApiServer
from watchdog.settings import TcpSettings
from watchdog.vocabulary.errors import UsageError

TOKEN = "0123456789abcdef0123456789abcdef"
SERVE = Path(__file__).parents[2] / "fakes" / "serve_fake.py"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TcpSettings:
    """A self-signed certificate for 127.0.0.1, its key, and a token."""
    if shutil.which("openssl") is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    name = ("-subj", "/CN=fryer", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", *name],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    token = folder / "token"
    token.write_text(f"{TOKEN}\n")
    token.chmod(0o600)
    return TcpSettings(
        listen="127.0.0.1:0", token_file=token, cert_file=folder / "cert.pem", key_file=folder / "key.pem"
    )


def start_and_stop(path: Path, tcp: TcpSettings | None = None) -> None:
    async def run() -> None:
        server = ApiServer(FakeService(), path, tcp=tcp)
        await server.start()
        await server.stop()
        await server.stop()

    asyncio.run(run())


def test_the_socket_is_for_its_owner_alone_and_goes_with_the_server(tmp_path: Path) -> None:
    path = tmp_path / "made" / "w.sock"
    before = os.umask(0)
    try:
        with serving(path):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755
    finally:
        os.umask(before)
    assert not path.exists()


def test_a_dead_daemons_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "w.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with serving(path) as served:
        assert served.http.get("/healthz").status_code == 200


def test_a_living_daemons_socket_is_left_alone(tmp_path: Path) -> None:
    with serving(tmp_path / "w.sock") as served:
        with pytest.raises(UsageError, match="another daemon listens"):
            start_and_stop(served.path)
        assert served.http.get("/healthz").status_code == 200


def test_the_next_daemons_socket_is_not_removed_by_the_last_one(tmp_path: Path) -> None:
    path = tmp_path / "w.sock"
    with serving(path):
        path.unlink()
        with socket.socket(socket.AF_UNIX) as following:
            following.bind(str(path))
    assert path.is_socket()


@pytest.mark.parametrize(
    ("name", "error"),
    [("file", "is no socket"), ("x" * 120, "longer than 107 bytes"), ("file/w.sock", "can't listen on")],
)
def test_a_path_that_can_not_be_listened_on_is_refused_with_the_reason(tmp_path: Path, name: str, error: str) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(UsageError, match=error):
        start_and_stop(tmp_path / name)
    assert (tmp_path / "file").read_text() == "kept"


def test_tcp_needs_the_token_and_talks_tls(tmp_path: Path, tls: TcpSettings) -> None:
    with serving(tmp_path / "w.sock", tcp=tls) as served:
        base = f"https://127.0.0.1:{served.server.tcp_port}"
        trust = ssl.create_default_context(cafile=str(tls.cert_file))
        with httpx.Client(base_url=base, verify=trust, timeout=20) as remote:
            assert remote.get("/healthz").status_code == 200
            for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {TOKEN}"}, {"x": TOKEN}):
                refused = remote.get("/v1/state", headers=headers)
                assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
                assert TOKEN not in refused.text
            assert remote.post("/v1/steps", json={}).status_code == 401
            assert remote.get("/v1/openapi.json").status_code == 401
            assert remote.get("/v1/state", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(f"http://127.0.0.1:{served.server.tcp_port}/healthz")
        assert served.http.get("/v1/state").status_code == 200  # the unix socket's mode is its token


def test_the_token_is_in_no_log(tmp_path: Path, tls: TcpSettings, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with serving(tmp_path / "w.sock", FakeService(error=RuntimeError("broken")), tcp=tls) as served:
        trust = ssl.create_default_context(cafile=str(tls.cert_file))
        url = f"https://127.0.0.1:{served.server.tcp_port}/v1/events"
        assert httpx.get(url, verify=trust, headers={"authorization": f"Bearer {TOKEN}"}).status_code == 500
    assert "request failed method=GET path=/v1/events" in caplog.text
    assert TOKEN not in caplog.text


@pytest.mark.parametrize(
    ("token", "mode", "error"),
    [
        (TOKEN, 0o640, "others may read it"),
        ("short", 0o600, "not 16 or more printable"),
        ("two words are not a token", 0o600, "not 16 or more printable"),
        (None, 0o600, "can't be read"),
    ],
)
def test_a_token_file_that_is_not_safe_is_refused_without_showing_it(
    tmp_path: Path, tls: TcpSettings, token: str | None, mode: int, error: str
) -> None:
    file = tmp_path / "token"
    if token is not None:
        file.write_text(token)
        file.chmod(mode)
    unsafe = TcpSettings(listen="127.0.0.1:0", token_file=file, cert_file=tls.cert_file, key_file=tls.key_file)
    with pytest.raises(UsageError, match=error) as refused:
        start_and_stop(tmp_path / "w.sock", unsafe)
    assert token is None or token not in str(refused.value)
    assert not (tmp_path / "w.sock").exists()


@pytest.mark.parametrize(
    ("listen", "error"), [("9443", "write host:port"), ("h:99999", "write host:port"), (":1", "write")]
)
def test_an_address_that_is_none_is_refused(tmp_path: Path, tls: TcpSettings, listen: str, error: str) -> None:
    wrong = TcpSettings(listen=listen, token_file=tls.token_file, cert_file=tls.cert_file, key_file=tls.key_file)
    with pytest.raises(UsageError, match=error):
        start_and_stop(tmp_path / "w.sock", wrong)


def test_a_port_in_use_and_a_wrong_certificate_are_refused_and_leave_nothing_behind(
    tmp_path: Path, tls: TcpSettings
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        used = TcpSettings(listen=listen, token_file=tls.token_file, cert_file=tls.cert_file, key_file=tls.key_file)
        with pytest.raises(UsageError, match=f"can't listen on {listen}"):
            start_and_stop(tmp_path / "w.sock", used)
    wrong = TcpSettings(
        listen="127.0.0.1:0", token_file=tls.token_file, cert_file=tls.token_file, key_file=tls.key_file
    )
    with pytest.raises(UsageError, match="must be PEM"):
        start_and_stop(tmp_path / "w.sock", wrong)
    assert not (tmp_path / "w.sock").exists()


def test_the_daemons_signal_handlers_stay_its_own(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)

    async def run() -> None:
        server = ApiServer(FakeService(), tmp_path / "w.sock")
        await server.start()
        assert signal.getsignal(signal.SIGTERM) is before
        await server.stop()

    asyncio.run(run())


def test_many_clients_at_once_are_all_answered(tmp_path: Path) -> None:
    with serving(tmp_path / "w.sock") as served, ThreadPoolExecutor(32) as pool:
        step = {"run": "r", "at": 1.0, "step": 1}

        def post(rank: int) -> int:
            with httpx.Client(transport=httpx.HTTPTransport(uds=str(served.path)), base_url="http://x") as client:
                answers = [client.post("/v1/steps", json={"steps": [{**step, "rank": rank}]}) for _ in range(5)]
            return sum(answer.json()["num_kept"] for answer in answers)

        assert sum(pool.map(post, range(64))) == 320
        assert len(served.service.records) == 320


def test_a_killed_daemon_leaves_a_socket_that_the_next_one_takes(tmp_path: Path) -> None:
    path = tmp_path / "w.sock"
    process = subprocess.Popen([sys.executable, SERVE, path], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process:
        assert process.stdout.readline() == b"ready\n"
        process.kill()
    assert path.is_socket()
    with serving(path) as served:
        assert served.http.get("/healthz").status_code == 200
