"""Plans for tests: a small one as a document that is right, and strategies for any."""

import copy
import math
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from trainer.plan import Decay, ModelPlan, OptimizerPlan, ParallelPlan, Plan, Source, Stage, Tokenizer
from trainer.plan.read import parse_plan

A_PLAN: dict[str, Any] = {
    "name": "small",
    "seed": 6,
    "model": {"layers": 4, "hidden": 64, "heads": 4, "kv_heads": 2, "mlp_hidden": 128, "vocabulary": 512},
    "tokenizer": {"kind": "bpe", "vocabulary": 500},
    "sources": {"web": {"text": "web/*.txt"}, "code": {"dataset": "data/code"}},
    "stage": [
        {
            "name": "one",
            "steps": 60,
            "sequence_length": 32,
            "batch": 8,
            "mixture": {"web": 0.9, "code": 0.1},
            "lr": 1e-3,
            "warmup_steps": 10,
        },
        {
            "name": "two",
            "steps": 40,
            "sequence_length": 32,
            "batch": 8,
            "mixture": {"code": 1.0},
            "lr": 1e-3,
            "decay_steps": 30,
        },
    ],
}
HOME = Path("/plans")


def document(**changes: Any) -> dict[str, Any]:
    """`A_PLAN` with other values: ``model__layers=3``, ``stage__1__batch=4``; None takes a key away."""
    found = copy.deepcopy(A_PLAN)
    for path, value in changes.items():
        at: Any = found
        *parents, last = (int(part) if part.isdigit() else part for part in path.split("__"))
        for part in parents:
            at = at[part] if isinstance(at, list) else at.setdefault(part, {})
        if value is None:
            del at[last]
        else:
            at[last] = value
    return found


def a_plan(**changes: Any) -> Plan:
    """The plan of `document`."""
    return parse_plan(document(**changes), file="plan.toml", home=HOME)


_names = st.from_regex(r"[a-z][a-z0-9_]{0,6}", fullmatch=True)


@st.composite
def mixtures(draw: st.DrawFn, names: list[str]) -> dict[str, float]:
    """Weights of hundredths that sum to 1 exactly."""
    chosen = draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    cuts = sorted(draw(st.lists(st.integers(0, 100), min_size=len(chosen) - 1, max_size=len(chosen) - 1)))
    ends = [0, *cuts, 100]
    return {name: (after - before) / 100 for name, before, after in zip(chosen, ends, ends[1:], strict=False)}


@st.composite
def stages(draw: st.DrawFn, name: str, sources: list[str], largest: int = 40) -> Stage:
    """Any stage that holds by itself."""
    steps = draw(st.integers(1, largest))
    warmup = draw(st.integers(0, steps))
    lr = draw(st.floats(1e-6, 1.0))
    return Stage(
        name=name,
        steps=steps,
        sequence_length=32 * draw(st.integers(1, 4)),
        batch=draw(st.integers(1, 4)),
        mixture=draw(mixtures(sources)),
        lr=lr,
        warmup_steps=warmup,
        lr_start=lr * draw(st.floats(0, 1)),
        decay_steps=draw(st.integers(0, steps - warmup)),
        lr_end=lr * draw(st.floats(0, 1)),
        decay=draw(st.sampled_from(Decay)),
        rope_theta=draw(st.floats(2, 1e7)),
        fresh_optimizer=draw(st.booleans()),
    )


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Any small plan."""
    names = draw(st.lists(_names, min_size=1, max_size=3, unique=True))
    stage_names = draw(st.lists(_names, min_size=1, max_size=4, unique=True))
    kv_heads = draw(st.integers(1, 3))
    heads = kv_heads * draw(st.integers(1, 3))
    file = draw(st.sampled_from([None, Path("/plans/tokenizer.json")]))
    return Plan(
        name=draw(_names),
        seed=draw(st.integers(0, 2**31 - 1)),
        model=ModelPlan(
            layers=draw(st.integers(1, 4)),
            hidden=2 * heads * draw(st.integers(1, 4)),
            heads=heads,
            kv_heads=kv_heads,
            mlp_hidden=draw(st.integers(1, 64)),
            vocabulary=128 * draw(st.integers(4, 6)),
            tied_embeddings=draw(st.booleans()),
            nope_every=draw(st.integers(0, 4)),
            qk_norm=draw(st.booleans()),
        ),
        optimizer=OptimizerPlan(z_loss=draw(st.sampled_from([0.0, 1e-5, 1e-4])), dtype=draw(st.sampled_from(_DTYPES))),
        parallel=ParallelPlan(recompute=draw(st.sampled_from(["none", "selective", "full"]))),
        tokenizer=Tokenizer(kind="bpe", vocabulary=300, file=file, end_of_document=draw(st.text(min_size=1))),
        sources={name: _source(draw, name) for name in names},
        stages=tuple(draw(stages(name, names)) for name in stage_names),
    )


_DTYPES = ("bf16", "fp32")


def _source(draw: st.DrawFn, name: str) -> Source:
    tokens = draw(st.none() | st.integers(1, 10**12))
    held_out = draw(st.integers(0, 99)) / 100
    if draw(st.booleans()):
        return Source(name=name, dataset=Path("/plans") / name, tokens=tokens, held_out=held_out)
    text = "/plans/" + draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=5)) + "*.txt"
    return Source(name=name, text=text, tokens=tokens, held_out=held_out)


def total(weights: dict[str, float]) -> float:
    """Of a mixture."""
    return math.fsum(weights.values())
