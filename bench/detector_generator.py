"""Curves that are made up, so that their truth is exact: one kind of trouble each, from a seed.

The loss falls by a power law, as runs do; noise is relative, Gaussian or heavy-tailed (Student's t of 6 degrees). What
the noise itself throws beyond 4.5 of its robust deviations no rule can tell from a spike: it is doubtful.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.detector_curves import Curve, Span
from watchdog.detectors.training.words import Mark, MarkKind, Point, RankPoint

POINTS = 3000
DOUBTFUL = 4.5
GRAD_NOISE = 0.15


@dataclass(slots=True)
class Draft:
    """A healthy run, to be spoiled. Lists by step."""

    random: random.Random
    is_heavy: bool = False
    noise: float = 0.01
    loss: list[float] = field(default_factory=list)
    grad: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    truth: list[Span] = field(default_factory=list)
    doubtful: list[Span] = field(default_factory=list)

    def draw(self) -> float:
        """One noise, of robust deviation 1."""
        gauss = self.random.gauss(0, 1)
        if not self.is_heavy:
            return gauss
        return gauss / math.sqrt(self.random.gammavariate(3, 2) / 6) / 1.065

    def places(self, many: int, apart: int = 60, first: int = 300, left: int = 200) -> list[int]:
        """`many` steps at which something may happen, with so many steps `left`."""
        slots = range(first, POINTS - left, apart)
        return sorted(slot + self.random.randrange(apart // 2) for slot in self.random.sample(slots, many))

    def points(self) -> list[Point]:
        """As the detectors get them."""
        rows = zip(self.loss, self.grad, self.rate, strict=True)
        return [
            Point(step=step, tokens=step * 4096, loss=loss, grad_norm=grad, tokens_per_second=rate)
            for step, (loss, grad, rate) in enumerate(rows)
        ]


def healthy(seed: int, name: str) -> Draft:
    """Nothing wrong with it."""
    source = random.Random(f"{name} {seed}")
    draft = Draft(source, noise=source.choice([0.003, 0.006, 0.012, 0.02]))
    draft.is_heavy = "heavy" in name
    end, start, rate = source.uniform(1.8, 2.6), source.uniform(5, 8), source.uniform(5e3, 4e4)
    for step in range(POINTS):
        noise = draft.draw()
        if abs(noise) > DOUBTFUL:
            draft.doubtful.append((step, step))
        level = end + start / (1 + step / 8) ** 0.6
        draft.loss.append(level * (1 + draft.noise * noise))
        draft.grad.append(0.4 * (1 + 4 / (1 + step / 30)) * math.exp(source.gauss(0, GRAD_NOISE)))
        draft.rate.append(rate * (1 + 0.006 * source.gauss(0, 1)))
    return draft


def one_step_spikes(draft: Draft) -> None:
    """Batches that are odd: one step, 8 to 40 deviations."""
    for at in draft.places(8):
        draft.loss[at] *= 1 + draft.noise * draft.random.uniform(8, 40)
        draft.truth.append((at, at))


def led_spikes(draft: Draft) -> None:
    """As BLOOM's: the gradient norm rises some steps ahead, the loss falls back over ten to thirty."""
    for at in draft.places(4, apart=200):
        height, width = draft.random.uniform(0.2, 1.2), draft.random.randint(4, 10)
        for step in range(at - 4, at + 3 * width):
            far = step - at
            draft.grad[step] *= 4 ** min(far + 5, 5) if far <= 0 else 1 + 500 * math.exp(-far / width)
            if far >= 0:
                draft.loss[step] *= 1 + height * math.exp(-far / width)
        draft.truth.append((at - 4, at + width))
        draft.doubtful.append((at - 4, at + 6 * width))


def ramps(draft: Draft) -> None:
    """A slow divergence that does not end."""
    at = draft.places(1, first=1000, left=500)[0]
    slope = draft.noise * draft.random.uniform(0.05, 0.6)
    for step in range(at, POINTS):
        draft.loss[step] *= 1 + min(slope * (step - at), 2.0)
    draft.truth.append((at, POINTS))


def level_shifts(draft: Draft) -> None:
    """A new level, higher by 8 to 30 %, for good."""
    at = draft.places(1, first=800)[0]
    factor = 1 + draft.random.uniform(max(0.08, 8 * draft.noise), 0.30)
    for step in range(at, POINTS):
        draft.loss[step] *= factor
    draft.truth.append((at, at + 60))
    draft.doubtful.append((at, at + 250))


def nan_poison(draft: Draft) -> None:
    """One to three steps of NaN, and a spike soon after: whoever is poisoned misses it."""
    for at in draft.places(3, apart=300):
        for step in range(at, at + draft.random.randint(1, 3)):
            draft.loss[step] = draft.grad[step] = math.nan
        draft.truth.append((at, at))
        later = at + draft.random.randint(30, 90)
        draft.loss[later] *= 1 + draft.noise * draft.random.uniform(10, 40)
        draft.truth.append((later, later))


