"""One POST, never longer than its deadline. No redirects (the secret goes to the configured host only), no proxies."""

import http.client
import socket
import ssl
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from watchdog.alerts.settings import AlertSettings
from watchdog.vocabulary.errors import SourceFailed, UsageError

_PASSING = frozenset({408, 425, 429})
"""Refusals that may pass; other 4xx and 3xx come again whatever is tried."""
_MOST_SECRET_BYTES = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a receiver answered."""

    status: int
    seconds: float
    """From connecting to the answer's status line."""

    @property
    def is_taken(self) -> bool:
        """Whether the receiver has it."""
        return 200 <= self.status < 300

    @property
    def is_final(self) -> bool:
        """Whether sending the same again is of no use."""
        return self.is_taken or (self.status < 500 and self.status not in _PASSING)


def post(settings: AlertSettings, body: bytes) -> Answer:
    """Send `body`; raises `SourceFailed` without an answer in time, `UsageError` where secret or CA can't be read.

    Blocks at most the deadline; resolving the host's name is the system's, and has the system's own limit.
    """
    headers = {"Content-Type": "application/json", "User-Agent": "fryer-watch", "Connection": "close"}
    if settings.secret_file is not None:
        headers[settings.secret_header] = _secret(settings.secret_file)
    parts = urlsplit(settings.url)
    target = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    connection = _connection(settings)
    begun = time.monotonic()
    try:
        connection.connect()
        left = settings.deadline_seconds - (time.monotonic() - begun)
        with _CutOff(connection.sock, max(left, 0.001)):
            connection.request("POST", target, body=body, headers=headers)
            status = connection.getresponse().status
    except (OSError, http.client.HTTPException, ValueError) as error:
        seconds = time.monotonic() - begun
        what = (
            f"no answer within {settings.deadline_seconds:g} s" if _is_late(error, seconds, settings) else _why(error)
        )
        raise SourceFailed(f"{settings.place}: alert not sent: {what}") from None  # the cause may quote the header
    finally:
        connection.close()
    return Answer(status=status, seconds=time.monotonic() - begun)


class _CutOff:
    """Shuts a socket down after some seconds: a socket's own timeout begins anew with each byte of a slow answer."""

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        self._sock = sock
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._timer.join()

    def _cut(self) -> None:
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)


def _connection(settings: AlertSettings) -> http.client.HTTPConnection:
    parts = urlsplit(settings.url)
    assert parts.hostname is not None
    if parts.scheme == "http":
        return http.client.HTTPConnection(parts.hostname, parts.port, timeout=settings.deadline_seconds)
    try:
        context = ssl.create_default_context(cafile=str(settings.ca_file) if settings.ca_file else None)
    except OSError as error:
        raise UsageError(f"[watchdog.alerts] ca_file {settings.ca_file}: {_why(error)}") from error
    return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=settings.deadline_seconds, context=context)


def _secret(file: Path) -> str:
    """The secret header's value. No message ever quotes it."""
    try:
        with file.open("rb") as opened:
            text = opened.read(_MOST_SECRET_BYTES + 1)
    except OSError as error:
        raise UsageError(f"[watchdog.alerts] secret_file can't be read: {error}") from error
    value = text.decode("latin-1").strip()
    if not value or len(text) > _MOST_SECRET_BYTES or not value.isprintable():
        raise UsageError(f"[watchdog.alerts] secret_file {file}: not one line of 1 to {_MOST_SECRET_BYTES} characters")
    return value


def _is_late(error: Exception, seconds: float, settings: AlertSettings) -> bool:
    return isinstance(error, TimeoutError) or seconds >= settings.deadline_seconds


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return type(error).__name__
