"""Names of directories of checkpoints: what is whole, half-written or being deleted shows in the name alone. Pure."""

import re

LATEST = "latest"
"""File that holds the name of the newest whole one; replaced by rename, after the checkpoint has its name."""
MANIFEST = "manifest.json"
STATE = "state.json"
WRITING, DELETING = "writing", "deleting"

_WHOLE = re.compile(r"step_(\d{8,})")
_PARTIAL = re.compile(r"step_(\d{8,})\.(writing|deleting)-[0-9a-f]+")


def step_name(step: int) -> str:
    """``123`` -> ``step_00000123``: names sort as steps do."""
    return f"step_{step:08d}"


def step_of(name: str) -> int | None:
    """The step of a whole one's name; None for any other name."""
    found = _WHOLE.fullmatch(name)
    return int(found[1]) if found else None


def partial_name(step: int, what: str, token: str) -> str:
    """``step_00000123.writing-0a1b``. The token is new at each save: a writer that outlived its killed trainer never
    writes into a later attempt's files."""
    return f"{step_name(step)}.{what}-{token}"


def partial_of(name: str) -> tuple[int, str] | None:
    """Step and ``writing`` or ``deleting``, or None for any other name."""
    found = _PARTIAL.fullmatch(name)
    return (int(found[1]), found[2]) if found else None


def rank_name(rank: int) -> str:
    """``3`` -> ``rank_00003``: one rank's part of a node-local checkpoint."""
    return f"rank_{rank:05d}"
