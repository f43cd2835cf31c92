"""Readings and steps come out of their blocks as they went in."""

import math
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchdog.store.blocks import pack_rows, pack_steps, unpack_rows, unpack_steps
from watchdog.store.packing import PackingError
from watchdog.vocabulary.runs import Step
from watchdog.vocabulary.samples import Row
from watchdog.vocabulary.subjects import Subject

METRICS = {1: "power_watts", 2: "temperature_celsius", 3: "loss", 0xFFFF: "utilization_ratio"}
IDS = {name: id_ for id_, name in METRICS.items()}
SUBJECTS = [Subject("n1"), Subject("n1", "gpu", "GPU-a"), Subject("n1", "gpu", "GPU-b")]
numbers = st.floats(allow_nan=False)
rows = st.builds(
    lambda subject, at, values: Row(subject=subject, at=at, values=values),
    st.sampled_from(SUBJECTS),
    numbers,
    st.dictionaries(st.sampled_from(sorted(IDS)), numbers),
)
optional = st.none() | numbers
durations = st.floats(allow_nan=False, width=32)
count = st.integers(0, 2**53)
steps = st.builds(
    lambda **fields: Step(run="r", **fields),
    rank=st.integers(0, 20_000),
    step=count,
    at=numbers,
    seconds=st.none() | durations,
    tokens=st.none() | count,
    loss=optional,
    grad_norm=optional,
    lr=optional,
    times=st.dictionaries(st.sampled_from(["data", "forward", "a.b"]), durations),
    batch_id=st.text(),
    open_section=st.text(),
)


def packed(readings: list[Row]) -> bytes:
    return pack_rows(
        readings, SUBJECTS.index, lambda names: struct.pack(f"<{len(names)}H", *(IDS[name] for name in names))
    )


@given(st.lists(rows))
def test_readings_come_back_as_they_were(readings: list[Row]) -> None:
    found = [
        Row(subject=SUBJECTS[id_], at=at, values=values) for id_, at, values in unpack_rows(packed(readings), METRICS)
    ]
    assert found == readings


@given(st.lists(rows))
def test_the_readings_of_one_subject_can_be_picked(readings: list[Row]) -> None:
    found = [(at, values) for _, at, values in unpack_rows(packed(readings), METRICS, only=1)]
    assert found == [(row.at, row.values) for row in readings if row.subject == SUBJECTS[1]]


@given(st.lists(steps))
def test_steps_come_back_as_they_were(told: list[Step]) -> None:
    assert unpack_steps(pack_steps(told), "r") == told


def test_a_step_whose_loss_is_nan_keeps_it() -> None:
    (step,) = unpack_steps(pack_steps([Step(run="r", rank=0, step=1, at=2.0, loss=math.nan)]), "r")
    assert step.loss is not None
    assert math.isnan(step.loss)
    assert step.grad_norm is None


def test_the_encoding_of_readings_is_the_documented_one() -> None:
    """Files outlive programs: a change here would make old ones unreadable."""
    row = Row(subject=SUBJECTS[2], at=7.5, values={"power_watts": 1.0, "loss": 2.0})
    assert zlib.decompress(packed([row])) == struct.pack("<IdHHHdd", 2, 7.5, 2, 1, 3, 1.0, 2.0)


@pytest.mark.parametrize("damaged", [b"", b"junk", zlib.compress(b"123"), zlib.compress(bytes(13) + b"\x07")])
def test_damaged_bytes_are_no_readings(damaged: bytes) -> None:
    with pytest.raises(PackingError, match=f"readings of {len(damaged)} bytes"):
        list(unpack_rows(damaged, METRICS))


def test_a_metric_that_has_no_name_is_damage() -> None:
    row = Row(subject=SUBJECTS[0], at=1.0, values={"loss": 2.0})
    with pytest.raises(PackingError):
        list(unpack_rows(packed([row]), {1: "power_watts"}))


def test_readings_are_no_steps() -> None:
    with pytest.raises(PackingError):
        unpack_steps(packed([Row(subject=SUBJECTS[0], at=1.0, values={"loss": 2.0})]), "r")


def test_durations_are_kept_to_seven_digits() -> None:
    (step,) = unpack_steps(pack_steps([Step(run="r", rank=0, step=1, at=2.1, seconds=2.1, times={"data": 0.1})]), "r")
    assert step.at == 2.1
    assert step.seconds == pytest.approx(2.1, rel=1e-7)
    assert step.times == {"data": pytest.approx(0.1, rel=1e-7)}
