"""What ``fryer run`` has to do with the store: opens it, asks it for the past, keeps results. Not a command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from watchdog.vocabulary.errors import UsageError

if TYPE_CHECKING:
    from fryer.fleet.journal import Unfinished
    from fryer.hardware import Hardware
    from fryer.result import RunResult
    from fryer.runner import Past
    from watchdog.store import Store


def open_store(state: Path | None) -> Store:
    """The store in `state`; default: the usual place. Raises `StoreError`, and `UsageError` for a `state` that takes
    none."""
    from watchdog.store import Store, default_directory
    from watchdog.vocabulary.errors import StoreError

    try:
        return Store.open(state or default_directory())
    except StoreError as error:
        if state is not None and not (state / "fryer.db").exists():
            raise UsageError(str(error)) from error
        raise


def take_up(store: Store, run: str) -> Unfinished:
    """The run that was cut off, and what it has. Raises `UsageError` and `StoreError`."""
    from fryer.fleet.journal import resume

    if not run:
        raise UsageError("--resume names no run; write the first letters of its id, as fryer run said it")
    return resume(store.path.parent, run)


def close_journals(store: Store, result: RunResult, resumed: str | None, *, is_over: bool) -> None:
    """What is in the store needs no journal; a run that was stopped can go on."""
    from fryer.fleet.journal import discard, unfinished

    directory, own = store.path.parent, result.info.run_id
    for run in unfinished(directory):
        if (run == own and is_over) or (resumed and run != own and run.startswith(resumed)):
            discard(directory, run)
    if not is_over:
        print(f"fryer: stopped early; to go on: fryer run --resume {own}", file=sys.stderr)


def past_of(store: Store | None, *, is_simulated: bool) -> Past:
    """What the store knows of a node's devices, and of others of their parts."""
    from fryer import archive
    from fryer.runner import Known, nothing_past

    if store is None:
        return nothing_past

    def ask(hardware: Hardware) -> Known:
        uuids = {info.uuid for info in hardware.infos}
        parts = {info.part for info in hardware.infos}
        return Known(
            own=archive.own_past(store, uuids, is_simulated=is_simulated),
            fleet=archive.fleet_past(store, parts, uuids, is_simulated=is_simulated),
            uuids=archive.last_uuids(store, hardware.node, is_simulated=is_simulated),
        )

    return ask


def save(store: Store, result: RunResult) -> bool:
    """Keep the result; where the database fails now, keep it in a file and say how to take it in later."""
    import tempfile

    from fryer import archive
    from watchdog.vocabulary.errors import StoreError

    try:
        archive.save(store, result)
    except StoreError as error:
        path = archive.spool(result, Path(tempfile.gettempdir()))
        print(
            f"fryer: {error}\nfryer: the result is kept in {path}; take it in later with: "
            f"fryer history --import {path}",
            file=sys.stderr,
        )
        return False
    return True
