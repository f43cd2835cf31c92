"""Codes whose meaning depends on the driver: SXids that moved at 550.40, an Xid that 610 uses anew.

Source: the headers of the open kernel modules before and after 550.40, and lines that drivers of 610 print. Where the
driver is not known, the line's own text tells; where that does not either, today's meaning holds.
"""

from watchdog.xids.entry import Entry

_MOVED_AT = (550, 40)
_REUSED_AT = (610,)
_MULTICAST_BEFORE = range(28001, 28007)
_MULTICAST_WORDS = ("MC TS ", "MC crumbstore ")
_OSFP_NOW = range(28001, 28006)
_REDUCTION_BEFORE = range(29001, 29007)
_REDUCTION_WORDS = ("Red TS ", "Red crumbstore ")
_MOVE = 1000

_BAD_TSG = Entry(
    family="xid",
    code=51,
    mnemonic="BAD_TSG",
    meaning="a channel group that the scheduler does not accept",
    note="driver 610 and later; before, the code was not in use",
    severity="warning",
    action="restart_app",
    scope="app",
    group="driver",
    source="lines of driver 610; severity and action: own choice",
    since="610",
)


def version(driver: str) -> tuple[int, ...]:
    """``570.124.06`` -> (570, 124, 6); what is no number ends it, so that ``unknown`` is ()."""
    parts: list[int] = []
    for part in driver.split("."):
        if not (part.isascii() and part.isdigit()):
            break
        parts.append(int(part[:9]))
    return tuple(parts)


def current_sxid(code: int, *, driver: str | None, text: str) -> int:
    """Number that the meaning has in drivers from 550.40 on."""
    if code in _MULTICAST_BEFORE and _is_before(driver, text, _MULTICAST_WORDS, has_meaning_now=code in _OSFP_NOW):
        return code + _MOVE
    if code in _REDUCTION_BEFORE and _is_before(driver, text, _REDUCTION_WORDS, has_meaning_now=True):
        return code + _MOVE
    return code


def _is_before(driver: str | None, text: str, words: tuple[str, ...], *, has_meaning_now: bool) -> bool:
    number = version(driver or "")
    if number:
        return number < _MOVED_AT
    return any(word in text for word in words) or not has_meaning_now


def reused_xid(code: int, *, driver: str | None, text: str) -> Entry | None:
    """The later meaning of Xid 51, or None where the catalogue's holds."""
    if code != _BAD_TSG.code:
        return None
    number = version(driver or "")
    return _BAD_TSG if "BAD_TSG" in text or (number and number >= _REUSED_AT) else None
