"""Starts and ends that are out of the ordinary: under load, over a damaged database, as an ordinary user."""

import os
from pathlib import Path
from collections.abc import Callable

from watched import Watched, say, wait_until

Make = Callable[..., Watched]
XID_79 = "NVRM: Xid (PCI:0000:1b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."


def test_a_damaged_database_is_set_aside_and_told(watched: Watched) -> None:
    wait_until("a first commit", lambda: watched.database().stat().st_size > 50_000)
    assert watched.stop()[0] == 0
    file = watched.database()
    file.write_bytes(b"SQLite format 3\0" + os.urandom(200_000))
    watched.start()
    finding = wait_until("the finding", lambda: watched.findings().get("store_damaged"))
    assert finding["severity"] == "WARN"
    assert Path(finding["evidence"]["path"]).stat().st_size == 200_016
    assert watched.is_intact()
    say(f"a damaged database: {finding['message']}")
