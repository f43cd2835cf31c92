"""Curves whose truth is known: the captured ones with their labels. Data in, no judgement."""

import csv
import json
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from watchdog.detectors.training.words import Mark, Point, RankPoint

DATA = Path(__file__).parents[1] / ".." / "shared" / "data"
LABELS = Path(__file__).with_name("detector_labels.toml")

Span = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A series with its truth."""

    name: str
    kind: str
    """Of what is labelled: ``spike nonfinite noise offset drop shift drift straggler``, or ``clean``."""
    points: list[Point]
    marks: list[Mark] = field(default_factory=list)
    truth: list[Span] = field(default_factory=list)
    doubtful: list[Span] = field(default_factory=list)
    """Neither has to be found, nor is wrong to find."""
    reference: list[Point] = field(default_factory=list)
    ranks: list[RankPoint] = field(default_factory=list)
    """For stragglers, in place of points."""


def captured() -> list[Curve]:
    """Every labelled curve; FileNotFoundError where the data are not beside the repository."""
    return [_curve(entry) for entry in tomllib.loads(LABELS.read_text())["curve"]]


def _curve(entry: dict) -> Curve:
    spans = {name: [(int(first), int(last)) for first, last in entry[name]] for name in ("truth", "doubtful")}
    path = DATA / entry["file"]
    if entry["kind"] == "straggler":
        return Curve(name=entry["name"], kind="straggler", points=[], ranks=_workers(path), **spans)
    read = READERS[path.name]
    reference = read(path, entry["reference"], entry["metric"]) if "reference" in entry else []
    points = read(path, entry["series"], entry["metric"])
    return Curve(name=entry["name"], kind=entry["kind"], points=points, reference=reference, **spans)


@cache
def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _long(path: Path, series: str, metric: str) -> list[Point]:
    """One row a point, the run's name in a column."""
    points = []
    for row in _rows(path):
        if row["run_name"] != series:
            continue
        place = int(float(row["tokens"] if "tokens" in row else row["step"]))
        value = float(row["loss"] if metric == "loss" else row["throughput"])
        points.append(Point(step=place, tokens=place if "tokens" in row else None, **{metric: value}))
    return points


def _wide(path: Path, series: str, metric: str) -> list[Point]:
    """One column a run."""
    return [Point(step=int(row["Step"]), **{metric: float(row[series])}) for row in _rows(path) if row[series]]


def _lines(pattern: str) -> Callable[[Path, str, str], list[Point]]:
    """Lines of a log: step, loss, and a gradient norm where there is a third group."""
    compiled = re.compile(pattern)

    def read(path: Path, _series: str, _metric: str) -> list[Point]:
        found = compiled.finditer(path.read_text())
        return [
            Point(step=int(each[1]), loss=float(each[2]), grad_norm=float(each[3]) if compiled.groups > 2 else None)
            for each in found
        ]

    return read


def _golden(path: Path, series: str, metric: str) -> list[Point]:
    """Megatron's golden values; the string "nan" stands for a value that was not logged (SOURCES.md)."""
    values = json.loads(path.read_text())[series]["values"]
    return [Point(step=int(step), **{metric: float(value)}) for step, value in values.items() if value != "nan"]


def _trainer_state(path: Path, _series: str, _metric: str) -> list[Point]:
    rows = json.loads(path.read_text())["log_history"]
    return [Point(step=row["step"], loss=row["loss"], grad_norm=row["grad_norm"]) for row in rows if "loss" in row]


def _workers(path: Path) -> list[RankPoint]:
    return [
        RankPoint(
            rank=int(row["worker"]),
            step=int(row["time"]),
            at_seconds=float(row["time"]),
            seconds=float(row["batch_time_norm"]),
        )
        for row in _rows(path)
    ]


READERS: dict[str, Callable[[Path, str, str], list[Point]]] = {
    "smollm3_spike_loss.csv": _long,
    "smollm3_wsd_loss.csv": _long,
    "smollm3_nope_loss.csv": _long,
    "smollm3_tp_debug_fix_loss.csv": _long,
    "smollm3_throughput_weka_drops.csv": _long,
    "smollm3_throughput_debug_1node_full.csv": _long,
    "smollm3_megatron_vs_nanosets_plt.csv": _wide,
    "megatron_mixtral8x7b_a100.json": _golden,
    "hf_metamath_trainer_state.json": _trainer_state,
    "moddednanogpt_1B_ad8d7ae5.log": _lines(r"step:(\d+)/\d+ train_loss:(\S+)"),
    "minlora_gpt2_fp16_nan.log": _lines(r"iter (\d+): loss ([^,\s]+)"),
    "bloom176b_spike_31214_31251.log": _lines(r"iteration +(\d+)/.*?lm loss: (\S+) \| grad norm: (\S+)"),
}
