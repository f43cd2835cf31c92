"""Which source of data rose at a step."""

from hypothesis import given
from hypothesis import strategies as st

from watchdog.attribution import SourceRise, SourceTrack


def track(**at_20: float) -> SourceTrack:
    made = SourceTrack()
    for step in range(20):
        made.observe(step, {"web": 2.5, "code": 1.2, "math": 1.8})
    made.observe(20, {"web": 2.5, "code": 1.2, "math": 1.8} | at_20)
    return made


def test_a_source_that_rose_alone_is_named_with_its_figures() -> None:
    assert track(code=4.8).rise(20, 20) == SourceRise(source="code", before=1.2, value=4.8, step=20, is_alone=True)


def test_sources_that_rise_together_are_not_alone() -> None:
    rise = track(web=5.0, code=2.5, math=3.6).rise(20, 20)
    assert rise is not None
    assert not rise.is_alone


def test_nothing_rose_or_too_little_is_known() -> None:
    assert track().rise(20, 20) is None
    assert track(code=4.8).rise(3, 3) is None
    assert SourceTrack().rise(0, 9) is None


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.floats()), max_size=40))
def test_no_losses_raise(steps: list[dict[str, float]]) -> None:
    made = SourceTrack()
    for step, losses in enumerate(steps):
        made.observe(step, losses)
    rise = made.rise(len(steps) // 2, len(steps))
    assert rise is None or rise.value > rise.before
