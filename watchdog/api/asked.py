"""What a GET may ask for, in its query. Text as it comes in a URL: read as numbers where they are meant."""

from typing import Annotated

from pydantic import Field

from watchdog.api.posted import LAST_SECONDS, Count, Known, Name

MOST_ROWS = 2000
"""In one answer; ask again from the last one's time."""

Since = Annotated[float, Field(ge=0, le=LAST_SECONDS, allow_inf_nan=False)]
Limit = Annotated[int, Field(ge=1, le=MOST_ROWS)]


class Nothing(Known):
    """No parameters."""


class SinceAsked(Known):
    """From when, and how many at most."""

    since: Since = 0.0
    limit: Limit = 500


class SamplesAsked(SinceAsked):
    """Rows of one subject, written as in documents: ``node001/gpu:GPU-5f3a...``."""

    subject: Name


class StepsAsked(Known):
    """Steps of one run."""

    run: Name
    since_step: Count = 0
    limit: Limit = 500


class SignalAsked(Known):
    """For which run; with `wait_seconds`, answered when it is another than `known`, or when the wait is over."""

    run: Annotated[str, Field(max_length=200)] = ""
    known: Annotated[str, Field(max_length=200)] = ""
    """Id of the signal that the asker has; empty: none."""
    wait_seconds: Annotated[float, Field(ge=0, le=30, allow_inf_nan=False)] = 0.0
