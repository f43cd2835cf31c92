"""What Fryer keeps, in one SQLite file that may be read, copied and backed up like any other.

directory   where the file is                     faults      what SQLite says -> one sentence with what to do
connection  how the file is opened                migrations  how its schema came about (Alembic)

Qualifications, kept for ever:
tables      what is in it (SQLModel)              rows        what goes in and comes out: frozen, no SQLModel
packing     series -> bytes                       queries     questions about the past
keeping     a whole run in and out                database    `Store`, which opens the file

What the daemon keeps:
watch_tables    what is in it (SQLModel)          items       what goes in: readings, events, incidents, steps, ...
blocks, numbers, minutes, bodies                  what has no columns of its own -> bytes and JSON, and back
watch_writing   items -> tables: names (ids), collapse (events that repeat)
writer          `Writer`: the thread that writes, and its queue
watch_log       `WatchLog`: questions about it    upkeep      roll-up, retention, room given back
set_aside       what becomes of a damaged file    troubles    what is wrong with the store, as findings
"""

from watchdog.store.database import Store
from watchdog.store.directory import default_directory
from watchdog.store.items import Cleared, Cursor, Item, Keep, Opened, Remembered
from watchdog.store.minutes import Minute, Summary
from watchdog.store.rows import (
    Fall,
    Figure,
    Outcome,
    Recording,
    RunSummary,
    StoredDevice,
    StoredMeasurement,
    StoredNode,
    StoredRun,
)
from watchdog.store.set_aside import SetAside, open_or_set_aside
from watchdog.store.upkeep import Retention
from watchdog.store.watch_log import PastFinding, WatchLog
from watchdog.store.writer import Writer, WriterStatus

__all__ = [
    "Cleared",
    "Cursor",
    "Fall",
    "Figure",
    "Item",
    "Keep",
    "Minute",
    "Opened",
    "Outcome",
    "PastFinding",
    "Recording",
    "Remembered",
    "Retention",
    "RunSummary",
    "SetAside",
    "Store",
    "StoredDevice",
    "StoredMeasurement",
    "StoredNode",
    "StoredRun",
    "Summary",
    "WatchLog",
    "Writer",
    "WriterStatus",
    "default_directory",
    "open_or_set_aside",
]
