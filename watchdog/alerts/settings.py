"""`[watchdog.alerts]`: where alerts go, and how long it may take."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from watchdog.vocabulary.errors import nearest
from watchdog.vocabulary.findings import Severity

FORMATS = ("alertmanager", "json")
_LEAST = ("UNKNOWN", "WARN", "FAIL")
_HEADER = re.compile(r"[A-Za-z0-9-]+")
_POSITIVE = ("deadline_seconds", "first_wait_seconds", "longest_wait_seconds", "repeat_seconds", "give_up_seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSettings:
    """`[watchdog.alerts]`. Numbers are our own choice."""

    url: str = ""
    """Whole URL of the receiver, ``http://127.0.0.1:9093/api/v2/alerts`` for an Alertmanager; empty: no alerts."""
    format: str = "alertmanager"
    """``alertmanager``: its API v2; ``json``: one document of ours, `fryer/alert`."""
    secret_file: Path | None = None
    """Holds the value of the secret header, ``Bearer ...``: read at each send, so that it may be changed."""
    secret_header: str = "Authorization"  # noqa: S105 - the name of a header
    ca_file: Path | None = None
    """Certificates that https is checked against; None: those of the system."""
    least_severity: str = "WARN"
    """The least that is worth an alert."""
    deadline_seconds: float = 5.0
    """Of one POST, from connecting to the answer's status."""
    first_wait_seconds: float = 1.0
    """After the first failure; each further one doubles it."""
    longest_wait_seconds: float = 60.0
    give_up_seconds: float = 86400.0
    """An alert that could not be sent for so long is dropped, and counted."""
    most_queued: int = 256
    """Alerts that wait; the oldest is dropped, and counted, for one more."""
    repeat_seconds: float = 3600.0
    """An open incident is sent again after this. Alertmanager takes it as over when it hears nothing for twice that."""

    def __post_init__(self) -> None:
        """Bounds."""
        if self.url:
            _check_url(self.url)
        if self.format not in FORMATS:
            raise ValueError(f"format is {self.format!r}; allowed: alertmanager, json{nearest(self.format, FORMATS)}")
        if self.least_severity not in _LEAST:
            raise ValueError(f"least_severity is {self.least_severity!r}{nearest(self.least_severity, _LEAST)}")
        if not _HEADER.fullmatch(self.secret_header):
            raise ValueError(f"secret_header is {self.secret_header!r}; allowed: letters, digits and '-'")
        for name in _POSITIVE:
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name):g}; allowed: above 0")
        if self.most_queued < 1:
            raise ValueError(f"most_queued is {self.most_queued}; allowed: 1 and more")

    @property
    def least(self) -> Severity:
        """`least_severity` as a severity."""
        return Severity[self.least_severity]

    @property
    def place(self) -> str:
        """Scheme and host of the receiver: what may be logged, since paths and queries carry secrets."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"


def _check_url(url: str) -> None:
    """Nothing of the URL is repeated in the message: it may hold a secret."""
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise ValueError("url can't be read; allowed: http://HOST:PORT/PATH or https://...") from error
    if not is_whole:
        raise ValueError("url has no http or https scheme, or no host; allowed: http://HOST:PORT/PATH or https://...")
    if parts.username is not None or parts.password is not None:
        raise ValueError("url holds a user or password; put the whole header value into secret_file instead")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("url has blanks or letters beyond ASCII; write them with %")
