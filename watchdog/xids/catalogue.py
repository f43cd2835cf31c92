"""Reads the two data files, and finds the row that a code means under a driver.

Sources: NVIDIA's Xid catalogue (immediate and investigatory action of each code); the open kernel modules 595.45.04
(names of all codes; fatal or not of the NVSwitches of H100, ls10, and A100, lr10); the Fabric Manager guide (SXids).
"""

import csv
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from watchdog.xids.entry import Entry, Family, unknown
from watchdog.xids.renumbered import current_sxid, reused_xid

_DRIVER = "open kernel modules 595.45.04"


def xid(code: int, *, driver: str | None = None, text: str = "") -> Entry:
    """What Xid `code` means. `driver` ("570.124.06") and the `text` of its line tell reused numbers apart."""
    return reused_xid(code, driver=driver, text=text) or xids().get(code) or unknown("xid", code)


def sxid(code: int, *, driver: str | None = None, text: str = "") -> Entry:
    """What SXid `code` means, under its number of today: 28006 of a driver before 550.40 is the row 29006."""
    number = current_sxid(code, driver=driver, text=text)
    return sxids().get(number) or sxids().get(code) or unknown("sxid", code)


@cache
def xids() -> Mapping[int, Entry]:
    """Every Xid by code, in order."""
    return MappingProxyType({int(row["code"]): _entry("xid", row, _xid_source(row)) for row in _rows("xids.csv")})


@cache
def sxids() -> Mapping[int, Entry]:
    """Every SXid by code, in order."""
    return MappingProxyType({int(row["code"]): _entry("sxid", row, _sxid_source(row)) for row in _rows("sxids.csv")})


def _rows(name: str) -> list[dict[str, str]]:
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _entry(family: Family, row: Mapping[str, str], source: str) -> Entry:
    return Entry(
        family=family,
        code=int(row["code"]),
        mnemonic=row["mnemonic"],
        meaning=row["meaning"],
        note=row["note"],
        severity=row["severity"],
        action=row["action"],
        scope=row["scope"],
        group=row["class"],
        source=source,
        driver_word=_driver_word(family, row),
        since=row["since"],
        absent_on=row.get("absent_on", ""),
    )


def _driver_word(family: Family, row: Mapping[str, str]) -> str:
    if family == "xid":
        return "fatal" if row["immediate"] == "WORKFLOW_NVLINK5_ERR" else ""
    word, guide = row["driver"].partition(" ")[2], row["guide"]
    if word in ("", "print") or guide == "always_fatal":
        return guide
    return word if guide in ("", word) else "disputed"


def _xid_source(row: Mapping[str, str]) -> str:
    if not row["mnemonic_only"]:
        asked = f"immediate {row['immediate'] or 'none'}, investigatory {row['investigate'] or 'none'}"
        return f"NVIDIA Xid catalogue: {asked}" + ("; action: own choice" if row["own"] else "")
    return f"{_DRIVER}, nverror.h: name only; severity and action: own choice"


def _sxid_source(row: Mapping[str, str]) -> str:
    switch, _, word = row["driver"].partition(" ")
    parts = []
    if switch:
        parts.append(f"{_DRIVER}, {switch}: {'printed without a word' if word == 'print' else word}")
    if row["guide"]:
        parts.append(f"Fabric Manager guide: {row['guide'].replace('_', ' ')}")
    if row["own"]:
        parts.append("severity and action: own choice")
    return "; ".join(parts)
