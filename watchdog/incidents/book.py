"""What merging remembers, as frozen values: tallies, open cases, closed incidents, repeat offenders; and its limits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from watchdog.vocabulary.families import Family, family_of
from watchdog.vocabulary.findings import Severity
from watchdog.vocabulary.incidents import Incident
from watchdog.vocabulary.subjects import Subject

ChangeKind = Literal["opened", "updated", "acted", "verified", "closed", "merged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentLimits:
    """`[watchdog.incidents]`. Numbers without a source are our own choice."""

    window_seconds: float = 15.0
    """Faults of one cascade begin within this of each other. The longest in public logs is 12 s (79 to SXid 20034);
    published studies merge within 5 s (arXiv 2503.11901)."""
    open_judgements: int = 3
    """A finding below FAIL opens an incident after so many judgements in a row..."""
    open_seconds: float = 10.0
    """...and not before it stood so long; FAIL, and what the kernel printed, open at once."""
    certain: tuple[str, ...] = ("xid_", "sxid_", "recovery_action", "oom")
    """Beginnings of codes that open at once: they tell of something that happened."""
    clear_judgements: int = 3
    """An incident is over after so many judgements in a row without its findings..."""
    clear_seconds: float = 60.0
    """...and so long after the last sighting."""
    clear_unrepaired_seconds: float = 3600.0
    """The same for a FAIL that asks for a repair (reset, reboot, inspection) of which nothing is known to have been
    done: that the kernel no longer repeats it proves nothing."""
    close_seconds: float = 60.0
    """From verified to closed."""
    memory_seconds: float = 7 * 86400.0
    """How long a repeat offender is remembered (7 days, as NVSentinel's rule of repeated remediations)."""
    repeats_to_inspect: int = 1
    """After so many repairs that did not last, the action becomes ``inspect``. gpud asks for a hardware inspection
    after two reboots; ours after one, since a run of hundreds of GPUs pays for every further try."""
    most_tallies: int = 512
    """Different (subject, code) pairs held at once; more events are counted and not merged."""
    most_recent: int = 256
    """Closed incidents held."""
    recent_seconds: float = 86400.0
    """How long a closed incident is held here; the store has them for ever."""
    most_evidence: int = 16
    most_victims: int = 64

    def __post_init__(self) -> None:
        """Bounds."""
        if not 0 < self.window_seconds <= 600:
            raise ValueError(f"window_seconds is {self.window_seconds:g}; allowed: above 0, to 600")
        for name in ("open_judgements", "clear_judgements", "repeats_to_inspect", "most_tallies", "most_evidence"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; allowed: 1 and more")

    @property
    def loose_seconds(self) -> float:
        """How long an event that belongs to no incident waits for one to belong to."""
        return 4 * self.window_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """All sightings of one code on one subject, in one incident or waiting for one."""

    key: str
    """`tally_key` of the two below."""
    subject: Subject
    code: str
    first_at: float
    last_at: float
    """Of events; for a finding alone, when it began."""
    num_events: int = 0
    has_finding: bool = False
    """A detector has confirmed it: only this opens an incident."""
    is_standing: bool = False
    """The last judgement still had its finding."""
    severity: Severity = Severity.OK
    """The gravest that a finding gave it."""
    action: str = "none"
    message: str = ""
    names: str = ""
    """Code that its line names as the cause: ``xid_149``."""
    cause: str | None = None
    """Key of the tally that brought it about."""
    first: Mapping[str, object] | None = None
    """The first event, JSON-ready."""
    last: Mapping[str, object] | None = None
    found: Mapping[str, object] | None = None
    """The gravest finding, JSON-ready."""

    @property
    def family(self) -> Family:
        """Its kind of fault."""
        return family_of(self.code)

    @property
    def count(self) -> int:
        """Events, or one for a finding that no event goes with."""
        return max(self.num_events, int(self.has_finding))


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An open incident, and what its life needs."""

    incident: Incident
    root: str
    """Key of the root's tally."""
    seen_at: float
    """The last sighting of any part of it."""
    quiet: int = 0
    """Judgements in a row without any of its findings."""
    acted: str = ""
    """What was done: ``drain``, ``save``, ``boot``, ``gpu_reset``."""
    repaired_at: float | None = None
    """Of the first reboot or reset since it opened. What comes after it is a new incident."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Streak:
    """A finding's judgements in a row."""

    count: int
    since: float
    """Time of the first."""
    tally: str
    """Key of the tally that it goes into."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A closed incident, as repeat offenders are counted."""

    incident: str
    closed_at: float
    was_repaired: bool
    """A reset, a reboot, or a qualification after a drain lies between it and what comes after."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """Everything between two updates."""

    tallies: Mapping[str, Tally] = field(default_factory=dict)
    cases: Mapping[str, Case] = field(default_factory=dict)
    """Open incidents by id."""
    recent: tuple[Incident, ...] = ()
    """Closed incidents, newest last."""
    streaks: Mapping[str, Streak] = field(default_factory=dict)
    """By key of the finding."""
    muted: Mapping[str, float] = field(default_factory=dict)
    """By key of the finding: until when what began is known to a person, who marked it healthy."""
    memory: Mapping[str, tuple[Past, ...]] = field(default_factory=dict)
    """By key of the root's tally: closed incidents, oldest first."""
    num_unclaimed: int = 0
    """Events that no incident ever claimed. With those of tallies and closed incidents: every event that came."""

    @property
    def open(self) -> tuple[Incident, ...]:
        """Open incidents, newest first."""
        incidents = (case.incident for case in self.cases.values())
        return tuple(sorted(incidents, key=lambda incident: (-incident.opened_at, incident.id)))

    @property
    def incidents(self) -> tuple[Incident, ...]:
        """Open ones, then those lately closed, newest first."""
        return (*self.open, *reversed(self.recent))


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What became of an incident in one update."""

    kind: ChangeKind
    incident: Incident


def tally_key(subject: Subject, code: str) -> str:
    """Key of the tally of a code on a subject."""
    return f"{subject}|{code}"
