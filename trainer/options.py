"""What a run is asked to do beside its plan; travels to ranks as JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from trainer.ledger import Skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """One start of a training."""

    plan: Path
    """TOML, or a resolved one in JSON."""
    run: Path
    """The run's directory: checkpoints, metrics, data that was prepared."""
    data: Path | None = None
    """Where prepared data are kept; None: in the run's directory."""
    device: str = "auto"
    until: int | None = None
    """Stop after this step, with a checkpoint; None: the plan's last."""
    begin_at: int | None = None
    """Without a checkpoint, begin with this step and fresh weights: for proving that a resume is exact at a place."""
    rewind_after: int | None = None
    """Once, after this step, go back to the newest state in memory and make the steps again: the same proof."""
    skips: tuple[Skip, ...] = ()
    """Added to the ledger."""
    trace: Path | None = None
    """Write the bits of each step there."""
    is_quiet: bool = False
    socket: Path | None = None
    """Of the node's daemon; None: the usual one."""

    def to_text(self) -> str:
        """As one line."""
        fields = asdict(self)
        return json.dumps({name: str(value) if isinstance(value, Path) else value for name, value in fields.items()})


def parse_options(text: str) -> Options:
    """What `Options.to_text` made."""
    fields: Mapping[str, object] = json.loads(text)
    paths = {name: Path(str(fields[name])) for name in ("plan", "run", "data", "trace", "socket") if fields.get(name)}
    skips = fields["skips"]
    assert isinstance(skips, list)
    rest = {name: value for name, value in fields.items() if name not in {*paths, "skips"}}
    return Options(**(rest | paths), skips=tuple(Skip(**skip) for skip in skips))  # type: ignore[arg-type]
