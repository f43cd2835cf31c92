"""What a run will do: pure and printable. Arguments become a `Plan`; the runner only carries it out."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from fryer.burns import BURNS
from fryer.collectives.choice import Choice
from fryer.devices import DTYPES
from watchdog.vocabulary.errors import UsageError, nearest
from watchdog.vocabulary.units import show_duration

SHORTEST_SECONDS = 1.0
"""Below this a per-second series has no second point."""
LONGEST_SECONDS = 30 * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One burn of the run, and how long it measures."""

    burn: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A run, resolved: the same plan on the same hardware measures the same."""

    nodes: tuple[str, ...]
    dtypes: tuple[str, ...]
    """Empty: all that the device multiplies natively."""
    phases: tuple[Phase, ...]
    seed: int
    memory_ratio: float | None
    """Share of the free memory that burns may use; None: what suits the burn and the device."""
    scenario: str | None = None
    """Path of the scenario that stands in for the hardware."""
    expected_gpus: int | None = None
    """GPUs that each node must have; None: as many as its PCI bus shows."""
    has_early_stop: bool = True
    """A node that fails clearly ends its burns early (`fryer.early_stop`)."""
    collectives: Choice | None = None
    """Of a run over many nodes: what is swept beside localisation; None: what suits the hardware."""

    @property
    def seconds(self) -> float:
        """How long all phases measure together."""
        return sum(phase.seconds for phase in self.phases)

    def repeat_command(self, node: str, burn: str) -> str:
        """The command that runs one burn of this plan again on one node, with the same data."""
        phase = next(p for p in self.phases if p.burn == burn)
        words = [
            "fryer",
            "run",
            "--nodes",
            node,
            "--burns",
            burn,
            "--duration",
            show_seconds(phase.seconds),
            "--seed",
            str(self.seed),
        ]
        if self.dtypes:
            words += ["--dtypes", ",".join(self.dtypes)]
        if self.memory_ratio is not None:
            words += ["--memory", str(self.memory_ratio)]
        if self.scenario:
            words += ["--simulate", self.scenario]
        if not self.has_early_stop:
            words.append("--no-early-stop")
        return shlex.join(words)


def show_seconds(seconds: float) -> str:
    """A duration that `parse_duration` reads back: ``4.2s``."""
    return f"{round(seconds, 3):f}".rstrip("0").rstrip(".") + "s"


def make_plan(  # noqa: PLR0913 - one argument an option
    *,
    nodes: Sequence[str],
    seconds: float,
    dtypes: Sequence[str],
    burns: Sequence[str],
    seed: int,
    memory_ratio: float | None,
    scenario: str | None,
    expected_gpus: int | None = None,
    has_early_stop: bool = True,
    collectives: Choice | None = None,
) -> Plan:
    """Check every argument and share the duration among the burns; raises `UsageError` for the first that is wrong."""
    if not nodes:
        raise UsageError("--nodes names no node; write for example --nodes localhost")
    if not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
        raise UsageError(f"--duration {show_duration(seconds)} is outside what can be measured; give 1s to 30d")
    if memory_ratio is not None and not 0 < memory_ratio < 1:
        raise UsageError(f"--memory {memory_ratio} is no share of the free memory; give a number between 0 and 1")
    for dtype in dtypes:
        if dtype not in DTYPES:
            raise UsageError(f"--dtypes: unknown dtype {dtype!r}{nearest(dtype, DTYPES)}")
    for burn in burns:
        if burn not in BURNS:
            raise UsageError(f"--burns: unknown burn {burn!r}{nearest(burn, BURNS)}")
    chosen = [name for name in BURNS if name in burns] if burns else list(BURNS)
    total_share = sum(BURNS[name].share for name in chosen)
    phases = tuple(Phase(burn=name, seconds=seconds * BURNS[name].share / total_share) for name in chosen)
    return Plan(
        nodes=tuple(nodes),
        dtypes=tuple(dict.fromkeys(dtypes)),
        phases=phases,
        seed=seed,
        memory_ratio=memory_ratio,
        scenario=scenario,
        expected_gpus=expected_gpus,
        has_early_stop=has_early_stop,
        collectives=collectives,
    )
