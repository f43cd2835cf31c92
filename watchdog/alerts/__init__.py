"""Alerts by webhook: one POST for each incident and state of it, from one thread, with retries.

    alert_of(incident) ─▶ AlertSender.offer ─▶ queue: newest of each, bounded ─▶ thread ─▶ POST, deadline, back-off

`offer` never blocks and may be called at each tick. A dead receiver costs a bounded queue and a counter. The secret is
read from its file at each send, goes into one header, and is never logged; of the URL only scheme and host are.
"""

from watchdog.alerts.documents import Alert, alert_of, breaker_alert
from watchdog.alerts.posting import Answer
from watchdog.alerts.sending import AlertCounters, AlertSender, test_alert
from watchdog.alerts.settings import AlertSettings

__all__ = [
    "Alert",
    "AlertCounters",
    "AlertSender",
    "AlertSettings",
    "Answer",
    "alert_of",
    "breaker_alert",
    "test_alert",
]
