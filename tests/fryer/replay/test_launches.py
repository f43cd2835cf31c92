"""Two launches of a run, rewinds and nodes: which cause is stated for which event."""

import json
from pathlib import Path

import pytest
from replayed import DATA, curve, write

from fryer.replay.replaying import Asked, replay_files
from fryer.replay.told import Told
from watchdog.store import Store
from watchdog.store.connection import writing
from watchdog.store.watch_writing import Pen
from watchdog.vocabulary.samples import Row
from watchdog.vocabulary.subjects import Subject

WEKA = DATA / "throughput" / "smollm3_throughput_weka_drops.csv"
LAUNCHES = DATA / "throughput" / "smollm3_throughput_debug_1node_full.csv"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the captured public data are not beside the repository")


def told_of(*paths: Path, **options: object) -> list[Told]:
    return replay_files(Asked(files=[str(path) for path in paths], **options))[1]  # type: ignore[arg-type]


def second_launch(path: Path) -> Path:
    """The same drops a step later, as another launch has them, on storage that was not slow from 1939 to 3118."""
    header, *rows = WEKA.read_text().splitlines()
    made = []
    for row in rows:
        _, step, value = row.rsplit(",", 2)
        is_slow = 1939 <= int(step) <= 3118
        rate = float(value) / (0.61 if is_slow else 1.0)
        made.append(f"second launch,{int(step) + 1},{rate}")
    return write(path, "\n".join([header, *made]) + "\n")


@needs_data
def test_the_loader_is_the_cause_of_the_drops_and_not_of_the_shift(tmp_path: Path) -> None:
    told = [each for each in told_of(WEKA, second_launch(tmp_path / "b")) if each.series == "Weka drops"]
    drops = [each for each in told if each.finding.kind == "drop"]
    shifts = [each for each in told if each.finding.kind == "shift"]
    assert len(drops) >= 30
    assert {each.causes[0].code for each in drops} == {"loader"}
    assert all(each.cause.startswith("same steps again → loader: ") for each in drops)
    assert [abs(each.finding.start - 1939) <= 10 and abs(each.end - 3118) <= 10 for each in shifts] == [True]
    assert shifts[0].cause == (
        f"not again → hardware: storage, network or a GPU: second launch trained steps {shifts[0].finding.start} to "
        f"{shifts[0].end} without it (if it had the same data and code)"
    )
    assert all("loader" not in cause.message for cause in shifts[0].causes)


@needs_data
def test_launches_with_as_many_drops_at_other_steps_clear_the_hardware_of_a_node() -> None:
    drops = [each for each in told_of(WEKA, LAUNCHES) if each.series == "Weka drops" and each.finding.kind == "drop"]
    codes = {each.causes[0].code for each in drops if each.causes}
    assert codes == {"software"}
    assert "no single part" in drops[0].cause


@needs_data
def test_one_launch_alone_states_no_cause_for_its_drops() -> None:
    assert {each.cause for each in told_of(WEKA) if each.finding.kind == "drop"} == {"not known"}


def rows_of(text: str) -> list[str]:
    return text.splitlines()[1:]


def rewound(path: Path, second: dict[int, float]) -> Path:
    """Steps 1 to 600 with a spike at 500, then from 401 on again."""
    first = curve(600, spikes={500: 4.5})
    return write(path, first + "\n".join(rows_of(curve(400, spikes=second, first=401))) + "\n")


def test_a_spike_that_a_rewind_shows_again_is_of_data(tmp_path: Path) -> None:
    told = told_of(rewound(tmp_path / "a", {500: 4.5}))
    assert [(each.finding.start, each.event.attempt, each.is_trained_again) for each in told] == [
        (500, 0, True),
        (500, 1, False),
    ]
    assert [cause.code for cause in told[0].causes] == ["data", "state"]
    assert told[0].cause == (
        "same steps again → data: 1 of 1 spikes come at the same steps when they were trained again, by chance 0.01"
    )


def test_a_spike_that_a_rewind_does_not_show_again_is_of_hardware(tmp_path: Path) -> None:
    (told,) = told_of(rewound(tmp_path / "a", {}))
    assert (told.finding.start, told.causes[0].code, told.is_trained_again) == (500, "hardware", True)
    assert told.cause == "not again → hardware: step 500 went by without it when trained again"


def test_runs_that_are_joined_are_one_that_went_back(tmp_path: Path) -> None:
    late = write(tmp_path / "late", curve(400, first=401))
    early = write(tmp_path / "early", curve(600, spikes={500: 4.5}))
    files, (told,) = replay_files(Asked(files=[str(late), str(early)], is_joined=True))
    assert [(each.first, each.last) for each in files[0].runs[0].attempts.stretches] == [(1, 600), (401, 800)]
    assert (told.finding.start, told.causes[0].code) == (500, "hardware")


def test_a_rewind_with_other_samples_says_nothing(tmp_path: Path) -> None:
    def record(step: int, attempt: int, loss: float) -> str:
        line = {"step": step, "loss": loss, "batch_digest": f"d{step}" if attempt == 0 or step != 500 else "other"}
        return json.dumps(line) + "\n"

    calm = {int(row.split(",")[0]): float(row.split(",")[1]) for row in rows_of(curve(800))}
    first = "".join(record(step, 0, 4.5 if step == 500 else calm[step]) for step in range(1, 601))
    again = "".join(record(step, 1, calm[step]) for step in range(401, 801))
    (told,) = told_of(write(tmp_path / "a", first + again))
    assert (told.finding.start, told.cause) == (500, "not known")


def test_the_source_whose_loss_rose_is_named(tmp_path: Path) -> None:
    calm = [(int(row.split(",")[0]), float(row.split(",")[1])) for row in rows_of(curve(600))]
    lines = [
        {
            "step": step,
            "loss": 4.5 if step == 500 else loss,
            "losses": {"web": 2.5, "math": 2.0, "code": 9.0 if step == 500 else 1.2},
        }
        for step, loss in calm
    ]
    (told,) = told_of(write(tmp_path / "a", "".join(json.dumps(line) + "\n" for line in lines)))
    assert told.cause == "the loss of source code rose from 1.2 to 9, the other sources did not"


def test_a_nodes_store_explains_what_got_slow(tmp_path: Path) -> None:
    begin = 1_700_000_000.0
    lines = [
        {
            "step": step,
            "tokens_per_second": 100.0 - step % 3 - (40.0 if step >= 400 else 0.0),
            "timestamp": begin + 10 * step,
        }
        for step in range(1, 601)
    ]
    log = write(tmp_path / "a", "".join(json.dumps(line) + "\n" for line in lines))
    disk, gpu = Subject("node7", "disk", "/scratch"), Subject("node7", "gpu", "GPU-1")
    store, pen = Store.open(tmp_path / "state"), Pen()
    with writing(store.engine) as connection:
        for minute in range(100):
            at = begin + 60 * minute
            latency = 0.02 if minute < 66 else 0.24
            pen.write(connection, [Row(subject=disk, at=at, values={"read_latency_seconds": latency})])
            pen.write(connection, [Row(subject=gpu, at=at, values={"sm_clock_hertz": 1.98e9})])
    (told,) = told_of(log, state=tmp_path / "state")
    assert (told.finding.kind, told.finding.start, told.causes[0].code) == ("shift", 400, "storage")
    assert told.cause == "read latency on /scratch of node7 rose 12x (0.02 to 0.24) 40 s before; no GPU changed"
