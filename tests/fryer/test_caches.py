import os

import pytest

from fryer.caches import UNKNOWN_BYTES, last_level_cache_bytes


@pytest.fixture
def cpus(tmp_path, monkeypatch):
    """Four processors: own caches at level 2, and a level 3 for each pair."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    for processor in range(4):
        for index, level, size, shared in (
            (2, 2, "1024K", f"{processor}"),
            (3, 3, "32M", "0-1" if processor < 2 else "2-3"),
        ):
            folder = tmp_path / f"devices/system/cpu/cpu{processor}/cache/index{index}"
            folder.mkdir(parents=True)
            (folder / "level").write_text(f"{level}\n")
            (folder / "size").write_text(f"{size}\n")
            (folder / "shared_cpu_list").write_text(f"{shared}\n")
    return tmp_path


def test_each_last_level_cache_counts_once(cpus):
    assert last_level_cache_bytes(cpus) == 64 << 20


def test_caches_of_processors_that_we_may_not_use_do_not_count(cpus, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    assert last_level_cache_bytes(cpus) == 32 << 20


def test_a_machine_that_tells_nothing_is_taken_for_a_large_one(tmp_path):
    assert last_level_cache_bytes(tmp_path) == UNKNOWN_BYTES
