"""Exit codes of a training, for the scripts and supervisors around it."""

DONE = 0
FAILED = 1
BAD_PLAN = 2
ROLLBACK = 10
"""A rollback is wanted that this process can't make itself."""
PERSON = 11
"""Stopped for a person to look."""
RERUN = 16
"""As Megatron's: resume and run the step again, to tell whether it was the hardware."""
CORRUPT = 17
"""As Megatron's: a result was wrong again after a rerun elsewhere."""


def after_signal(number: int) -> int:
    """Ended because of a signal, as shells say it."""
    return 128 + number
