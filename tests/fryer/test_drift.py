"""A figure stands beside the one before it and the first, of the same device, burn and case."""

import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from fryer.drift import drifts, newest_runs
from watchdog.store import Figure
from watchdog.vocabulary.verdicts import Verdict


def a_figure(run: int, value: float, **more: str) -> Figure:
    figure = Figure(
        run_id=f"r{run}",
        started_at=f"2026-01-{run:02}T00:00:00Z",
        started_epoch_seconds=float(run),
        node="n1",
        device="gpu0",
        kind="cuda",
        part="H100",
        uuid="GPU-1",
        serial=None,
        burn="gemm",
        case="bf16",
        metric="flops_per_second",
        value=value,
        spread_ratio=0.0,
        digest=None,
        verdict=Verdict.PASS,
    )
    return replace(figure, **more)


def changes(figures: list[Figure]) -> list[tuple[float | None, float | None]]:
    return [(drift.change_from_previous_ratio, drift.change_from_first_ratio) for drift in drifts(figures)]


def test_changes_count_from_the_run_before_and_from_the_first() -> None:
    assert changes([a_figure(1, 100.0), a_figure(2, 50.0), a_figure(3, 75.0)]) == [
        (None, None),
        (-0.5, -0.5),
        (0.5, -0.25),
    ]


def test_a_device_a_burn_a_case_and_a_simulation_have_series_of_their_own() -> None:
    others = [
        {"uuid": "GPU-2"},
        {"burn": "hbm"},
        {"case": "fp16"},
        {"metric": "bytes_per_second"},
        {"kind": "simulated"},
    ]
    for other in others:
        assert changes([a_figure(1, 100.0), a_figure(2, 50.0, **other)]) == [(None, None)] * 2


def test_a_device_that_moved_to_another_node_is_still_the_same() -> None:
    assert changes([a_figure(1, 100.0), a_figure(2, 50.0, node="n2", device="gpu7")]) == [(None, None), (-0.5, -0.5)]


def test_a_figure_that_allows_no_ratio_has_no_change() -> None:
    assert changes([a_figure(1, 0.0), a_figure(2, math.nan), a_figure(3, 1.0)]) == [(None, None)] * 3


def test_fewer_runs_are_the_newest_and_still_count_from_the_first() -> None:
    figures = [a_figure(10, 50.0), a_figure(9, 100.0), a_figure(8, 100.0, uuid="GPU-2")]
    figures.sort(key=lambda figure: figure.started_epoch_seconds)
    shown = newest_runs(drifts(figures), 1)
    assert [(drift.figure.run_id, drift.change_from_first_ratio) for drift in shown] == [("r10", -0.5)]
    assert newest_runs(drifts(figures), 3) == drifts(figures)


@given(st.lists(st.tuples(st.floats(allow_nan=True), st.sampled_from("ab"))))
def test_no_figure_is_lost_and_each_series_keeps_its_order(drawn: list[tuple[float, str]]) -> None:
    figures = [a_figure(run, value, uuid=uuid) for run, (value, uuid) in enumerate(drawn, 1)]
    shown = [drift.figure.run_id for drift in drifts(figures)]
    assert shown == [figure.run_id for uuid in "ab" for figure in figures if figure.uuid == uuid]
