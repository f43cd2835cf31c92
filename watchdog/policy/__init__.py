"""Incidents become at most one signal, and drains. Pure: what is asked, what is only watched, and why, as values.

    incidents ─▶ wishes (rules) ─▶ breaker ─▶ permission, daily caps, acks ─▶ Decision ─▶ the daemon carries it out

It asks a run for something, and never does anything itself. Exclude, drain and stop are observe-only until the settings
open them one by one; an application's own errors never take a node away.
"""

from watchdog.policy.deciding import Decision, Drain, Record, Undrain, bad_ratio, decide
from watchdog.policy.history import Act, Drained, History, acked, drained, remember, undrained
from watchdog.policy.permissions import DailyCaps, PolicySettings

__all__ = [
    "Act",
    "DailyCaps",
    "Decision",
    "Drain",
    "Drained",
    "History",
    "PolicySettings",
    "Record",
    "Undrain",
    "acked",
    "bad_ratio",
    "decide",
    "drained",
    "remember",
    "undrained",
]
