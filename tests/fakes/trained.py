"""A small real training as a user starts it: ``fryer train``, in processes of its own."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from small_plan import plan as small_plan
from small_plan import stage

from trainer.options import Options
from trainer.plan import CheckpointPlan, OptimizerPlan, Plan
from trainer.plan.json_form import to_json
from trainer.trace import Traced, read_trace

ROOT = Path(__file__).parents[2]
LAUNCH = """
import sys
from trainer.launch import launch
from trainer.options import parse_options
sys.exit(launch(parse_options(sys.argv[1]), int(sys.argv[2])))
"""


def tiny_plan(folder: Path, *, steps: int = 40, **checkpoints: Any) -> Plan:
    """Two layers, two stages, on a few kilobytes of text; a step takes some ten milliseconds."""
    text = folder / "text"
    text.mkdir(exist_ok=True)
    for number in range(40):
        words = (f"{(number * 7919 + place * place * 31) % 997:03d}" for place in range(200))
        (text / f"{number:02d}.txt").write_text(" ".join(words))
    return small_plan(
        stage("one", steps=steps // 2),
        stage("two", steps=steps - steps // 2, rope_theta=100_000.0, lr=5e-4, decay_steps=5),
        sources={"code": f"{text}/*.txt"},
        optimizer=OptimizerPlan(dtype="fp32"),
        checkpoints=CheckpointPlan(**{"every_steps": 5, "good_after_steps": 5} | checkpoints),
    )


@dataclass
class Trained:
    """One run."""

    folder: Path
    plan: Plan
    num_ranks: int = 1
    name: str = "run"

    @property
    def run(self) -> Path:
        return self.folder / self.name

    @property
    def _error_file(self) -> Path:
        return self.folder / f"{self.name}.err"

    @property
    def errors(self) -> str:
        """All that its processes have said."""
        return self._error_file.read_text()

    def options(self, **changes: Any) -> Options:
        file = self.folder / f"{self.name}.json"
        file.write_text(json.dumps(to_json(self.plan)))
        basic = Options(
            plan=file,
            run=self.run,
            data=self.folder / "data",
            device="cpu",
            trace=self.folder / f"{self.name}.trace",
            is_quiet=True,
            socket=self.folder / "no-daemon",
        )
        return replace(basic, **changes)

    def start(self, **changes: Any) -> "subprocess.Popen[bytes]":
        """A launcher, in a session of its own."""
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
        with self._error_file.open("a") as errors:
            return subprocess.Popen(
                [sys.executable, "-c", LAUNCH, self.options(**changes).to_text(), str(self.num_ranks)],
                env=environment,
                cwd=ROOT,
                stderr=errors,
                start_new_session=True,
            )

    def train(self, **changes: Any) -> int:
        """To the end; the exit code."""
        return self.start(**changes).wait(timeout=280)

    def steps_logged(self) -> int:
        """Lines of steps in metrics.jsonl."""
        path = self.run / "metrics.jsonl"
        return path.read_text().count('"step_done"') if path.exists() else 0

    def traced(self) -> dict[tuple[int, int], Traced]:
        return read_trace(self.folder / f"{self.name}.trace", self.num_ranks)

    def final(self) -> list[Traced]:
        """Of each rank after the last step."""
        traced = self.traced()
        return [traced[rank, self.plan.num_steps] for rank in range(self.num_ranks)]


def kill_tree(process: "subprocess.Popen[bytes]") -> None:
    """SIGKILL to the launcher; its ranks end with it."""
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
