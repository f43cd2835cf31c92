"""Lines to rehearse with, as the kernel log's own reader reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchdog.cli.rehearsal_lines import (
    EXAMPLE_PCI,
    MOST_CHARACTERS,
    address,
    as_read,
    checked_line,
    filled,
    named_line,
    ready_lines,
    sxid_line,
    xid_line,
)
from watchdog.vocabulary.errors import UsageError
from watchdog.xids import sxid, sxids, xid, xids


@pytest.mark.parametrize("name", list(ready_lines()))
def test_a_ready_line_is_read_as_its_name_says(name: str) -> None:
    ready = ready_lines()[name]
    line = filled(ready.template, pci=EXAMPLE_PCI if ready.needs_pci else None, pid=4711)
    event = as_read(line)
    assert event is not None
    assert len(line) <= MOST_CHARACTERS
    family, _, rest = name.partition("_")
    if family in ("xid", "sxid"):
        number = int(rest.partition("_")[0])
        assert (event.label, event.code, event.pci) == (family, number, EXAMPLE_PCI)
    else:
        assert event.kind == {"soft": "lockup", "hung": "hung_task"}.get(family, family)


def test_recovery_actions_are_told_apart_by_their_number() -> None:
    actions = {
        name: event.action
        for name in ("xid_154", "xid_154_none", "xid_154_reset", "xid_154_drain")
        if (event := as_read(filled(named_line(name), pci=EXAMPLE_PCI, pid=1)))
    }
    assert actions == {
        "xid_154": "reboot_node",
        "xid_154_none": "none",
        "xid_154_reset": "reset_gpu",
        "xid_154_drain": "drain_reset",
    }


def test_a_line_is_the_driver_s_to_the_letter() -> None:
    assert filled(xid_line(79), pci="00000000:91:00.0", pid=31) == (
        "NVRM: Xid (PCI:0000:91:00): 79, pid=31, name=fryer-inject, GPU has fallen off the bus."
    )
    assert filled(sxid_line(20034), pci="0000:06:00.0", pid=31) == (
        "nvidia-nvswitch0: SXid (PCI:0000:06:00.0): 20034, Fatal, Link 48 LTSSM Fault Up"
    )


@pytest.mark.parametrize("code", sorted(xids()))
def test_every_xid_of_the_catalogue_can_be_rehearsed(code: int) -> None:
    event = as_read(filled(xid_line(code), pci=EXAMPLE_PCI, pid=1))
    assert event is not None
    assert (event.code, event.pci) == (code, EXAMPLE_PCI)
    if code != 154:
        assert event.severity == xid(code).severity


@pytest.mark.parametrize("code", sorted(sxids()))
def test_every_sxid_of_the_catalogue_can_be_rehearsed(code: int) -> None:
    event = as_read(filled(sxid_line(code), pci=EXAMPLE_PCI, pid=1))
    assert event is not None
    assert (event.kind, event.code) == ("sxid", code)
    if sxid(code).driver_word in ("fatal", "always_fatal"):
        assert event.severity in ("critical", "fatal")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("00000000:1B:00.0", "0000:1b:00"),
        ("0000:1b:00", "0000:1b:00"),
        ("1b:00.0", "0000:1b:00"),
        ("0009:01:00", "0009:01:00"),
    ],
)
def test_an_address_is_taken_in_every_way_that_tools_print_it(text: str, expected: str) -> None:
    assert address(text) == expected


@given(st.text(max_size=20))
def test_an_address_is_read_or_refused_and_never_lets_a_line_break_in(text: str) -> None:
    try:
        found = address(text)
    except UsageError:
        return
    assert found.isprintable()
    assert address(found) == found


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: named_line("xid_97"), "did you mean 'xid_"),
        (lambda: xid_line(79_000), "no Xid 79000 in the catalogue"),
        (lambda: sxid_line(1), "no SXid 1 in the catalogue"),
        (lambda: filled(xid_line(79), pci=None, pid=1), "give --pci BUS"),
        (lambda: filled(xid_line(79), pci="gpu0", pid=1), "is no PCI address"),
        (lambda: filled(named_line("oom"), pci=EXAMPLE_PCI, pid=1), "names no device"),
        (lambda: checked_line("two\nlines"), "one line"),
        (lambda: checked_line("  "), "one line"),
        (lambda: checked_line("x" * (MOST_CHARACTERS + 1)), "one line"),
        (lambda: checked_line("\x1b[2J"), "one line"),
    ],
)
def test_what_is_no_line_is_refused_with_what_to_do(call, words: str) -> None:
    with pytest.raises(UsageError, match=words.replace("(", r"\(")):
        call()
