"""Equal events that came in one look become one with a count, so that a storm of lines stays small. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from watchdog.vocabulary.samples import Event
from watchdog.vocabulary.subjects import Subject

MOST_WORDINGS = 32
"""Different lines of one code on one part that are kept apart in one look; what comes after joins the last. A burst
of Xid 13 prints 16 and more different lines, each with the place on the GPU, which tells one bad SM from a bad program.
"""

_Part = tuple[Subject, str, int | None, object]


@dataclass(slots=True)
class _Burst:
    """Equal events so far."""

    first: Event
    last: Event
    count: int = 1


def collapse(events: Iterable[Event]) -> Sequence[Event]:
    """One event for each different line, in order of first appearance, with the time of the first.

    Data of one that stands for several: ``count``, ``first_at``, ``last_at``, and ``last_seq``.
    """
    bursts: dict[tuple[_Part, str], _Burst] = {}
    newest: dict[_Part, tuple[int, _Burst]] = {}
    for event in events:
        part = (event.subject, event.kind, event.code, event.data.get("label"))
        num_wordings, last = newest.get(part, (0, None))
        burst = bursts.get((part, event.line))
        if burst is None and last is not None and num_wordings >= MOST_WORDINGS:
            burst = last
        if burst is None:
            burst = bursts[part, event.line] = _Burst(first=event, last=event)
            newest[part] = (num_wordings + 1, burst)
        else:
            burst.last = event
            burst.count += 1
    return [_event(burst) for burst in bursts.values()]


def _event(burst: _Burst) -> Event:
    if burst.count == 1:
        return burst.first
    more: dict[str, object] = {"count": burst.count, "first_at": burst.first.at, "last_at": burst.last.at}
    if "seq" in burst.last.data:
        more["last_seq"] = burst.last.data["seq"]
    return replace(burst.first, data={**burst.first.data, **more})
