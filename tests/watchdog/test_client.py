"""The trainer's client against the real API."""

import ast
import math
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from fake_service import SIGNAL, FakeService
from served import Served, serving, wait_until

from watchdog import client as client_module
from watchdog.client import NONE, Client
from watchdog.service import Ack, Checkpoint, RunBegin, RunEnd, Step


@pytest.fixture
def served(tmp_path):
    with serving(tmp_path / "w.sock") as server:
        yield server


@pytest.fixture
def client(served: Served) -> Client:
    return Client(run="r", rank=3, world_size=8, socket_path=served.path)


def kept(served: Served, kind: type) -> list:
    return [record for record in served.service.records if isinstance(record, kind)]


def signal_now(**changes: object):
    return replace(SIGNAL, created_at=time.time(), expires_at=time.time() + 60, **changes)


def test_what_training_says_is_kept_in_its_order(served: Served, client: Client) -> None:
    client.begin(stage="main", resume_step=5)
    for step in range(5, 8):
        client.step(step, tokens=1024, loss=2.5, grad_norm=1, lr=1e-4, times={"data": 0.25}, batch_id="b")
    client.checkpoint(7, "/ckpt/7", "complete", seconds=1.5, num_bytes=10)
    client.end("done", wait_seconds=20)
    records = served.service.records
    assert [type(record) for record in records] == [RunBegin, Step, Step, Step, Checkpoint, RunEnd]
    begin, _, _, step, checkpoint, end = records
    assert (begin.run, begin.rank, begin.world_size, begin.stage, begin.resume_step) == ("r", 3, 8, "main", 5)
    assert (step.step, step.tokens, step.loss, step.grad_norm, step.lr) == (7, 1024, 2.5, 1.0, 1e-4)
    assert (step.times, step.batch_id, step.rank) == ({"data": 0.25}, "b", 3)
    assert (checkpoint.path, checkpoint.state, checkpoint.num_bytes) == ("/ckpt/7", "complete", 10)
    assert end.reason == "done"
    assert client.health == client_module.ClientHealth(
        is_connected=True, num_posted=6, num_dropped=0, num_refused=0, problem=""
    )


def test_nan_and_infinity_arrive_as_they_are(served: Served, client: Client) -> None:
    client.step(1, loss=math.nan, grad_norm=math.inf, lr=-math.inf)
    client.end(wait_seconds=20)
    step = kept(served, Step)[0]
    assert math.isnan(step.loss)
    assert (step.grad_norm, step.lr) == (math.inf, -math.inf)


class Broken:
    def __float__(self) -> float:
        raise RuntimeError("CUDA error: device-side assert triggered")

    def __str__(self) -> str:
        raise RuntimeError("no text either")


def test_odd_arguments_neither_raise_nor_cost_the_rest_of_the_step(served: Served, client: Client) -> None:
    odd = Broken()
    client.step(1, loss=odd, grad_norm="x", tokens=-5, lr=10**400, batch_id=odd, times={"a\nb": 1.0, odd: 2.0, "c": -1})  # type: ignore[arg-type,dict-item]
    client.step(odd, times=7)  # type: ignore[arg-type]
    client.begin(resume_step="x")  # type: ignore[arg-type]
    client.checkpoint("x", 7, None)  # type: ignore[arg-type]
    client.ack(None, "done")  # type: ignore[arg-type]
    with client.section(odd):  # type: ignore[arg-type]
        pass
    client.step(2, loss=0.5, batch_id="\ud800x" + "y" * 5000)
    client.end(wait_seconds=20)
    first, second = kept(served, Step)
    assert (first.step, first.loss, first.grad_norm, first.tokens, first.lr) == (1, None, None, None, None)
    assert first.times == {"ab": 1.0, "?": 2.0}
    assert (second.step, second.loss, len(second.batch_id)) == (2, 0.5, 999)


def test_sections_are_exclusive_so_that_they_add_up_to_the_step(served: Served, client: Client) -> None:
    client.begin()
    with client.section("forward"):
        time.sleep(0.02)
        with client.section("communication"):
            time.sleep(0.05)
    client.step(1)
    client.step(2)
    client.end(wait_seconds=20)
    first, second = kept(served, Step)
    assert first.times.keys() == {"forward", "communication"}
    assert first.times["communication"] >= 0.05
    assert first.times["forward"] >= 0.02
    assert sum(first.times.values()) <= first.seconds
    assert second.times == {}


def test_a_signal_is_seen_until_it_is_answered(served: Served, client: Client) -> None:
    client.begin()
    assert client.poll() is NONE
    served.publish(signal=signal_now())
    wait_until(lambda: client.poll().action == "save")
    signal = client.poll()
    assert (signal.id, signal.reason, signal.confidence) == ("s-1", "a GPU is dying", 0.9)
    client.ack(signal, "acting")
    assert client.poll() is NONE
    client.ack(signal, "done", "saved at 7")
    client.end(wait_seconds=20)
    assert [(ack.signal_id, ack.result, ack.detail) for ack in kept(served, Ack)] == [
        ("s-1", "acting", ""),
        ("s-1", "done", "saved at 7"),
    ]
    assert client.poll() is NONE


def test_a_signal_that_is_withdrawn_is_gone(served: Served, client: Client) -> None:
    client.begin()
    served.publish(signal=signal_now())
    wait_until(lambda: client.poll() is not NONE)
    served.publish(signal=None)
    wait_until(lambda: client.poll() is NONE)


