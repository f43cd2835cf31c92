"""What an event of a training run came from: data, software, the model's state, or hardware. Pure: it reads nothing.

    again    the same steps of another launch, or of the same after a rewind: did it come again there?
    sources  which source of data had a loss that rose
    nodes    incidents and readings of nodes near it in time
    causes   all of it as a ranked list of causes, each with a sentence of evidence

The trainer's guard, the daemon and a replay of an old log share it. Confidences are our own scale, for ranking.
"""

from watchdog.attribution.again import Again, Comparison, Launch
from watchdog.attribution.causes import Cause, Facts, causes_of
from watchdog.attribution.nodes import Change, changes_near, incidents_near
from watchdog.attribution.sources import SourceRise, SourceTrack

__all__ = [
    "Again",
    "Cause",
    "Change",
    "Comparison",
    "Facts",
    "Launch",
    "SourceRise",
    "SourceTrack",
    "causes_of",
    "changes_near",
    "incidents_near",
]
