"""Qualifications, kept for ever in one SQLite file that may be read, copied and backed up like any other.

directory   where the file is                     faults      what SQLite says -> one sentence with what to do
connection  how the file is opened                migrations  how its schema came about (Alembic)
tables      what is in it (SQLModel)              rows        what goes in and comes out: frozen, no SQLModel
packing     series -> bytes                       queries     questions about the past
keeping     a whole run in and out                database    `Store`, which is all that others use
"""

from watchdog.store.database import Store
from watchdog.store.directory import default_directory
from watchdog.store.rows import (
    Figure,
    Recording,
    RunSummary,
    StoredDevice,
    StoredMeasurement,
    StoredNode,
    StoredRun,
)

__all__ = [
    "Figure",
    "Recording",
    "RunSummary",
    "Store",
    "StoredDevice",
    "StoredMeasurement",
    "StoredNode",
    "StoredRun",
    "default_directory",
]
