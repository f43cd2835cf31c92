"""The window over the buffers is the window over the same rows."""

from hypothesis import given
from hypothesis import strategies as st

from watchdog.daemon.buffers import Buffers
from watchdog.vocabulary.samples import Event, Row, window_of
from watchdog.vocabulary.subjects import Subject

GPU, HOST = Subject("n", "gpu", "GPU-1"), Subject("n")


def row(at: float, subject: Subject = GPU, **values: float) -> Row:
    return Row(subject=subject, at=at, values=values)


@given(st.lists(st.tuples(st.sampled_from([GPU, HOST]), st.sampled_from("ab"), st.floats(-1e9, 1e9)), max_size=60))
def test_the_window_is_that_of_the_same_rows(items: list[tuple[Subject, str, float]]) -> None:
    rows = [row(float(at), subject, **{metric: value}) for at, (subject, metric, value) in enumerate(items)]
    buffers = Buffers(window_seconds=1e6)
    buffers.add_rows(rows)
    now = float(len(rows))
    expected, found = window_of(now, rows), buffers.window(now)
    for metric in "ab":
        assert {s: (list(c.at), list(c.values)) for s, c in found.series(metric).items()} == {
            s: (list(c.at), list(c.values)) for s, c in expected.series(metric).items()
        }


def test_what_is_older_than_the_window_is_forgotten() -> None:
    buffers = Buffers(window_seconds=100.0)
    buffers.add_rows(row(float(at), a=1.0) for at in range(10_000))
    (series,) = buffers.window(9999.0).series("a").values()
    assert len(series.at) <= 135
    assert series.at[-1] == 9999.0
    buffers.add_events([Event(kind="xid", subject=GPU, at=1.0), Event(kind="xid", subject=GPU, at=9990.0)])
    assert [event.at for event in buffers.window(9999.0).events] == [9990.0]


def test_a_subject_that_fell_silent_has_no_series() -> None:
    buffers = Buffers(window_seconds=10.0)
    buffers.add_rows([row(0.0, a=1.0)])
    assert buffers.window(100.0).series("a") == {}


def test_newest_merges_what_several_collectors_read() -> None:
    buffers = Buffers(window_seconds=10.0)
    buffers.add_rows([row(1.0, a=1.0, b=2.0), row(2.0, b=3.0)])
    assert buffers.newest(2.0) == {GPU: row(2.0, a=1.0, b=3.0)}


def test_a_value_that_is_overdue_by_its_own_rhythm_is_absent() -> None:
    """A lost GPU goes on to be read, but no longer has a temperature."""
    buffers = Buffers(window_seconds=900.0)
    buffers.add_rows(row(float(at), slow=1.0) for at in (0, 30, 60))
    buffers.add_rows(row(float(at), temperature=60.0) for at in range(60))
    buffers.add_rows(row(float(at), lost=1.0) for at in range(60, 100))
    assert buffers.newest(65.0)[GPU].values == {"slow": 1.0, "temperature": 60.0, "lost": 1.0}
    assert buffers.newest(100.0)[GPU].values == {"slow": 1.0, "lost": 1.0}
    assert buffers.newest(200.0) == {}


def test_facts_are_laid_over_each_other() -> None:
    buffers = Buffers(window_seconds=10.0)
    buffers.add_facts({GPU: {"index": 0}})
    buffers.add_facts({GPU: {"part": "H100"}})
    assert buffers.facts == {GPU: {"index": 0, "part": "H100"}}
