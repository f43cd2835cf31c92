"""The command in a process of its own, and a real ``fryer watch`` that it talks to."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FRYER = str(Path(sys.executable).with_name("fryer"))


def fryer(*arguments: object, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """The command, as people and scripts call it."""
    return subprocess.run(
        [FRYER, *map(str, arguments)], check=False, capture_output=True, text=True, timeout=90, input=text
    )


def until(what: str, look: Callable[[], Any], seconds: float = 45.0) -> Any:
    """What `look` returns once it is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {seconds:g} s")


@dataclass(frozen=True)
class Daemon:
    """A daemon that runs now."""

    socket: Path
    kmsg: Path
    process: subprocess.Popen[bytes]

    def ask(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """``fryer ... --socket`` of this daemon."""
        return fryer(*arguments, "--socket", self.socket)

    def incidents(self) -> list[dict[str, Any]]:
        """As ``fryer incident list --all --json`` has them."""
        done = self.ask("incident", "list", "--all", "--json")
        assert done.returncode == 0, done.stderr
        found: list[dict[str, Any]] = json.loads(done.stdout)["incidents"]
        return found

    def incident(self, root_code: str) -> dict[str, Any]:
        """The incident of this code, once it is there."""
        return until(root_code, lambda: next((one for one in self.incidents() if one["root_code"] == root_code), None))


def start(folder: Path, kmsg: Path, *arguments: str) -> Daemon:
    """A daemon that answers."""
    socket, log = folder / "s", folder / "log"
    command = [FRYER, "watch", "--state", str(folder / "state"), "--socket", str(socket), "--kmsg", str(kmsg)]
    with log.open("wb") as said:
        process = subprocess.Popen([*command, *arguments], stdin=subprocess.DEVNULL, stdout=said, stderr=said)
    daemon = Daemon(socket=socket, kmsg=kmsg, process=process)

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        return daemon.ask("incident", "list").returncode == 0

    try:
        until("the daemon answers", answers)
    except AssertionError:
        process.kill()
        process.wait()
        raise
    return daemon


def end(daemon: Daemon) -> None:
    """Ask it to end, and see that it does."""
    daemon.process.send_signal(signal.SIGTERM)
    try:
        assert daemon.process.wait(20) == 0
    finally:
        daemon.process.kill()
        daemon.process.wait()
