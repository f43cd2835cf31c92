"""What holds for any events: batches, order, counts, exact storage."""

import json
from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from watchdog.incidents import Book, IncidentLimits, from_json, to_json, update
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.samples import Event
from watchdog.vocabulary.subjects import Subject

LIMITS = IncidentLimits()
CODES = (13, 31, 43, 45, 48, 63, 74, 79, 94, 95, 119, 154, 999)
APPLICATION = (13, 31, 43, 45)

events_anywhere = st.lists(
    st.builds(
        lambda code, index, at: Event(kind="xid", subject=Subject("n", "gpu", f"GPU-{index}"), at=at, code=code),
        st.sampled_from(CODES),
        st.integers(0, 3),
        st.floats(0, 200, allow_nan=False).map(lambda at: round(at, 3)),
    ),
    max_size=25,
)
events_of_a_moment = st.lists(
    st.builds(
        lambda code, index, at: Event(kind="xid", subject=Subject("n", "gpu", f"GPU-{index}"), at=at, code=code),
        st.sampled_from(CODES),
        st.integers(0, 3),
        st.floats(100, 114, allow_nan=False).map(lambda at: round(at, 3)),
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda event: (event.at, event.subject, event.code),
)


def findings_of(events: Sequence[Event]) -> list[Finding]:
    """What the Xid detector says while it sees the events: one finding a GPU and code."""
    first: dict[tuple[Subject, int | None], float] = {}
    for event in events:
        key = (event.subject, event.code)
        first[key] = min(event.at, first.get(key, event.at))
    return [
        Finding(
            source="xid",
            subject=subject,
            severity=Severity.WARN if code in APPLICATION else Severity.FAIL,
            code=f"xid_{code}",
            message="seen",
            action="restart_app" if code in APPLICATION else "reset_gpu",
            since=since,
        )
        for (subject, code), since in first.items()
    ]


def fed(batches: Sequence[Sequence[Event]], now: float = 201.0) -> Book:
    """The events in batches, then one judgement over all of them."""
    book = Book()
    for batch in batches:
        at = max((event.at for event in batch), default=0.0)
        book, _ = update(book, findings=None, events=batch, now=at, limits=LIMITS)
    return update(book, findings=findings_of([e for b in batches for e in b]), events=(), now=now, limits=LIMITS)[0]


@settings(max_examples=60, deadline=None)
@given(events_anywhere, st.lists(st.integers(0, 25), max_size=4))
def test_one_by_one_and_in_batches_gives_the_same_incidents(events, cuts):
    ordered = sorted(events, key=lambda event: event.at)
    bounds = sorted({0, *(cut for cut in cuts if cut < len(ordered)), len(ordered)})
    batches = [ordered[a:b] for a, b in pairwise(bounds)]
    assert fed([[event] for event in ordered]).open == fed(batches).open


@settings(max_examples=60, deadline=None)
@given(events_of_a_moment, st.randoms(use_true_random=False))
def test_the_order_in_which_events_of_one_window_arrive_changes_no_incident(events, random):
    shuffled = list(events)
    random.shuffle(shuffled)
    straight, mixed = fed([[event] for event in events], 115.0), fed([[event] for event in shuffled], 115.0)

    def seen(book: Book) -> list[tuple[object, ...]]:
        return [(one.id, one.root, one.root_code, one.victims, one.count, one.action) for one in book.open]

    assert seen(straight) == seen(mixed)


@settings(max_examples=60, deadline=None)
@given(events_of_a_moment, st.randoms(use_true_random=False))
def test_judging_at_every_event_finds_the_same_roots_in_any_order(events, random):
    shuffled = list(events)
    random.shuffle(shuffled)

    def roots(order: Sequence[Event]) -> set[tuple[Subject, str]]:
        book, come = Book(), []
        for event in order:
            come.append(event)
            book, _ = update(book, findings=findings_of(come), events=[event], now=115.0, limits=LIMITS)
        return {(incident.root, incident.root_code) for incident in book.open}

    assert roots(events) == roots(shuffled)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(events_anywhere, st.booleans()), max_size=5))
def test_no_event_is_lost_from_the_counts(batches):
    book, total, closed, now = Book(), 0, 0, 0.0
    for events, is_judged in batches:
        now, total = now + 90.0, total + len(events)
        findings = findings_of(events) if is_judged else None
        book, changes = update(book, findings=findings, events=events, now=now, limits=LIMITS)
        closed += sum(change.incident.count for change in changes if change.kind == "closed")
        held = sum(tally.num_events for tally in book.tallies.values())
        assert held + closed + book.num_unclaimed == total


@settings(max_examples=60, deadline=None)
@given(st.lists(events_anywhere, max_size=3))
def test_any_book_survives_json_exactly(batches):
    book = Book()
    for number, events in enumerate(batches):
        book, _ = update(book, findings=findings_of(events), events=events, now=201.0 + number, limits=LIMITS)
        assert from_json(json.loads(json.dumps(to_json(book)))) == book


@settings(max_examples=60, deadline=None)
@given(events_of_a_moment)
def test_every_fault_is_in_exactly_one_incident(events):
    book = fed([events], 115.0)
    held = [tally.key for tally in book.tallies.values() if tally.has_finding]
    assert len(held) == len({(event.subject, event.code) for event in events})
    assert sum(incident.count for incident in book.open) + book.num_unclaimed == len(events)
    roots = [(incident.root, incident.root_code) for incident in book.open]
    assert len(roots) == len(set(roots))
