"""Real folders, real children; a mount that hangs is a child that is stopped."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from watchdog.collectors import Collected
from watchdog.collectors.storage import PROBE, Settings, Storage
from watchdog.vocabulary.errors import SourceMissing
from watchdog.vocabulary.subjects import Subject

NODE = "node001"
ENOUGH_SECONDS = 60.0


@pytest.fixture
def made() -> Iterator[list[Storage]]:
    collectors: list[Storage] = []
    yield collectors
    for collector in collectors:
        collector.close()


def storage(
    made: list[Storage], *paths: Path, deadline_seconds: float = ENOUGH_SECONDS, probe: Path = PROBE
) -> Storage:
    settings = Settings(paths=tuple(map(str, paths)), deadline_seconds=deadline_seconds)
    made.append(Storage(NODE, settings, probe))
    return made[-1]


def values(collected: Collected, path: Path | str) -> dict[str, float]:
    (found,) = [dict(row.values) for row in collected.rows if row.subject == Subject(NODE, "disk", str(path))]
    return found


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A file system of one page, which is full."""
    if os.geteuid() != 0:
        if os.environ.get("CI") == "true":
            pytest.fail("root is needed here, to mount")
        pytest.skip("needs root, to mount")
    folder = tmp_path / "full"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(folder)], check=True)
    (folder / "filler").write_bytes(b"x" * 4096)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_folder_shows_its_fill_its_latencies_and_keeps_nothing(made: list[Storage], tmp_path: Path) -> None:
    collected = storage(made, tmp_path).collect(5.0)
    found = values(collected, tmp_path)
    fill = os.statvfs(tmp_path)
    assert found["total_bytes"] == fill.f_blocks * fill.f_frsize
    assert 0 < found["free_bytes"] <= found["total_bytes"]
    assert all(found[f"{what}_latency_seconds"] > 0 for what in ("read", "write", "metadata"))
    assert (found["probe_failed"], found["storage_silent_seconds"]) == (0, 0)
    assert collected.events == ()
    assert list(tmp_path.iterdir()) == []


def test_facts_say_how_it_was_written_and_come_once(made: list[Storage], tmp_path: Path) -> None:
    collector = storage(made, tmp_path)
    facts = collector.collect(0.0).facts[Subject(NODE, "disk", str(tmp_path))]
    assert facts["probe_error"] == ""
    assert isinstance(facts["is_direct"], bool)
    assert collector.collect(1.0).facts == {}


def test_a_full_disk_is_a_level_and_no_event(made: list[Storage], full: Path) -> None:
    collected = storage(made, full).collect(0.0)
    found = values(collected, full)
    assert (found["free_bytes"], found["total_bytes"], found["probe_failed"]) == (0, 4096, 1)
    assert "write_latency_seconds" not in found
    assert collected.events == ()
    assert collected.facts[Subject(NODE, "disk", str(full))]["probe_error"] == os.strerror(errno.ENOSPC)


def test_a_disk_that_became_read_only_is_one_event(made: list[Storage], full: Path) -> None:
    (full / "filler").unlink()
    collector = storage(made, full)
    assert values(collector.collect(0.0), full)["probe_failed"] == 0
    subprocess.run(["mount", "-o", "remount,ro", str(full)], check=True)
    (event,) = collector.collect(1.0).events
    assert (event.kind, event.severity, event.subject.name) == ("io_error", "critical", str(full))
    assert event.message.endswith(os.strerror(errno.EROFS))
    assert collector.collect(2.0).events == ()


def test_a_folder_that_is_not_there_has_no_values_and_is_no_io_error(made: list[Storage], tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    collected = storage(made, missing, tmp_path).collect(0.0)
    assert values(collected, missing) == {"probe_failed": 1, "storage_silent_seconds": 0}
    assert values(collected, tmp_path)["probe_failed"] == 0
    assert collected.events == ()


@pytest.fixture
def stopper(tmp_path: Path) -> Path:
    """The probe, but that it stops itself before it touches a folder named "hung"."""
    path = tmp_path / "probe.py"
    begin = "    found: dict[str, object] = {}\n"
    stop = "    import signal\n    folder.endswith('hung') and os.kill(os.getpid(), signal.SIGSTOP)\n"
    path.write_text(PROBE.read_text(encoding="utf-8").replace(begin, begin + stop, 1), encoding="utf-8")
    for name in ("hung", "well"):
        (tmp_path / name).mkdir()
    return path


def test_a_folder_that_hangs_is_silent_and_gets_no_second_child(
    made: list[Storage], tmp_path: Path, stopper: Path
) -> None:
    hung, well = tmp_path / "hung", tmp_path / "well"
    collector = storage(made, hung, well, deadline_seconds=3.0, probe=stopper)
    first = collector.collect(0.0)
    child = collector._out[str(hung)].process.pid
    assert list(values(first, hung)) == ["storage_silent_seconds"]
    assert values(first, well)["probe_failed"] == 0
    second = collector.collect(1.0)
    assert collector._out[str(hung)].process.pid == child
    assert values(second, hung)["storage_silent_seconds"] > values(first, hung)["storage_silent_seconds"]
    os.kill(child, signal.SIGCONT)
    end = time.monotonic() + ENOUGH_SECONDS
    while values(collector.collect(2.0), hung)["storage_silent_seconds"] > 0:
        assert time.monotonic() < end


def test_a_child_that_was_killed_is_a_failed_probe_and_no_io_error(
    made: list[Storage], tmp_path: Path, stopper: Path
) -> None:
    hung = tmp_path / "hung"
    collector = storage(made, hung, deadline_seconds=0.1, probe=stopper)
    collector.collect(0.0)
    collector._out[str(hung)].process.kill()
    collector._out[str(hung)].process.wait()
    collected = collector.collect(1.0)
    assert values(collected, hung) == {"probe_failed": 1, "storage_silent_seconds": 0}
    assert collected.facts[Subject(NODE, "disk", str(hung))] == {"probe_error": "the probe ended with code -9"}
    assert collected.events == ()


def test_what_a_killed_child_left_is_no_hindrance(made: list[Storage], tmp_path: Path) -> None:
    (tmp_path / f".fryer-probe.{NODE}").write_text("left behind", encoding="utf-8")
    assert values(storage(made, tmp_path).collect(1.0), tmp_path)["probe_failed"] == 0
    assert list(tmp_path.iterdir()) == []


def test_a_link_that_somebody_laid_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("precious", encoding="utf-8")
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / f".fryer-probe.{NODE}").symlink_to(target)
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(PROBE), str(folder), NODE], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["is_same"] is True
    assert target.read_text(encoding="utf-8") == "precious"


def test_no_folder_is_no_such_source(made: list[Storage]) -> None:
    with pytest.raises(SourceMissing, match="no paths"):
        storage(made).collect(0.0)


def test_settings_want_absolute_paths_and_a_deadline_in_bounds() -> None:
    with pytest.raises(ValueError, match="'scratch'; allowed: absolute paths"):
        Settings(paths=("/data", "scratch"))
    with pytest.raises(ValueError, match="deadline_seconds is 0"):
        Settings(deadline_seconds=0)
