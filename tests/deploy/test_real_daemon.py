"""The whole way of a fault: kernel line, real daemon, TLS and token, real Prometheus, real Alertmanager, webhook."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from socket import socket
from typing import Any

import pytest
from watched import Watched, say, wait_until

XID_79 = "NVRM: Xid (PCI:0000:1b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."


@pytest.fixture
def port() -> int:
    with closing(socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def daemon(tmp_path: Path, port: int, need: Callable[[str, str], str]) -> Iterator[Watched]:
    """A daemon that listens on TCP as well, as docs and deploy/prometheus have it."""
    key, certificate, token = tmp_path / "key.pem", tmp_path / "cert.pem", tmp_path / "token"
    names = ["-days", "1", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    make = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", *names]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([need("openssl", "openssl"), *make, *files], check=True, capture_output=True)
    token.touch(mode=0o600)
    token.write_text("drill-" * 8)
    given = {"listen": f"127.0.0.1:{port}", "token_file": token, "cert_file": certificate, "key_file": key}
    folder = tmp_path / "daemon"
    folder.mkdir()
    made = Watched(
        folder=folder, config="[watchdog.tcp]\n" + "".join(f'{name} = "{value}"\n' for name, value in given.items())
    )
    try:
        made.start()
        yield made
    finally:
        made.end()


@pytest.mark.drill
def test_a_kernel_line_reaches_a_webhook_through_the_real_daemon_prometheus_and_alertmanager(
    daemon: Watched, monitor: Callable[[str], Any], tmp_path: Path, port: int
) -> None:
    monitoring = monitor(
        "    scheme: https\n"
        f"    authorization: {{credentials_file: {tmp_path}/token}}\n"
        f"    tls_config: {{ca_file: {tmp_path}/cert.pem}}\n"
        f"    static_configs: [{{targets: ['127.0.0.1:{port}'], labels: {{instance: node001}}}}]"
    )
    monitoring.wait_for_samples("fryer_gpu_power_watts", 2)
    (up,) = monitoring.query('up{job="fryer"}')
    assert up["value"][1] == "1"
    wait_until("eight GPUs", lambda: len(monitoring.query("fryer_gpu_power_watts")) == 8)
    assert monitoring.query('ALERTS{severity="critical",alertstate="firing"}') == []
    daemon.write(XID_79)
    begun = time.monotonic()
    alert = monitoring.wait_for_alert("FryerGpuXidFatal", "firing")
    seconds = time.monotonic() - begun
    labels = {key: alert["labels"][key] for key in ("instance", "pci", "xid", "severity")}
    assert labels == {"instance": "node001", "pci": "0000:1b:00.0", "xid": "79", "severity": "critical"}
    assert alert["labels"]["uuid"].startswith("GPU-")
    say(f"kernel line to webhook, over TLS, scraped and evaluated each second: {seconds:.1f} s; {alert['annotations']}")
