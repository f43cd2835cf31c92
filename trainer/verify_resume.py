"""Proof that a resume is exact: the same steps with and without a break in between, compared to the bit.

Each case is one way of saving and going on. A run that is undisturbed and one that ends and begins anew in other
processes must agree in each loss, gradient norm, batch and state of the generators, and in the weights and moments at
the end. The plan's own model, data and stages are used; its steps only around the places that matter.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TextIO

from trainer.launch import launch
from trainer.ledger import Skip
from trainer.options import Options
from trainer.plan import CheckpointPlan, ParallelPlan, Plan
from trainer.plan.json_form import to_json
from trainer.plan.position import last_step_of, place_of
from trainer.trace import Traced, read_trace
from watchdog.vocabulary.errors import FryerError, UsageError

BEFORE, AFTER = 3, 3
"""Steps before and after the break."""
RESHARD_TOLERANCE = 1e-3
"""Of the loss, relative, after a change of layout: another order of sums, over `AFTER` steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One break."""

    name: str
    begin: int
    """First step, with fresh weights."""
    stop: int
    """The break comes after it."""
    is_in_place: bool = False
    """No new process: at the end it goes back to the state in memory of `stop`."""
    end: int
    checkpoints: CheckpointPlan
    skips: tuple[Skip, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What came of one case in one layout."""

    case: str
    layout: str
    is_equal: bool
    steps: int
    differences: tuple[str, ...] = ()
    """The first few, in words."""


def layouts_of(plan: Plan, names: Sequence[str]) -> dict[str, tuple[ParallelPlan, int]]:
    """By name: the layout and its ranks. Raises `UsageError` for an unknown name."""
    alone = replace(plan.parallel, tensor=1, pipeline=1, context=1, sequence=False)
    known = {
        "plan": (plan.parallel, plan.parallel.tensor * plan.parallel.pipeline * plan.parallel.context),
        "dp2": (alone, 2),
        "tp2": (replace(alone, tensor=2), 2),
        "pp2": (replace(alone, pipeline=2), 2),
        "cp2": (replace(alone, context=2), 2),
    }
    for name in names:
        if name not in known:
            raise UsageError(f"--layouts names {name!r}; known: {', '.join(known)}")
    return {name: known[name] for name in names}


def cases_of(plan: Plan, directory: Path) -> list[Case]:
    """Each way of saving, a break inside a skipped range, and one at the border of two stages."""
    stop, end = BEFORE, BEFORE + AFTER
    off = replace(
        plan.checkpoints,
        directory=Path("checkpoints"),
        every_steps=0,
        local_every_steps=0,
        memory_every_steps=0,
        local_directory=directory / "local",
        keep_last=2,
    )
    sync = replace(off, every_steps=stop, is_async=False)
    found = [
        Case(name="durable, sync", begin=1, stop=stop, end=end, checkpoints=sync),
        Case(name="durable, async", begin=1, stop=stop, end=end, checkpoints=replace(sync, is_async=True)),
        Case(name="node-local", begin=1, stop=stop, end=end, checkpoints=replace(off, local_every_steps=stop)),
        Case(
            name="memory, in place",
            begin=1,
            stop=stop,
            end=end,
            checkpoints=replace(off, memory_every_steps=stop, memory_keep=2),
            is_in_place=True,
        ),
        Case(
            name="inside a skipped range",
            begin=1,
            stop=stop,
            end=end,
            checkpoints=sync,
            skips=(_skip(plan, stop, stop + 1),),
        ),
    ]
    if len(plan.stages) > 1:
        border = last_step_of(plan, 0)
        begin = max(1, border - BEFORE + 1)
        found.append(
            Case(
                name="border of stages",
                begin=begin,
                stop=border,
                end=border + AFTER,
                checkpoints=replace(sync, every_steps=border),
            )
        )
    return found


def _skip(plan: Plan, first: int, last: int) -> Skip:
    """Of the samples of two steps of one stage."""
    place, end = place_of(plan, first), place_of(plan, last)
    return Skip(
        stage=plan.stages[place.stage].name,
        first=place.first_sample,
        end=end.first_sample + end.num_samples,
        incident="verify-resume",
    )


def verify(
    plan: Plan, options: Options, layouts: Sequence[str], *, print_line: Callable[[str], None]
) -> list[Compared]:
    """Run every case in every layout, and reshard between them. Takes some seconds a case; keeps nothing but data."""
    wanted = layouts_of(plan, layouts)
    if plan.num_steps < BEFORE + AFTER:
        raise UsageError(f"the plan has {plan.num_steps} steps; --verify-resume needs {BEFORE + AFTER}")
    found: list[Compared] = []
    data = options.data or options.run / "data"
    with TemporaryDirectory(prefix="fryer-verify-") as name:
        bench = _Bench(plan, replace(options, data=data), Path(name), print_line)
        for layout, (parallel, num_ranks) in wanted.items():
            found += bench.layout(layout, parallel, num_ranks)
        found += bench.reshard(wanted)
    return found


