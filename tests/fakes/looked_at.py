"""Tiny models that are looked at, by the checks of the start or on held-out documents; run by `trainer_ranks`."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from model_lab import LENGTH, MODEL, Lab, Meeting, plan_of

from trainer.plan import EvaluationPlan, Plan

HELD_OUT = {"code": 20, "empty": 0, "few": 3, "text": 16}
"""Sequences by source. Two steps of the stage have 16."""
NORM = "decoder.layers.1.input_layernorm.weight"
MATRIX = "decoder.layers.1.mlp.linear_fc2.weight"
END = 0


class OnDevice:
    """A device that isn't a processor to the builder: weights are then drawn as on a GPU, each rank its own part."""

    kind = "other"

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class OneSeed(OnDevice):
    """And all ranks have one seed, as if each were the first."""

    def seed(self, seed: int, **_: int) -> None:
        self._real.seed(seed, tensor_rank=0, pipeline_rank=0)


def two_start(place: dict[str, Any]) -> dict[str, str]:
    """What the checks say of two ranks, by case."""
    meeting = Meeting(place, "cpu")
    real = meeting.device
    found = {}
    for name, parallel in {"dp": {}, "tp": {"tensor": 2}, "pp": {"pipeline": 2}}.items():
        for where, device in {"": real, ", drawn on device": OnDevice(real), ", one seed": OneSeed(real)}.items():
            meeting.device = device
            with meeting.lab(plan_of(**parallel)) as lab:
                found[name + where] = checked(lab)
        meeting.device = real
        with meeting.lab(plan_of(**parallel)) as lab:
            _change(lab, place, NORM if name == "tp" else MATRIX)
            found[f"{name}, changed"] = checked(lab)
    with meeting.lab(plan_of()) as lab:
        found["other versions"] = checked(lab, versions={"torch": "1", "numpy": str(place["rank"])})
    return found


def three_start(place: dict[str, Any]) -> str:
    """Of three pipeline stages with one seed: the second and the third draw the same layers."""
    meeting = Meeting(place, "cpu")
    meeting.device = OneSeed(meeting.device)
    with meeting.lab(plan_of({"layers": 3}, pipeline=3)) as lab:
        return checked(lab)


def checked(lab: Lab, versions: dict[str, str] | None = None) -> str:
    """What the checks of the start complain of."""
    from trainer.startup import Inconsistent, check_versions, check_weights

    try:
        check_versions(versions or {"torch": "1"})
        check_weights(lab.built)
    except Inconsistent as error:
        return str(error)
    return ""


def _change(lab: Lab, place: dict[str, Any], name: str) -> None:
    """One element, on the last rank."""
    weights = dict(lab.model.named_parameters())
    if place["rank"] == 1 and name in weights:
        with torch.no_grad():
            weights[name].view(-1)[-1] += 1e-3


class Sequences:
    """Made up: a function of source and index."""

    def __init__(self, source: str, num: int) -> None:
        self._source, self._num = sum(source.encode()), num

    def __len__(self) -> int:
        return self._num

    def sequence(self, index: int) -> np.ndarray:
        return np.random.default_rng((self._source, index)).integers(0, MODEL.vocabulary, LENGTH + 1)


class Data:
    """In the place of `StageData`."""

    sources = tuple(HELD_OUT)

    def held_out(self, source: str) -> Any:
        from trainer.data.stage_data import HeldOut

        return HeldOut(source, Sequences(source, HELD_OUT[source]), END)


def seen(lab: Lab) -> dict[str, float]:
    from trainer.evaluation.held_out import evaluate

    return dict(evaluate(lab.built, Data(), lab.plan, lab.stage, lab.device))


def wanted(model: dict[str, Any] | None = None, **parallel: Any) -> Plan:
    plan = replace(plan_of(model, **parallel), evaluation=EvaluationPlan(batches=2))
    return replace(plan, sources={name: replace(plan.sources["code"], name=name) for name in HELD_OUT})


def trained(meeting: Meeting, *, is_looked_at: bool) -> dict[str, Any]:
    """Three steps with dropout, and an evaluation after each if it is told to: the bits of all."""
    with meeting.lab(wanted({"dropout": 0.1})) as lab:
        steps, between = [], []
        for _ in range(3):
            steps.append(lab.step())
            between += [seen(lab)] if is_looked_at else []
        found = {"after": seen(lab), "again": seen(lab), "digest": lab.digest(), "steps": steps, "between": between}
        return found | {"is_training": all(chunk.training for chunk in lab.built.chunks)}


def held_out(place: dict[str, Any], layouts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Losses by layout; and a training, looked at and not."""
    meeting = Meeting(place, "cpu")
    found: dict[str, Any] = {}
    for name, parallel in layouts.items():
        with meeting.lab(wanted(**parallel)) as lab:
            found[name] = seen(lab)
    return found | {name: trained(meeting, is_looked_at=name == "looked at") for name in ("looked at", "left alone")}
