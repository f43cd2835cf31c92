"""TensorBoard's event files, as its own library writes them, and runs out of the daemon's store."""

import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from replayed import points, rank_points, read

from fryer.replay.crc32c import crc32c, masked
from fryer.replay.event_records import is_event_file, records, scalars
from fryer.replay.words import Unreadable
from watchdog.detectors.training.words import Point
from watchdog.store import Store
from watchdog.store.connection import writing
from watchdog.store.watch_writing import Pen
from watchdog.vocabulary.runs import Step


def write_events(folder: Path, steps: range, **values: float) -> Path:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder)) as writer:
        writer.add_text("plan", "hello", 0)
        for step in steps:
            for tag, value in values.items():
                writer.add_scalar(tag.replace("__", "/"), value + step, step, walltime=1000.0 + step)
            writer.add_scalar("eval/loss", 9.0, step, walltime=1000.0 + step)
    return next(folder.iterdir())


def test_the_checksum_is_that_of_rfc_3720() -> None:
    assert [crc32c(b""), crc32c(bytes(32)), crc32c(b"\xff" * 32), crc32c(b"123456789")] == [
        0,
        0x8A9136AA,
        0x62A8AB43,
        0xE3069283,
    ]


def test_what_tensorboard_wrote_is_read(tmp_path: Path) -> None:
    path = write_events(tmp_path / "run", range(1, 4), train__loss=2.0, train__grad_norm=0.5)
    items, reading = read(path)
    assert points(items) == [
        ("", Point(step=step, loss=2.0 + step, grad_norm=0.5 + step, at_seconds=1000.0 + step)) for step in (1, 2, 3)
    ]
    assert reading.columns == {"loss": "train/loss", "grad_norm": "train/grad_norm"}


def test_a_folder_has_a_folder_a_run(tmp_path: Path) -> None:
    write_events(tmp_path / "a", range(1, 3), loss=2.0)
    write_events(tmp_path / "deep" / "b", range(1, 2), loss=3.0)
    items, _ = read(tmp_path)
    assert [(name, point.step, point.loss) for name, point in points(items)] == [
        ("a", 1, 3.0),
        ("a", 2, 4.0),
        ("deep/b", 1, 4.0),
    ]


def test_events_without_a_known_tag_list_the_tags(tmp_path: Path) -> None:
    path = write_events(tmp_path / "run", range(1, 2), reward=1.0)
    with pytest.raises(Unreadable, match="its columns: 'step', 'reward', 'eval/loss'"):
        read(path)


def test_a_last_record_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    path = write_events(tmp_path / "run", range(1, 4), loss=2.0)
    content = path.read_bytes()
    whole = len(points(read(path)[0]))
    path.write_bytes(content[: content.index(b"eval/loss") + 4])
    assert (whole, [point.step for _, point in points(read(path)[0])]) == (3, [1])


def test_a_damaged_record_is_named_by_its_place(tmp_path: Path) -> None:
    path = write_events(tmp_path / "run", range(1, 4), loss=2.0)
    content = bytearray(path.read_bytes())
    content[-6] ^= 1
    path.write_bytes(content)
    with pytest.raises(Unreadable, match=r"it is damaged at byte \d+: a record does not match its checksum"):
        read(path)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_event_raise_only_what_is_said(data: bytes) -> None:
    found = []
    with suppress(ValueError, IndexError, struct.error):
        found = list(scalars(data))
    assert all(isinstance(each.tag, str) for each in found)


@given(st.binary(max_size=200))
def test_a_framed_record_comes_out_as_it_went_in(data: bytes) -> None:
    import io

    length = struct.pack("<Q", len(data))
    framed = length + struct.pack("<I", masked(length)) + data + struct.pack("<I", masked(data))
    assert is_event_file(framed)
    assert list(records(io.BytesIO(framed * 2))) == [data, data]


def keep(folder: Path, *steps: Step) -> Path:
    store, pen = Store.open(folder), Pen()
    for step in steps:
        with writing(store.engine) as connection:
            pen.write(connection, [step])
    return folder


def test_the_stores_runs_are_read_with_the_lowest_ranks_points_and_all_ranks(tmp_path: Path) -> None:
    def step(number: int, rank: int, run: str = "r") -> Step:
        return Step(
            run=run, rank=rank, step=number, at=100.0 + number, seconds=0.5, tokens=512, loss=2.5, times={"data": 0.125}
        )

    folder = keep(tmp_path, step(1, 0), step(1, 1), step(2, 1), step(2, 0), step(7, 3, "other"), step(1, 0))
    for given_path in (folder, folder / "fryer.db"):
        items, _ = read(given_path)
        assert [(name, point.step) for name, point in points(items)] == [("r", 1), ("r", 2), ("other", 7)]
        assert [(point.rank, point.step) for point in rank_points(items)] == [
            (0, 1),
            (1, 1),
            (1, 2),
            (0, 2),
            (0, 1),
            (3, 7),
        ]
    point = points(items)[0][1]
    assert (point.tokens_per_second, point.seconds, point.times) == (1024.0, 0.5, {"data": 0.125})


def test_a_store_without_runs_says_so(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="it is a store in which no training run has told a step"):
        read(keep(tmp_path))
