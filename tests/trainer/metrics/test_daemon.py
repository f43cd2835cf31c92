"""What the node's daemon keeps of a training, through the real client and API."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from served import Served, serving
from trainer_records import BEGUN, ENDED, SAVED, STAGE, step

from trainer.metrics.daemon import ToDaemon
from trainer.metrics.record import Record
from watchdog.client import Client
from watchdog.service import Checkpoint, RunBegin, RunEnd, Step


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path / "w.sock") as server:
        yield server


def tell(served: Served, *records: Record, **options: bool) -> list:
    """What the daemon keeps of them."""
    client = Client(run="r-1", rank=3, world_size=8, socket_path=served.path)
    daemon = ToDaemon(client, **options)
    for record in records:
        daemon.write(record)
    client.end("asked", wait_seconds=20)
    return [record for record in served.service.records if not isinstance(record, RunEnd) or record.reason != "asked"]


def test_begin_stage_and_end_are_told(served: Served) -> None:
    begun, stage, end = tell(served, BEGUN, STAGE, ENDED)
    assert isinstance(begun, RunBegin)
    assert (begun.run, begun.rank, begun.world_size, begun.stage, begun.resume_step) == ("r-1", 3, 8, "", 5)
    assert isinstance(stage, RunBegin)
    assert (stage.stage, stage.resume_step) == ("main", 5)
    assert isinstance(end, RunEnd)
    assert end.reason == "done"


def test_a_step_is_told_with_phases_in_the_daemons_words(served: Served) -> None:
    times = {"data": 0.125, "evaluation": 0.25, "other": 0.125}
    (told,) = tell(served, step(5, times=times))
    assert isinstance(told, Step)
    assert (told.step, told.seconds, told.tokens, told.loss, told.grad_norm, told.lr) == (5, 0.5, 256, 2.5, 0.41, 2e-4)
    assert told.times == {"data": 0.125, "eval": 0.25, "other": 0.125}
    assert told.batch_id == "00000000000000aa"


def test_a_loss_that_is_no_number_reaches_it(served: Served) -> None:
    (told,) = tell(served, step(5, loss=float("nan")))
    assert str(told.loss) == "nan"


def test_a_checkpoint_is_told_by_one_rank_of_a_node(served: Served) -> None:
    assert tell(served, SAVED, tells_checkpoints=False) == []
    (told,) = tell(served, SAVED)
    assert isinstance(told, Checkpoint)
    assert (told.step, told.path, told.state, told.seconds) == (5, "/run/checkpoints/step_5", "complete", 1.5)


def test_a_save_that_failed_is_no_checkpoint(served: Served) -> None:
    assert tell(served, replace(SAVED, state="failed", problem="disk full")) == []


def test_a_rank_that_hangs_in_a_section_is_told_in_it(served: Served) -> None:
    client = Client(run="r-1", socket_path=served.path)
    with ToDaemon(client).section("evaluation"):
        client.step(1)
    client.end(wait_seconds=20)
    (told,) = [record for record in served.service.records if isinstance(record, Step)]
    assert told.open_section == "eval"


def test_a_daemon_that_is_not_there_costs_nothing(tmp_path: Path) -> None:
    client = Client(run="r-1", socket_path=tmp_path / "none.sock")
    daemon = ToDaemon(client)
    for number in range(1, 200):
        daemon.write(step(number))
    daemon.close()
    assert client.health.is_connected is False
    assert (client.health.num_posted, client.health.num_dropped) == (0, 0)
