"""Findings and events become incidents: one fault, its root and its victims, from open to closed. Pure.

    events ───▶ tallies (subject, code) ──▶ trees by cause ──▶ incidents
    findings ─▶ open, keep open, clear        root = first cause; the rest are victims

`update` is called at each judgement and at each new event. It reads no clock, writes nothing, and keeps nothing between
calls: all state is in the `Book`, which is JSON (`archive`).
"""

from watchdog.incidents.archive import from_json, to_json
from watchdog.incidents.book import Book, Change, IncidentLimits
from watchdog.incidents.marking import act, mark_healthy
from watchdog.incidents.updating import update

__all__ = ["Book", "Change", "IncidentLimits", "act", "from_json", "mark_healthy", "to_json", "update"]
