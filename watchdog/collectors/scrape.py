"""Asks a metrics page over HTTP, within a deadline for the whole of it and a limit on its size. Follows no redirect."""

import http.client
import socket
import threading
from contextlib import suppress
from urllib.parse import SplitResult, urlsplit

from watchdog.vocabulary.errors import SourceFailed


def parse_url(url: str) -> SplitResult:
    """The parts of an ``http`` URL with a host; raises ValueError for anything else."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(f"url is {url!r}; allowed: http://HOST:PORT/PATH")
    if parts.username or parts.password:
        raise ValueError("url holds a user or a password; allowed: http://HOST:PORT/PATH")
    return parts


def scrape(url: str, deadline_seconds: float, most_bytes: int) -> str:
    """The page's text; raises `SourceFailed` for no answer, a late, a cut off, a too long or any other than 200."""
    parts = parse_url(url)
    target = (parts.path or "/metrics") + (f"?{parts.query}" if parts.query else "")
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=deadline_seconds)
    late = threading.Event()
    timer: threading.Timer | None = None
    try:
        connection.connect()
        timer = threading.Timer(deadline_seconds, _cut, (connection.sock, late))
        timer.daemon = True
        timer.start()  # socket timeouts start anew with each byte, so a slow answer would have no end
        body = _body(connection, target, url, most_bytes)
        if late.is_set():
            raise TimeoutError  # http.client takes a head that was cut off for a whole one, with no body
        return body
    except (OSError, http.client.HTTPException, UnicodeDecodeError) as error:
        if late.is_set() or isinstance(error, TimeoutError):
            raise SourceFailed(f"{url} did not answer within {deadline_seconds:g} s; is the exporter hung?") from error
        what = str(error) or type(error).__name__
        raise SourceFailed(f"{url} can't be read: {what}; is the exporter running?") from error
    finally:
        if timer is not None:
            timer.cancel()
        connection.close()


def _body(connection: http.client.HTTPConnection, target: str, url: str, most_bytes: int) -> str:
    connection.request("GET", target, headers={"Accept": "text/plain; version=0.0.4", "Connection": "close"})
    response = connection.getresponse()
    if response.status != http.client.OK:
        raise SourceFailed(f"{url} answers {response.status} {response.reason}; is it the exporter's page?")
    body = response.read(most_bytes + 1)
    if len(body) > most_bytes:
        raise SourceFailed(f"{url} answers with more than {most_bytes} bytes; is it the exporter's page?")
    if response.length:
        raise http.client.IncompleteRead(body, response.length)
    return body.decode()


def _cut(connected: socket.socket, late: threading.Event) -> None:
    """End the connection from beside: whoever waits in it gets an error."""
    late.set()
    with suppress(OSError):  # it ended meanwhile
        connected.shutdown(socket.SHUT_RDWR)
