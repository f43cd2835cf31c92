"""The settings file: one TOML file, a section a package, each section a frozen dataclass beside its owner.

    read_settings(file) ──▶ Settings      all errors at once, each with file, key, what was found, what is allowed
    show_settings(...)  ──▶ text          every resolved value with its origin: default, or the file

This module owns `[watchdog]` itself; sections of collectors, detectors and the like are filled by `fill` from the
dataclasses that their owners declare.
"""

import re
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from socket import gethostname
from typing import Any, TypeVar

from watchdog.vocabulary.complaints import Complaints
from watchdog.vocabulary.errors import UsageError

T = TypeVar("T")
_NODE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")

DEFAULT_FILE = Path("/etc/fryer/fryer.toml")
DEFAULT_SOCKET = Path("/run/fryer/watchdog.sock")
DEFAULT_KMSG = Path("/dev/kmsg")


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpSettings:
    """`[watchdog.tcp]`: off unless all four are given."""

    listen: str = ""
    """``host:port``; empty: no TCP."""
    token_file: Path | None = None
    """Holds the bearer token; readable by the daemon alone."""
    cert_file: Path | None = None
    key_file: Path | None = None

    def __post_init__(self) -> None:
        """TCP without token and TLS is refused."""
        if self.listen and not (self.token_file and self.cert_file and self.key_file):
            raise ValueError("listen needs token_file, cert_file and key_file too: TCP goes with a token and TLS only")


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchdogSettings:
    """`[watchdog]`."""

    node: str = field(default_factory=gethostname)
    """Name of this node, as Slurm knows it."""
    state_directory: Path | None = None
    """Where the store is; None: $FRYER_STATE_DIRECTORY, /var/lib/fryer for root, ~/.local/state/fryer for a user."""
    socket: Path = DEFAULT_SOCKET
    socket_group: str = ""
    """Group whose members may use the socket too, so that a trainer need not run as the daemon's user; empty: none."""
    kmsg: Path = DEFAULT_KMSG
    """Kernel log: the device, a file that grows, or a FIFO."""
    judge_seconds: float = 5.0
    """How often all detectors run; an event runs them at once."""
    window_seconds: float = 900.0
    """How much of the past detectors see."""
    expected_gpus: int = 0
    """GPUs that this node must have; 0: as many as were ever seen."""
    slurm: bool = False
    """Drain and undrain through scontrol (still subject to the policy's permissions)."""
    tcp: TcpSettings = field(default_factory=TcpSettings)

    def __post_init__(self) -> None:
        """Bounds."""
        if not _NODE.fullmatch(self.node):
            raise ValueError(
                f"node is {self.node!r}; allowed: letters, digits, dot, dash and underscore, as Slurm has it"
            )
        if self.expected_gpus < 0:
            raise ValueError(f"expected_gpus is {self.expected_gpus}; allowed: 0 and more")
        if not 0.5 <= self.judge_seconds <= 60:
            raise ValueError(f"judge_seconds is {self.judge_seconds:g}; allowed: 0.5 to 60")
        if not 60 <= self.window_seconds <= 7200:
            raise ValueError(f"window_seconds is {self.window_seconds:g}; allowed: 60 to 7200")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole file, resolved."""

    file: str
    """Path that was read; empty: defaults only."""
    watchdog: WatchdogSettings
    sections: Mapping[str, Any]
    """By dotted name (``detectors.thermal_margin``): an instance of the dataclass that its owner declared."""
    given: frozenset[str]
    """Dotted keys that the file sets."""


def read_settings(path: Path | None, sections: Mapping[str, type[Any]]) -> Settings:
    """Read `path`, or the default file where it exists; raises one `UsageError` with everything wrong in it.

    `sections`: dotted names below ``watchdog`` and the dataclasses that they fill.
    """
    file = path or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    if file is None:
        return resolve({}, sections, file="")
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: can't be read as settings: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file}: not TOML: {error}") from error
    return resolve(document, sections, file=str(file))


def resolve(document: Mapping[str, Any], sections: Mapping[str, type[Any]], *, file: str) -> Settings:
    """The settings of a parsed file; raises `UsageError`. Sections of other packages are left alone."""
    complaints = Complaints(file or "settings")
    complaints.unknown("", (key for key in document if key not in ("fryer", "trainer", "tui", "checks")), ("watchdog",))
    table = complaints.table("watchdog", document.get("watchdog", {}))
    groups = {name.partition(".")[0] for name in sections}
    own = {key: value for key, value in table.items() if key not in groups}
    watchdog = fill(WatchdogSettings, own, "watchdog", complaints, known=groups)
    filled = {
        name: fill(kind, _section(table, name, complaints), f"watchdog.{name}", complaints)
        for name, kind in sections.items()
    }
    for group in groups:
        members = {name.partition(".")[2] for name in sections if name.startswith(f"{group}.")}
        if members:
            complaints.unknown(f"watchdog.{group}", complaints.table(group, table.get(group, {})), members)
    complaints.raise_if_any()
    assert watchdog is not None
    return Settings(file=file, watchdog=watchdog, sections=filled, given=frozenset(_keys(document)))


def fill(
    kind: type[T], table: Mapping[str, Any], where: str, complaints: Complaints, known: typing.Iterable[str] = ()
) -> T | None:
    """An instance of the dataclass `kind` from a table; None after a complaint. Field types say what is allowed."""
    hints = typing.get_type_hints(kind)
    names = [f.name for f in fields(kind) if f.init]  # type: ignore[arg-type]
    complaints.unknown(where, table, [*names, *known])
    before = len(complaints.found)
    values = {name: _value(f"{where}.{name}", table[name], hints[name], complaints) for name in names if name in table}
    if len(complaints.found) > before:
        return None
    try:
        return kind(**values)
    except ValueError as error:
        complaints.found.append(f"{where}: {error}")
        return None


def show_settings(settings: Settings) -> str:
    """Every resolved value as TOML, with its origin behind it."""
    lines: list[str] = []
    for name, section in (
        ("watchdog", settings.watchdog),
        *((f"watchdog.{name}", section) for name, section in settings.sections.items()),
    ):
        lines += [f"[{name}]", *_shown(name, section, settings.given), ""]
    return "\n".join(lines)


def _shown(where: str, section: Any, given: frozenset[str]) -> typing.Iterator[str]:
    for member in fields(section):
        value = getattr(section, member.name)
        if is_dataclass(value):
            yield from _shown(f"{where}.{member.name}", value, given)
            continue
        origin = "file" if f"{where}.{member.name}" in given else "default"
        yield f"{member.name} = {_toml(value)}  # {origin}"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:g}"
    if isinstance(value, tuple | list | frozenset):
        return f"[{', '.join(_toml(item) for item in value)}]"
    return '""' if value is None else f'"{value}"'


def _section(table: Mapping[str, Any], name: str, complaints: Complaints) -> dict[str, Any]:
    group, _, member = name.partition(".")
    found = complaints.table(f"watchdog.{group}", table.get(group, {}))
    return complaints.table(f"watchdog.{name}", found.get(member, {})) if member else found


def _keys(table: Mapping[str, Any], where: str = "") -> typing.Iterator[str]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _keys(value, f"{where}{key}.")
        else:
            yield f"{where}{key}"


def _value(key: str, value: object, hint: Any, complaints: Complaints) -> Any:  # noqa: PLR0911 - one return a type
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _value(key, value, next(one for one in arguments if one is not type(None)), complaints)
    if is_dataclass(hint):
        return fill(hint, complaints.table(key, value), key, complaints)  # type: ignore[arg-type]
    if origin in (tuple, frozenset, list):
        if not isinstance(value, list):
            return complaints.add(key, value, "a list")
        return origin(_value(key, item, arguments[0], complaints) for item in value)
    if hint is float and key.endswith("_seconds"):
        return complaints.duration(key, value)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if isinstance(hint, type) and isinstance(value, hint) and isinstance(value, bool) == (hint is bool):
        return value
    words = {float: "a number", int: "a whole number", str: "a text", bool: "true or false", Path: "a path"}
    return complaints.add(key, value, words.get(hint, str(hint)))
