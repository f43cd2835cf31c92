"""What a column holds, by its name: the table of synonyms, and points made of rows by it. Pure.

Names are compared in small letters, with every row of other characters than letters and digits as one ``_``:
``train/loss`` is ``train_loss``. Of several columns that fit a field the one whose name stands first here is taken.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from fryer.replay.words import Unreadable
from watchdog.vocabulary.errors import UsageError, nearest

_FIELDS = {
    "step": "step global_step iteration iter train_step trainer_global_step train_global_step training_step "
    "num_updates update opt_step optimizer_step current_iteration time",
    "tokens": "total_tokens tokens_seen consumed_tokens train_tokens num_input_tokens_seen consumed_train_tokens "
    "tokens_total throughput_total_tokens train_total_tokens train_num_input_tokens_seen num_tokens tokens",
    "at_seconds": "at_seconds at timestamp unix_time wall_time",
    "loss": "loss train_loss training_loss lm_loss train_lm_loss reduced_train_loss cross_entropy train_cross_entropy "
    "train_cross_entropy_loss train_ce_loss ce_loss loss_train train_loss_step loss_metrics_global_avg_loss "
    "total_loss value",
    "grad_norm": "grad_norm gradient_norm train_grad_norm gnorm total_grad_norm global_grad_norm "
    "optim_total_grad_norm l2_norm_grad_global norm",
    "update_norm": "update_norm train_update_norm l2_norm_update_global",
    "loss_scale": "loss_scale train_loss_scale grad_scale",
    "tokens_per_second": "tokens_per_second throughput tokens_per_sec tokens_sec tokens_s tok_sec tok_s tps tgs wps "
    "tokens_per_second_per_gpu tokens_per_sec_per_gpu throughput_tokens_per_sec throughput_device_tokens_per_sec "
    "throughput_tps samples_per_second samples_per_sec throughput_samples_per_sec steps_per_second "
    "iterations_per_second throughput_per_gpu_tflop_s_gpu tflops",
    "seconds": "seconds step_time step_seconds iteration_time iter_time time_per_iteration "
    "elapsed_time_per_iteration_s elapsed_time_per_iteration_ms train_step_timing_in_s step_time_ms dt dt_ms "
    "batch_time batch_time_norm",
    "rank": "rank worker global_rank",
    "batch": "batch batch_digest",
    "run": "run_name run run_id name experiment exp series",
}
FIELDS: Mapping[str, tuple[str, ...]] = MappingProxyType({key: tuple(names.split()) for key, names in _FIELDS.items()})
"""Field of a point -> the names by which its column is known, best first."""
VALUES = ("loss", "grad_norm", "update_norm", "loss_scale", "tokens_per_second", "seconds")
"""Fields that are judged: a file needs one of them, and `step` or `tokens`."""
_TEXTS = ("run", "batch")
_IGNORED = re.compile(
    r"(.*_)?(lr|learning_rate|epoch|eval_\w+|val_\w+|valid_\w+|runtime|wall_time|mfu|memory|index|gpu)$"
)
"""Columns that are known, and neither judged nor a run of a wide table."""
_PART = re.compile(r"(?:train[/._])?(loss(?:es)?|times?)[/.](.+)", re.IGNORECASE)
"""``loss/web``: the loss of one source; ``times/data``: the seconds of one phase."""


def plain(name: str) -> str:
    """A column's name as it is compared: ``Train/Loss`` -> ``train_loss``."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a field is."""

    field: str
    column: str
    index: int
    factor: float = 1.0
    """To base units: 0.001 where the column is in milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What the columns of a table hold."""

    columns: tuple[str, ...]
    numbers: tuple[Place, ...]
    """Fields that are numbers, step and tokens first."""
    texts: Mapping[str, int] = field(default_factory=dict)
    """``run`` and ``batch`` -> index."""
    sources: tuple[Place, ...] = ()
    """Losses by source; `field` is the source's name."""
    times: tuple[Place, ...] = ()
    """Seconds by phase; `field` is the phase's name."""

    @property
    def fields(self) -> frozenset[str]:
        """All fields of it that are numbers."""
        return frozenset(place.field for place in self.numbers)

    @property
    def is_known(self) -> bool:
        """It has progress, and something to judge."""
        return bool(self.fields & {"step", "tokens"}) and bool(self.fields & set(VALUES))


def layout_of(columns: Sequence[str], wanted: Mapping[str, str] | None = None) -> Layout:
    """What `columns` hold; `wanted` (field -> column) goes before the synonyms where the column is there."""
    names = [plain(column) for column in columns]
    found: dict[str, Place] = {}
    for name, synonyms in FIELDS.items():
        column = (wanted or {}).get(name)
        if column is not None and column in columns:
            found[name] = _place(name, column, columns.index(column))
            continue
        index = next((names.index(each) for each in synonyms if each in names), None)
        if index is not None and columns[index] not in (wanted or {}).values():
            found[name] = _place(name, columns[index], index)
    parts = [(index, _PART.fullmatch(column)) for index, column in enumerate(columns)]
    taken = {place.index for place in found.values()}
    split = [(match[1].lower(), Place(match[2], columns[index], index)) for index, match in parts if match]
    split = [(kind, place) for kind, place in split if place.index not in taken]
    return Layout(
        columns=tuple(columns),
        numbers=tuple(place for name, place in found.items() if name not in _TEXTS),
        texts={name: found[name].index for name in _TEXTS if name in found},
        sources=tuple(place for kind, place in split if kind.startswith("loss")),
        times=tuple(place for kind, place in split if kind.startswith("time")),
    )


def _place(name: str, column: str, index: int) -> Place:
    is_milliseconds = name == "seconds" and plain(column).endswith("_ms")
    return Place(name, column, index, 0.001 if is_milliseconds else 1.0)


def is_free(column: str) -> bool:
    """Neither a field, nor known and of no interest: what may be the column of a run in a wide table."""
    name = plain(column)
    return bool(name) and not _IGNORED.fullmatch(name) and all(name not in names for names in FIELDS.values())


def unknown(columns: Sequence[str], layout: Layout) -> Unreadable:
    """The sentence for a table that can't be judged: what is missing, and which columns there are."""
    listed = ", ".join(repr(column) for column in columns[:40]) + (", ..." if len(columns) > 40 else "")
    if layout.fields & set(VALUES):
        missing = "no column of progress (step, iteration, tokens, ...); name it: --map step=COLUMN"
    elif layout.fields & {"step", "tokens"}:
        missing = "no column that is judged (loss, grad_norm, throughput, ...); name one: --map loss=COLUMN"
    else:
        missing = "no column that is known; name them: --map step=COLUMN --map loss=COLUMN"
    return Unreadable(f"it has {missing}; its columns: {listed or 'none'}")


def parse_map(pairs: Sequence[str]) -> dict[str, str]:
    """``loss=train/nll`` -> field and column. Raises `UsageError` for a field that is none."""
    found = {}
    for pair in pairs:
        name, equals, column = pair.partition("=")
        if not equals or not column:
            raise UsageError(f"--map {pair!r} is no FIELD=COLUMN, as in --map loss=train/nll")
        if name not in FIELDS:
            raise UsageError(f"--map {pair!r}: there is no field {name!r}{nearest(name, FIELDS)}")
        found[name] = column
    return found
