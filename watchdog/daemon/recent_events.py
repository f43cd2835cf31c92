"""The events of the last minutes, bounded: what one part of the node repeats becomes one event with a count.

A storm of one code on one GPU must not push another GPU's only line out of the window, nor lose its own count. One
thread uses it: the loop.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import replace

from watchdog.detectors.reading import count_of, last_at
from watchdog.vocabulary.samples import Event
from watchdog.vocabulary.subjects import Subject

MOST_EVENTS = 5000
"""Events held at most. What is beyond is a storm over hundreds of parts, of which incidents keep the count."""
MOST_APART = 64
"""Events of one kind, code, severity and reader about one part that are held apart, since their lines differ..."""
FOLD_SECONDS = 10.0
"""...and of those beyond, one each so many seconds: less than any gap that makes two faults of one (`xid` waits 180 s).
"""

_Part = tuple[Subject, str, int | None, str, object, object]


class RecentEvents:
    """Events in order of time; those that were folded have ``count`` and ``last_at`` in their data."""

    def __init__(self) -> None:
        """Without any."""
        self._events: OrderedDict[int, Event] = OrderedDict()
        self._newest: dict[_Part, int] = {}
        self._held: Counter[_Part] = Counter()
        self._number = 0

    def __iter__(self) -> Iterator[Event]:
        """Oldest first."""
        return iter(self._events.values())

    def add(self, events: Iterable[Event]) -> None:
        """Take more, in order of time."""
        for event in events:
            part = _part(event)
            newest = self._newest.get(part)
            if self._held[part] >= MOST_APART and newest is not None and self._is_near(newest, event):
                self._events[newest] = _folded(self._events[newest], event)
                continue
            self._number += 1
            self._events[self._number] = event
            self._newest[part] = self._number
            self._held[part] += 1
            if len(self._events) > MOST_EVENTS:
                self._drop_oldest()

    def forget(self, before: float) -> None:
        """Let go of what is older than `before`."""
        while self._events and next(iter(self._events.values())).at < before:
            self._drop_oldest()

    def _is_near(self, number: int, event: Event) -> bool:
        return event.at - self._events[number].at <= FOLD_SECONDS

    def _drop_oldest(self) -> None:
        number, event = self._events.popitem(last=False)
        part = _part(event)
        self._held[part] -= 1
        if not self._held[part]:
            del self._held[part]
        if self._newest.get(part) == number:
            del self._newest[part]


def _part(event: Event) -> _Part:
    return (event.subject, event.kind, event.code, event.severity, event.data.get("label"), event.data.get("source"))


def _folded(event: Event, more: Event) -> Event:
    """The event, standing for `more` too."""
    told = {"count": count_of(event) + count_of(more), "last_at": last_at([event, more])}
    return replace(event, data={**event.data, **told})