def latch_traps(draft: Draft) -> None:
    """A loss of exactly 0, and a level 25 to 40 % higher for good, with spikes on it."""
    zero, at = draft.places(2, apart=400)
    draft.loss[zero] = 0.0
    draft.truth.append((zero, zero))
    for step in range(at, POINTS):
        if step != zero:
            draft.loss[step] *= draft.random.uniform(1.30, 1.31)
    draft.truth.append((at, at + 60))
    draft.doubtful.append((at, at + 250))
    for step in (at + 260, at + 330):
        if step < POINTS - 10:
            draft.loss[step] *= 1 + draft.noise * draft.random.uniform(10, 40)
            draft.truth.append((step, step))


def stage_changes(draft: Draft) -> None:
    """Declared: other level, noise and speed. Nothing is wrong."""
    for at in draft.places(2, apart=500):
        factor, rate = draft.random.uniform(0.85, 1.25), draft.random.uniform(0.6, 1.3)
        for step in range(at, POINTS):
            draft.loss[step] *= factor
            draft.rate[step] *= rate
        draft.marks.append(Mark(kind=MarkKind.STAGE, start=at))


def resumes(draft: Draft) -> None:
    """Declared: steps that are trained again, and a first step that takes eight times as long. Nothing is wrong."""
    for at in draft.places(2, apart=500):
        draft.rate[at] /= 8
        draft.marks.append(Mark(kind=MarkKind.RESTART, start=at))
    draft.marks.append(Mark(kind=MarkKind.CHECKPOINT, start=2000, end=2003))
    for step in range(2000, 2004):
        draft.rate[step] *= 0.3


def nothing(draft: Draft) -> None:
    """Nothing is wrong."""


def drops(draft: Draft) -> None:
    """Throughput down to 0.02 to 0.7 for one to ten steps."""
    for at in draft.places(8):
        many, ratio = draft.random.randint(1, 10), draft.random.uniform(0.02, 0.7)
        for step in range(at, at + many):
            draft.rate[step] *= ratio
        draft.truth.append((at, at + many - 1))


def shifts(draft: Draft) -> None:
    """Throughput down to 0.5 to 0.93 for 200 to 800 steps."""
    at, many, ratio = draft.places(1)[0], draft.random.randint(200, 800), draft.random.uniform(0.5, 0.93)
    for step in range(at, min(at + many, POINTS)):
        draft.rate[step] *= ratio
    draft.truth.append((at, min(at + many, POINTS) - 1))


def drifts(draft: Draft) -> None:
    """Throughput that sinks by 3 to 5 % over the run."""
    lost = draft.random.uniform(0.03, 0.048)
    for step in range(POINTS):
        draft.rate[step] *= 1 - lost * step / POINTS
    draft.truth.append((0, POINTS))


def noisier(draft: Draft) -> None:
    """A loss that gets 1.6 to 2.5 times as noisy for good."""
    at = draft.places(1, first=1200, left=500)[0]
    factor = draft.random.uniform(1.6, 2.5)
    extra = draft.noise * math.sqrt(factor**2 - 1)
    for step in range(at, POINTS):
        draft.loss[step] *= 1 + extra * draft.random.gauss(0, 1)
    draft.truth.append((at, POINTS))


KINDS: dict[str, tuple[str, Callable[[Draft], None]]] = {
    "clean": ("clean", nothing),
    "clean-heavy": ("clean", nothing),
    "spikes": ("spike", one_step_spikes),
    "spikes-heavy": ("spike", one_step_spikes),
    "led-spikes": ("spike", led_spikes),
    "ramps": ("spike", ramps),
    "level-shifts": ("spike", level_shifts),
    "nan-poison": ("nonfinite", nan_poison),
    "latch-traps": ("spike", latch_traps),
    "stage-changes": ("clean", stage_changes),
    "resumes": ("clean", resumes),
    "noisier": ("noise", noisier),
    "drops": ("drop", drops),
    "shifts": ("shift", shifts),
    "drifts": ("drift", drifts),
}


def generated(seed: int) -> list[Curve]:
    """One curve of each kind."""
    curves = []
    for name, (kind, spoil) in KINDS.items():
        draft = healthy(seed, name)
        spoil(draft)
        curves.append(
            Curve(
                name=name,
                kind=kind,
                points=draft.points(),
                marks=draft.marks,
                truth=draft.truth,
                doubtful=draft.doubtful,
            )
        )
    return [*curves, stragglers(seed)]


def stragglers(seed: int) -> Curve:
    """32 ranks, one of which takes 8 to 60 % longer for 60 steps."""
    source = random.Random(f"stragglers {seed}")
    late, at, factor = source.randrange(32), source.randint(100, 200), source.uniform(1.08, 1.6)
    ranks = []
    for step in range(300):
        for rank in range(32):
            work = 0.4 * (1 + 0.01 * source.gauss(0, 1))
            if rank == late and at <= step < at + 60:
                work *= factor
            ranks.append(RankPoint(rank=rank, step=step, at_seconds=float(step), seconds=0.5, work_seconds=work))
    return Curve(name="stragglers", kind="straggler", points=[], ranks=ranks, truth=[(at, at + 59)])