@pytest.mark.parametrize("changes", [{"run": "other"}, {"is_observed_only": True}])
def test_signals_for_others_and_observed_ones_are_not_acted_on(
    served: Served, client: Client, changes: dict[str, object]
) -> None:
    client.begin()
    served.publish(signal=signal_now(**changes))
    wait_until(lambda: served.call(lambda: served.service.readers))
    served.publish(signal=signal_now(id="s-2", run=""))  # for whoever runs here
    wait_until(lambda: client.poll().id == "s-2")


def test_a_signal_is_void_past_its_step_and_that_is_said(served: Served, client: Client) -> None:
    client.begin()
    client.step(10)
    served.publish(signal=signal_now(not_after_step=10))
    wait_until(lambda: client.poll() is not NONE)
    client.step(11)
    assert client.poll() is NONE
    client.end(wait_seconds=20)
    assert [ack.result for ack in kept(served, Ack)] == ["expired"]


def test_a_signal_is_void_past_its_expiry_by_the_daemons_clock(served: Served, client: Client) -> None:
    client.begin()
    wait_until(lambda: served.call(lambda: served.service.readers))  # it listens: the time left is the signal's own
    served.publish(signal=replace(SIGNAL, expires_at=time.time() + 5))
    wait_until(lambda: client.poll() is not NONE)
    wait_until(lambda: client.poll() is NONE)
    client.end(wait_seconds=20)
    assert [ack.result for ack in kept(served, Ack)] == ["expired"]


def test_what_was_not_acknowledged_is_sent_again_to_the_next_daemon_which_is_told_of_the_run(tmp_path: Path) -> None:
    path = tmp_path / "w.sock"
    client = Client(run="r", socket_path=path)
    with serving(path) as first:
        client.begin(stage="main")
        client.step(1)
        wait_until(lambda: kept(first, Step))
    for step in range(2, 600):
        client.step(step)
    wait_until(lambda: not client.health.is_connected)
    service = FakeService()
    service.publish(started_at=2000.0)
    with serving(path, service) as second:
        wait_until(lambda: len({step.step for step in kept(second, Step)}) == 598)
        assert sorted({step.step for step in kept(second, Step)}) == list(range(2, 600))
        assert [begin.stage for begin in kept(second, RunBegin)] == ["main"]
        client.begin(stage="long", resume_step=600)
        client.end(wait_seconds=20)
        assert [begin.stage for begin in kept(second, RunBegin)] == ["main", "long"]


def test_a_rank_that_hangs_says_in_which_section(
    served: Served, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "HEARTBEAT_SECONDS", 0.1)
    client.begin()
    wait_until(lambda: len(kept(served, RunBegin)) >= 2)  # before the first step it says that it lives
    client.step(1, loss=2.0)
    with client.section("communication"):
        wait_until(lambda: kept(served, Step)[-1:] and kept(served, Step)[-1].open_section == "communication")
    last = kept(served, Step)[-1]
    assert (last.step, last.loss, last.at) == (1, 2.0, kept(served, Step)[0].at)
    client.end(wait_seconds=20)
    number = len(served.service.records)
    time.sleep(0.3)
    assert len(served.service.records) == number


def test_its_threads_end_with_the_run_and_come_again_with_the_next(
    served: Served, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "WAIT_SECONDS", 0.1)
    before = threading.active_count()
    for stage in ("main", "long"):
        client.begin(stage=stage)
        assert threading.active_count() == before + 2
        client.end(wait_seconds=20)
        wait_until(lambda: threading.active_count() == before)
    assert [begin.stage for begin in kept(served, RunBegin)] == ["main", "long"]


def run_script(text: str, *arguments: object, folder: Path) -> str:
    """Standard output of a Python that sees no package of ours, beside a copy of the client."""
    shutil.copy(client_module.__file__, folder / "client.py")
    (folder / "script.py").write_text(text)
    return subprocess.run(
        [sys.executable, "-I", "-c", "import sys; sys.path.insert(0, sys.argv[1]); import script"]
        + [str(argument) for argument in (folder, *arguments)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout


FORKING = """
import os, sys
from client import Client
client = Client(run="r", rank=0, socket_path=sys.argv[2])
client.begin()
for step in range(100):
    client.step(step)
child = os.fork()
if child == 0:
    assert client.health.num_posted == 0
    client.step(1000)
    client.end("child", wait_seconds=20)
    os._exit(0)
client.end("parent", wait_seconds=20)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
print("whole")
"""


def test_after_a_fork_each_side_sends_its_own_and_nothing_twice(served: Served, tmp_path: Path) -> None:
    assert run_script(FORKING, served.path, folder=tmp_path) == "whole\n"
    assert sorted(step.step for step in kept(served, Step)) == [*range(100), 1000]
    assert sorted(end.reason for end in kept(served, RunEnd)) == ["child", "parent"]


ALONE = """
import sys
from client import NONE, Client
client = Client(run="r", socket_path="/nowhere/w.sock")
client.begin()
with client.section("data"):
    client.step(1)
assert client.poll() is NONE
print(sorted(name for name in sys.modules if name.partition(".")[0] in ("watchdog", "fryer", "torch", "pydantic")))
"""


def test_the_file_works_alone_and_imports_the_standard_library_only(tmp_path: Path) -> None:
    assert run_script(ALONE, folder=tmp_path) == "[]\n"
    tree = ast.parse(Path(client_module.__file__).read_text(encoding="utf-8"))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert {str(module).partition(".")[0] for module in modules} <= sys.stdlib_module_names


def test_its_default_socket_is_the_daemons() -> None:
    from watchdog.settings import DEFAULT_SOCKET

    assert Path(client_module.DEFAULT_SOCKET) == DEFAULT_SOCKET


def test_its_actions_are_the_daemons() -> None:
    from watchdog.vocabulary.signals import Action

    assert {"none", *client_module.ACTIONS} == {str(action) for action in Action}
