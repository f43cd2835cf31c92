"""The thread that sends alerts: what was sent is not sent again, what could not be sent is tried again."""

import json
import logging
import random
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from watchdog.alerts.documents import Alert, alertmanager, own
from watchdog.alerts.posting import Answer, post
from watchdog.alerts.settings import AlertSettings
from watchdog.vocabulary.errors import FryerError, UsageError
from watchdog.vocabulary.findings import Severity

log = logging.getLogger(__name__)

_MOST_KNOWN = 4096
"""Alerts whose last sending is remembered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertCounters:
    """What became of alerts since the start."""

    num_sent: int = 0
    num_failures: int = 0
    """POSTs that brought no answer, or one that may pass; each is tried again."""
    num_rejected: int = 0
    """Alerts that the receiver refused for good."""
    num_dropped: int = 0
    """Alerts that found no room, or could not be sent for too long."""
    num_queued: int = 0
    """Now."""
    last_error: str = ""
    """Empty after a success."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What was last queued of one key."""

    content: tuple[str, ...]
    at: float


class AlertSender:
    """Sends alerts from a thread of its own. `offer` and `counters` may be called from any thread."""

    def __init__(self, settings: AlertSettings) -> None:
        """Start the thread; raises `UsageError` where no URL is set."""
        if not settings.url:
            raise UsageError("[watchdog.alerts] url is empty: there is nowhere to send alerts")
        self._settings = settings
        self._condition = threading.Condition()
        self._queue: dict[str, tuple[Alert, float]] = {}
        self._known: dict[str, _Known] = {}
        self._labels: dict[str, dict[str, str]] = {}
        self._counters = AlertCounters()
        self._begun: float | None = None
        self._is_closing = False
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
        self._thread.start()

    @property
    def counters(self) -> AlertCounters:
        """What became of alerts since the start."""
        with self._condition:
            return replace(self._counters, num_queued=len(self._queue))

    def offer(self, alerts: Iterable[Alert], now: float) -> None:
        """Queue what is new or changed, or was sent long ago, at `now`, Unix seconds. Never blocks on the receiver.

        What had ended before this sender first looked is not sent: whoever ran before has sent it.
        """
        with self._condition:
            self._begun = now if self._begun is None else self._begun
            for alert in alerts:
                if self._is_due(alert, now):
                    self._put(alert, now)
            self._condition.notify()

    def close(self, seconds: float = 2.0) -> None:
        """Send what waits, as far as that succeeds at once and within `seconds`, and end the thread."""
        with self._condition:
            self._is_closing = True
            self._condition.notify()
        self._thread.join(seconds)

    def _is_due(self, alert: Alert, now: float) -> bool:
        known = self._known.get(alert.key)
        if known is None:
            is_old = alert.ended_at is not None and alert.ended_at < (self._begun or now)
            return alert.severity >= self._settings.least and not is_old
        if known.content != alert.content:
            return True
        return alert.ended_at is None and now - known.at >= self._settings.repeat_seconds

    def _put(self, alert: Alert, now: float) -> None:
        self._known.pop(alert.key, None)
        self._known[alert.key] = _Known(content=alert.content, at=now)
        while len(self._known) > _MOST_KNOWN:
            oldest = next(iter(self._known))
            del self._known[oldest]
            self._labels.pop(oldest, None)
        if alert.key not in self._queue and len(self._queue) >= self._settings.most_queued:
            self._drop(next(iter(self._queue)))
        queued_at = self._queue[alert.key][1] if alert.key in self._queue else now
        self._queue[alert.key] = (alert, queued_at)

    def _drop(self, key: str) -> None:
        del self._queue[key]
        self._known.pop(key, None)  # it is due again when it is offered again
        self._counters = replace(self._counters, num_dropped=self._counters.num_dropped + 1)

    def _run(self) -> None:
        while (work := self._next()) is not None:
            alert, queued_at = work
            try:
                answer = post(self._settings, self._body(alert))
            except FryerError as error:
                self._failed(alert, queued_at, str(error))
            except Exception as error:  # noqa: BLE001 - a fault in one alert must not end, or hold up, all later ones
                self._finished(alert, f"{type(error).__name__} while writing it")
            else:
                self._answered(alert, queued_at, answer)

    def _next(self) -> tuple[Alert, float] | None:
        """The oldest alert that waits, once it may be tried; None at the end."""
        with self._condition:
            wait = self._wait_seconds()
            if wait:
                self._condition.wait_for(lambda: self._is_closing, wait)
            self._condition.wait_for(lambda: bool(self._queue) or self._is_closing)
            if self._is_closing and (self._failures or not self._queue):
                return None
            return next(iter(self._queue.values()))

    def _wait_seconds(self) -> float:
        """Doubles with each failure in a row; between half and all of it, so that a fleet does not come at once."""
        if not self._failures:
            return 0.0
        longest = self._settings.longest_wait_seconds
        wait = min(self._settings.first_wait_seconds * 2.0 ** min(self._failures - 1, 30), longest)
        return wait * random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries, no secret

    def _body(self, alert: Alert) -> bytes:
        now = time.time()
        document: object
        if self._settings.format == "json":
            document = own(alert, now)
        else:
            lasts = 2 * self._settings.repeat_seconds
            document = alertmanager(alert, now, lasts, self._labels.get(alert.key))
        return json.dumps(document, allow_nan=False).encode()

    def _answered(self, alert: Alert, queued_at: float, answer: Answer) -> None:
        if not answer.is_final:
            self._failed(alert, queued_at, f"{self._settings.place}: answered {answer.status}")
            return
        refusal = "" if answer.is_taken else f"{self._settings.place}: refused with {answer.status}"
        self._finished(alert, refusal)

    def _finished(self, alert: Alert, refusal: str) -> None:
        """It is out of the queue: sent, or refused for good."""
        with self._condition:
            if self._queue.get(alert.key, (None,))[0] is alert:
                del self._queue[alert.key]
            sent, rejected = self._counters.num_sent, self._counters.num_rejected
            if refusal:
                self._counters = replace(self._counters, num_rejected=rejected + 1, last_error=refusal)
            else:
                self._labels[alert.key] = alert.labels
                self._counters = replace(self._counters, num_sent=sent + 1, last_error="")
            was_failing, self._failures = self._failures > 0, 0
        if refusal:
            log.warning("alert refused key=%s why=%s", alert.key, refusal)
        elif was_failing:
            log.info("alerts are sent again receiver=%s", self._settings.place)

    def _failed(self, alert: Alert, queued_at: float, why: str) -> None:
        with self._condition:
            self._failures += 1
            counters = replace(self._counters, num_failures=self._counters.num_failures + 1, last_error=why)
            self._counters = counters
            is_stale = time.time() - queued_at > self._settings.give_up_seconds
            if is_stale and self._queue.get(alert.key, (None,))[0] is alert:
                self._drop(alert.key)
            is_first = self._failures == 1
        if is_first:
            log.warning("alerts can't be sent, tried again: %s", why)


def test_alert(settings: AlertSettings, node: str) -> Answer:
    """Send one test alert and wait for the answer; raises `SourceFailed` without one in time, `UsageError` without URL.

    In Alertmanager it is over by itself after a minute.
    """
    if not settings.url:
        raise UsageError("[watchdog.alerts] url is empty: there is nowhere to send alerts")
    now = time.time()
    alert = Alert(
        key=f"test:{node}",
        name="FryerTest",
        node=node,
        subject=node,
        code="test",
        severity=Severity.WARN,
        state="open",
        title=f"Test alert from {node}: nothing is wrong",
        started_at=now,
    )
    document = own(alert, now) if settings.format == "json" else alertmanager(alert, now, 60.0, None)
    return post(settings, json.dumps(document).encode())
