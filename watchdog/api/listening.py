"""Where the API listens: sockets are made, and what is there already is judged, before anything is served."""

import errno
import grp
import os
import socket
import ssl
import stat
from dataclasses import dataclass, field
from pathlib import Path

from watchdog.settings import TcpSettings
from watchdog.vocabulary.errors import UsageError

LEAST_TOKEN = 16
"""Characters: 64 bits even when it is hexadecimal."""
LONGEST_PATH = 107
"""Bytes of a socket's path, from sockaddr_un (unix(7))."""
BACKLOG = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Tcp:
    """A listener that other machines reach: only with a token, and only encrypted."""

    host: str
    port: int
    """0: any free one."""
    token: str = field(repr=False)
    tls: ssl.SSLContext


def read_tcp(settings: TcpSettings) -> Tcp | None:
    """The TCP listener that `settings` ask for, with its files read; None when they ask for none.

    Raises `UsageError` for an address that is none, a file that lacks, a token that is short or that others may read.
    """
    if not settings.listen:
        return None
    host, _, port = settings.listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"tcp.listen is {settings.listen!r}; write host:port, for example 10.0.0.1:9443 or [::1]:9443")
    if settings.token_file is None or settings.cert_file is None or settings.key_file is None:
        raise UsageError(
            f"no TCP on {settings.listen} without token_file, cert_file and key_file: set all three, or none"
        )
    return Tcp(
        host=host.strip("[]"),
        port=int(port),
        token=read_token(settings.token_file),
        tls=_read_tls(settings.cert_file, settings.key_file),
    )


def read_token(path: Path) -> str:
    """The token in `path`, without white space around it; raises `UsageError`, which never shows it."""
    try:
        mode, token = path.stat().st_mode, path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"token file {path} can't be read as ASCII: {type(error).__name__}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(f"token file {path} has mode {stat.S_IMODE(mode):04o}: others may read it; chmod 600 {path}")
    if len(token) < LEAST_TOKEN or not token.isprintable() or " " in token:
        raise UsageError(
            f"the token in {path} is not {LEAST_TOKEN} or more printable characters; make one: openssl rand -hex 32"
        )
    return token


def unix_socket(path: Path, group: str = "") -> socket.socket:
    """A bound socket at `path`, for its owner and `group`; its directory is made, a dead daemon's socket replaced.

    Raises `UsageError` when somebody listens there, when something else than a socket is there, or when it can't be.
    """
    gid = _gid(group)
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise UsageError(f"socket path {path} is longer than {LONGEST_PATH} bytes; choose a shorter one")
    own = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        _remove_dead(path)
        # Linux gives the file the mode of the unbound socket, less the umask: it is never open to others, not even
        # for a moment, and the umask of the whole process stays alone
        os.fchmod(own.fileno(), 0o600)
        own.bind(os.fspath(path))
        path.chmod(0o600)
        if gid is not None:
            os.chown(path, -1, gid)
            path.chmod(0o660)
    except OSError as error:
        own.close()
        raise UsageError(f"can't listen on {path}: {error.strerror}; see who owns its directory") from error
    except UsageError:
        own.close()
        raise
    own.setblocking(False)
    return own


def _gid(group: str) -> int | None:
    if not group:
        return None
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise UsageError(f"[watchdog] socket_group is {group!r}, and this machine has no such group") from None


def tcp_socket(tcp: Tcp) -> socket.socket:
    """A bound TCP socket; raises `UsageError`."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(tcp.host, tcp.port, type=socket.SOCK_STREAM)[0]
        own = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UsageError(f"can't listen on {tcp.host}:{tcp.port}: {error.strerror or error}") from error
    try:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        own.bind(address)
    except OSError as error:
        own.close()
        raise UsageError(f"can't listen on {tcp.host}:{tcp.port}: {error.strerror}") from error
    own.setblocking(False)
    return own


def _remove_dead(path: Path) -> None:
    """Remove a socket on which nobody listens any more."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise UsageError(f"{path} is there and is no socket; remove it, or choose another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        code = probe.connect_ex(os.fspath(path))
    if code != errno.ECONNREFUSED:
        raise UsageError(f"another daemon listens on {path}; stop it, or choose another path")
    path.unlink()


def _read_tls(cert_file: Path, key_file: Path) -> ssl.SSLContext:
    """TLS as Python's defaults have it for a server (1.2 and newer); raises `UsageError`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(cert_file, key_file)
    except OSError as error:  # ssl.SSLError is one
        raise UsageError(f"TLS with {cert_file} and {key_file}: {error}; both must be PEM, and match") from error
    return context
