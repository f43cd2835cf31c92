"""``fryer incident`` over a real daemon: what went wrong, and a person's word on it."""

import getpass
import json
import os
from pathlib import Path
from typing import Any

import pytest
from commanded import Daemon, fryer

CASCADE = """\
NVRM: Xid (PCI:0000:93:00): 79, pid=7, name=x, GPU has fallen off the bus.
nvidia-nvswitch1: SXid (PCI:0000:06:00.0): 20034, Fatal, Link 48 LTSSM Fault Up
"""
LINE = "NVRM: Xid (PCI:0000:{bus}:00): {code}, pid=7, name=x, said so\n"


def write(daemon: Daemon, text: str) -> None:
    """Into the daemon's kernel log."""
    with daemon.kmsg.open("w") as fifo:
        fifo.write(text)


@pytest.fixture(scope="module")
def fallen(daemon: Daemon) -> dict[str, Any]:
    """The incident of a GPU that fell off the bus, with a switch as its victim."""
    write(daemon, CASCADE)
    return daemon.incident("xid_79")


def test_an_incident_is_listed_with_what_it_asks_for(daemon: Daemon, fallen: dict[str, Any]) -> None:
    done = daemon.ask("incident", "list")
    assert done.returncode == 0
    (row,) = [line.split() for line in done.stdout.splitlines() if line.startswith(fallen["id"][:8])]
    assert row[1:3] == ["open", "FAIL"]
    assert "reboot_node" in row


def test_it_is_shown_by_the_beginning_of_its_id_with_root_victims_evidence(
    daemon: Daemon, fallen: dict[str, Any]
) -> None:
    done = daemon.ask("incident", "show", fallen["id"][:8].upper())
    assert done.returncode == 0
    fields = {line.split()[0]: line for line in done.stdout.splitlines() if line and line[0] != " "}
    assert fields["incident"] == f"incident {fallen['id']}"
    assert fields["root"].split()[2] == "xid_79"
    assert "0000:06:00" in fields["victims"]
    assert fields["action"].split()[1] == "reboot_node"
    assert "nothing is known to have been done" in fields["verification"]
    assert fields["cost"].split(maxsplit=1)[1] == "not known"
    assert fields["marks"].split()[1] == "none"
    assert "GPU has fallen off the bus." in done.stdout


def test_the_json_of_one_is_the_api_s(daemon: Daemon, fallen: dict[str, Any]) -> None:
    document = json.loads(daemon.ask("incident", "show", fallen["id"], "--json").stdout)
    assert (document["type"], document["schema"], document["version"]) == ("incident", "fryer/watch", 1)
    assert document["incident"]["root_code"] == "xid_79"


def test_a_beginning_of_several_ids_lists_them(daemon: Daemon, fallen: dict[str, Any]) -> None:
    """Seventeen ids: two of them begin with the same character."""
    write(daemon, "".join(LINE.format(bus=f"{bus:02x}", code=48) for bus in range(0x10, 0x20)))
    daemon.incident("xid_48")
    ids = [one["id"] for one in daemon.incidents()]
    assert len(ids) >= 17
    first = next(c for c in "0123456789abcdef" if sum(i.startswith(c) for i in ids) > 1)
    done = daemon.ask("incident", "show", first)
    assert (done.returncode, done.stdout) == (2, "")
    assert all(i[:8] in done.stderr for i in ids if i.startswith(first))
    assert "give more of it" in done.stderr


def test_a_mark_closes_the_incident_keeps_the_record_and_deletes_nothing(
    daemon: Daemon, fallen: dict[str, Any]
) -> None:
    before = daemon.incidents()
    done = daemon.ask("incident", "mark-healthy", fallen["id"], "--reason", "reseated the riser", "--by", "alice")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split("UTC ")[1] == "alice: reseated the riser"
    after = {one["id"]: one for one in daemon.incidents()}
    assert {one["id"] for one in before} <= set(after)
    marked = after[fallen["id"]]
    assert marked["state"] == "closed"
    assert marked["closed_because"] == "marked healthy by alice: reseated the riser"
    assert marked["evidence"][:-1] == next(one["evidence"] for one in before if one["id"] == fallen["id"])
    again = daemon.ask("incident", "mark-healthy", fallen["id"], "--reason", "still well", "--by", "bob", "--json")
    marks = [record for record in json.loads(again.stdout)["incident"]["evidence"] if record["type"] == "mark"]
    assert [(mark["by"], mark["reason"]) for mark in marks] == [("alice", "reseated the riser"), ("bob", "still well")]


def test_who_says_so_is_the_login_name_by_default(daemon: Daemon) -> None:
    write(daemon, LINE.format(bus="a0", code=95))
    found = daemon.incident("xid_95")
    done = daemon.ask("incident", "mark-healthy", found["id"], "--reason", "a test", "--json")
    mark = json.loads(done.stdout)["incident"]["evidence"][-1]
    try:
        expected = os.getlogin()
    except OSError:
        expected = os.environ.get("SUDO_USER") or getpass.getuser()
    assert mark["by"] == expected


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("show", "zzz"), "no incident's id"),
        (("show", "../x"), "no incident's id"),
        (("show", "ffffffff-0000"), "no incident's id begins with"),
        (("mark-healthy", "ffffffff-0000", "--reason", "x"), "no incident's id begins with"),
        (("mark-healthy", "ffffffff-0000"), "--reason"),
    ],
)
def test_wrong_usage_exits_2_and_prints_nothing(daemon: Daemon, arguments: tuple[str, ...], words: str) -> None:
    done = daemon.ask("incident", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


@pytest.mark.parametrize("reason", ["  ", "x" * 501, "two\nlines", "\x1b[2J"])
def test_a_reason_is_one_line_that_others_can_read(daemon: Daemon, fallen: dict[str, Any], reason: str) -> None:
    before = daemon.incidents()
    done = daemon.ask("incident", "mark-healthy", fallen["id"], "--reason", reason)
    assert done.returncode == 2
    assert done.stderr.startswith("fryer: --reason: give one line")
    assert daemon.incidents() == before


@pytest.mark.parametrize("arguments", [("list",), ("show", "6c"), ("mark-healthy", "6c", "--reason", "x")])
def test_without_a_daemon_it_exits_3_and_says_how_to_start_one(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = fryer("incident", *arguments, "--socket", tmp_path / "none")
    assert (done.returncode, done.stdout) == (3, "")
    assert "fryer watch" in done.stderr
