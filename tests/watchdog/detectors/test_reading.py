"""What detectors ask of a window."""

import pytest

from watchdog.detectors.reading import each, label, neighbours, number
from watchdog.vocabulary.samples import Window
from watchdog.vocabulary.subjects import Subject


def test_subjects_come_in_order_whoever_was_read_first(make):
    window = make.window(make.rows(make.gpu(2), 0, lost=0), make.rows(make.gpu(1), 0, lost=0))
    assert [subject for subject, _ in each(window, "lost")] == [make.gpu(1), make.gpu(2)]
    assert list(each(window, "unheard_of")) == []


@pytest.mark.parametrize(("value", "expected"), [(3, 3.0), (2.5, 2.5), ("3", None), (None, None), (float("nan"), None)])
def test_a_fact_is_a_number_or_nothing(make, value, expected):
    assert number(Window(now=0, facts={make.NODE: {"limit": value}}), make.NODE, "limit") == expected
    assert number(Window(now=0), make.NODE, "limit") is None


def test_people_call_a_gpu_by_its_index(make):
    assert label(Window(now=0, facts={make.gpu(3): {"index": 3}}), make.gpu(3)) == "gpu3"
    assert label(Window(now=0), make.gpu(3)) == "GPU-0003"
    assert label(Window(now=0), Subject("node001", "disk", "/data")) == "/data"
    assert label(Window(now=0), make.NODE) == "node001"


def test_neighbours_are_gpus_of_the_same_part_on_the_same_node(make):
    there = Subject("node002", "gpu", "GPU-9999")
    facts = {make.gpu(i): make.facts(i) for i in range(3)}
    window = Window(now=0, facts={**facts, make.gpu(3): make.facts(3, part="NVIDIA L4"), there: make.facts(0)})
    assert neighbours(window, make.gpu(1)) == [make.gpu(0), make.gpu(2)]
    assert neighbours(window, make.gpu(3)) == []
    assert neighbours(Window(now=0), make.gpu(1)) == []