class _Bench:
    def __init__(self, plan: Plan, options: Options, directory: Path, print_line: Callable[[str], None]) -> None:
        self._plan = plan
        self._options = options
        self._directory = directory
        self._print_line = print_line

    def layout(self, layout: str, parallel: ParallelPlan, num_ranks: int) -> list[Compared]:
        """All cases in one layout; cases whose undisturbed run is the same share it."""
        plan = replace(self._plan, parallel=parallel)
        found = []
        whole: dict[tuple[int, int, tuple[Skip, ...]], dict[tuple[int, int], Traced]] = {}
        for number, case in enumerate(cases_of(plan, self._directory)):
            key = (case.begin, case.end, case.skips)
            home = self._directory / f"{layout}-{number}"
            if key not in whole:
                off = replace(case.checkpoints, every_steps=0, local_every_steps=0)
                never = replace(case, checkpoints=off, is_in_place=False)
                whole[key] = self._run(plan, never, home / "whole", (case.end,), num_ranks)
            ends = (case.end,) if case.is_in_place else (case.stop, case.end)
            broken = self._run(plan, case, home / "broken", ends, num_ranks)
            found.append(compare(case, layout, whole[key], broken))
            self._print_line(sentence(found[-1]))
        return found

    def reshard(self, layouts: dict[str, tuple[ParallelPlan, int]]) -> list[Compared]:
        """From one durable checkpoint of the first layout into each other one: the losses agree."""
        names = list(layouts)
        if len(names) < 2:
            return []
        case = cases_of(self._plan, self._directory)[0]
        home = self._directory / "reshard"
        first, num_ranks = layouts[names[0]]
        stay = self._run(replace(self._plan, parallel=first), case, home / "stay", (case.stop, case.end), num_ranks)
        found = []
        for name in names[1:]:
            parallel, ranks = layouts[name]
            shutil.copytree(home / "stay", home / name)
            self._drop_after(home / name, case.stop)
            moved = self._run(replace(self._plan, parallel=parallel), case, home / name, (case.end,), ranks)
            found.append(close_enough(f"from {names[0]} to {name}", name, stay, moved, case))
            self._print_line(sentence(found[-1]))
        return found

    def _drop_after(self, run: Path, step: int) -> None:
        """Later checkpoints of a copied run, its metrics and traces."""
        for path in (run / "checkpoints").glob("step_*"):
            if int(path.name.removeprefix("step_")) > step:
                shutil.rmtree(path)
        for path in (*run.glob("trace.*"), *run.glob("metrics.jsonl")):
            path.unlink()

    def _run(
        self, plan: Plan, case: Case, home: Path, ends: Sequence[int], num_ranks: int
    ) -> dict[tuple[int, int], Traced]:
        """One run in as many starts as `ends` has."""
        home.mkdir(parents=True, exist_ok=True)
        changed = replace(
            plan,
            checkpoints=replace(case.checkpoints, local_directory=home / "local"),
            evaluation=replace(plan.evaluation, every_steps=0, command=""),
        )
        file = home / "given.json"
        file.write_text(json.dumps(to_json(changed)), encoding="utf-8")
        for end in ends:
            options = replace(
                self._options,
                plan=file,
                run=home,
                until=end,
                begin_at=case.begin,
                rewind_after=case.end if case.is_in_place else None,
                skips=case.skips,
                trace=home / "trace",
                is_quiet=True,
            )
            code = launch(options, num_ranks)
            if code:
                raise FryerError(f"--verify-resume: {case.name}: the run up to step {end} ended with exit code {code}")
        return read_trace(home / "trace", num_ranks)


def compare(
    case: Case, layout: str, whole: dict[tuple[int, int], Traced], broken: dict[tuple[int, int], Traced]
) -> Compared:
    """Bit by bit. A step that either lacks is a difference."""
    differences = []
    for key in sorted(whole.keys() | broken.keys()):
        rank, step = key
        one, other = whole.get(key), broken.get(key)
        if one is None or other is None:
            differences.append(f"rank {rank}, step {step}: only in one of them")
            continue
        for name, value in asdict(one).items():
            theirs = getattr(other, name)
            # weights and moments are told at the end only, of each start
            if value != theirs and value and theirs:
                differences.append(f"rank {rank}, step {step}: {name} {value} and {theirs}")
    last = [traced for (_, step), traced in broken.items() if step == case.end]
    if not last or any(not traced.weights for traced in last):
        differences.append(f"no weights at step {case.end}")
    return Compared(
        case=case.name,
        layout=layout,
        is_equal=not differences,
        steps=len({step for _, step in broken}),
        differences=tuple(differences[:5]),
    )


def close_enough(
    name: str, layout: str, stay: dict[tuple[int, int], Traced], moved: dict[tuple[int, int], Traced], case: Case
) -> Compared:
    """Losses within `RESHARD_TOLERANCE` after a change of layout."""
    differences, steps = [], range(case.stop + 1, case.end + 1)
    for step in steps:
        if (0, step) not in moved:
            differences.append(f"step {step} is missing")
            continue
        one, other = (float.fromhex(traces[0, step].loss) for traces in (stay, moved))
        if not abs(one - other) <= RESHARD_TOLERANCE * abs(one):
            differences.append(f"step {step}: loss {one:.6f} and {other:.6f}")
    return Compared(
        case=name, layout=layout, is_equal=not differences, steps=len(steps), differences=tuple(differences)
    )


def sentence(found: Compared) -> str:
    """For a person."""
    word = "equal" if found.is_equal else "DIFFERS"
    why = f": {'; '.join(found.differences)}" if found.differences else ""
    return f"{found.layout:5} {found.case:26} {word} over {found.steps} steps{why}"


def show(found: Sequence[Compared], out: TextIO, *, as_json: bool) -> None:
    """All of it, and a last line."""
    if as_json:
        document = {"schema": "fryer.verify_resume", "version": 1, "cases": [asdict(each) for each in found]}
        out.write(json.dumps(document) + "\n")
        return
    out.writelines(f"{sentence(each)}\n" for each in found)
    bad = sum(not each.is_equal for each in found)
    out.write(f"{len(found) - bad} of {len(found)} as they should be\n")
