"""Asks a running daemon over its unix socket, for the commands. Standard library only; it never blocks for long."""

import http.client
import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from watchdog.vocabulary.errors import SourceFailed, UsageError

DEADLINE_SECONDS = 5.0


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=DEADLINE_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(DEADLINE_SECONDS)
        self.sock.connect(str(self._path))


def ask(path: Path, method: str, url: str, body: Mapping[str, object] | None = None) -> dict[str, Any]:
    """The daemon's JSON answer. Raises `UsageError` for what it refuses, `SourceFailed` where it does not answer."""
    connection = _UnixConnection(path)
    headers = {"Content-Type": "application/json"} if body is not None else {}
    try:
        connection.request(method, url, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        document = json.loads(answer.read())
    except FileNotFoundError as error:
        raise SourceFailed(f"no daemon listens at {path}; start it with: fryer watch, or name its --socket") from error
    except PermissionError as error:
        raise SourceFailed(f"the daemon's socket {path} may be used by its own user only; run as that user") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise SourceFailed(f"the daemon at {path} did not answer: {type(error).__name__} {error}") from error
    finally:
        connection.close()
    if answer.status >= 500:
        raise SourceFailed(f"the daemon at {path}: {document.get('error', answer.reason)}")
    if answer.status >= 400:
        raise UsageError(f"{document.get('error', answer.reason)}; {document.get('hint', '')}".rstrip("; "))
    return dict(document)
