"""What dcgm-exporter says of the GPUs, scraped from its /metrics: a second opinion beside NVML, and tensor activity.

NVML and DCGM give many of the same figures. So that two sources never mix in one series, DCGM's get the prefix
``dcgm_``, but for those that NVML does not give; on a node where NVML can't be reached, `is_primary` drops the prefix.
Instances of a divided GPU (MIG) are left out. The exporter's Xid gauge holds the last code for ever, so only a change
of it is an event, and never what it showed at the first look.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite

from watchdog.collectors import Collected
from watchdog.collectors.dcgm_fields import XID, field_of, is_blank
from watchdog.collectors.exposition import samples
from watchdog.collectors.scrape import parse_url, scrape
from watchdog.vocabulary.errors import SourceFailed, SourceMissing
from watchdog.vocabulary.samples import Event, Row
from watchdog.vocabulary.subjects import Subject
from watchdog.xids import xid

_UUID_LABELS = ("UUID", "uuid", "gpu_uuid")
_INSTANCE_LABEL = "GPU_I_ID"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`[watchdog.collectors.dcgm]`."""

    url: str = ""
    """``http://127.0.0.1:9400/metrics``; empty: there is no exporter."""
    is_primary: bool = False
    """Take its figures as the GPU's own: for nodes where NVML can't be reached."""
    deadline_seconds: float = 5.0
    """For the whole answer."""
    most_bytes: int = 8_000_000
    """Longer answers are refused; eight GPUs give some 100 kB."""

    def __post_init__(self) -> None:
        """Bounds, and a URL that can be asked."""
        if self.url:
            parse_url(self.url)
        if not 0.1 <= self.deadline_seconds <= 60:
            raise ValueError(f"deadline_seconds is {self.deadline_seconds:g}; allowed: 0.1 to 60")
        if not 1000 <= self.most_bytes <= 100_000_000:
            raise ValueError(f"most_bytes is {self.most_bytes}; allowed: 1000 to 100000000")


class Dcgm:
    """The GPUs as dcgm-exporter shows them."""

    def __init__(self, node: str, settings: Settings | None = None) -> None:
        """Nothing is asked before `collect`."""
        self._node = node
        self._settings = settings or Settings()
        self._xids: dict[Subject, int] = {}
        self._facts: dict[Subject, dict[str, object]] = {}

    def collect(self, now: float) -> Collected:
        """One scrape. Raises `SourceMissing` without a URL, `SourceFailed` for no, a cut off or an empty answer."""
        settings = self._settings
        if not settings.url:
            raise SourceMissing("dcgm: no url in [watchdog.collectors.dcgm]")
        text = scrape(settings.url, settings.deadline_seconds, settings.most_bytes)
        gpus = read_gpus(text, self._node)
        if not gpus:
            raise SourceFailed(f"dcgm: {settings.url} answers with no field of any GPU; see the exporter's log")
        rows: list[Row] = []
        events: list[Event] = []
        facts: dict[Subject, dict[str, object]] = {}
        for subject, fields in gpus.items():
            values = dict(self._values(fields))
            if values:
                rows.append(Row(subject=subject, at=now, values=values))
            events += self._xid_events(subject, fields, now)
            known: dict[str, object] = {"dcgm_last_xid": int(fields[XID])} if XID in fields else {}
            if known != self._facts.get(subject, {}):
                facts[subject] = self._facts[subject] = known
        return Collected(rows=tuple(rows), events=tuple(events), facts=facts)

    def close(self) -> None:
        """Nothing is held."""

    def _values(self, fields: Mapping[int, float]) -> Iterator[tuple[str, float]]:
        for number, value in fields.items():
            field = field_of(str(number))
            if field is not None and number != XID:
                is_plain = field.is_own or self._settings.is_primary
                yield field.metric if is_plain else f"dcgm_{field.metric}", value * field.factor

    def _xid_events(self, subject: Subject, fields: Mapping[int, float], now: float) -> Iterator[Event]:
        if XID not in fields:
            return
        code, before = int(fields[XID]), self._xids.get(subject)
        self._xids[subject] = code
        if before is None or code in (0, before):
            return
        entry = xid(code)
        yield Event(
            kind="xid",
            subject=subject,
            at=now,
            code=code,
            severity=entry.severity,
            action=entry.action,
            message=f"Xid {code}: {entry.meaning}",
            data={"source": "dcgm"},
        )


def read_gpus(text: str, node: str) -> dict[Subject, dict[int, float]]:
    """Values by GPU and field number, in DCGM's units; blank ones and those of instances are absent.

    A field that comes once for each NVLink is added up. Raises `SourceFailed` for text that is none.
    """
    gpus: dict[Subject, dict[int, float]] = {}
    links: dict[tuple[Subject, int], float] = {}
    for sample in samples(text):
        field = field_of(sample.name)
        uuid = next((sample.labels[label] for label in _UUID_LABELS if sample.labels.get(label)), None)
        if field is None or uuid is None or sample.labels.get(_INSTANCE_LABEL):
            continue
        if not isfinite(sample.value) or is_blank(sample.value):
            continue
        subject = Subject(node, "gpu", uuid)
        if "nvlink" in sample.labels:
            links[subject, field.number] = links.get((subject, field.number), 0.0) + sample.value
        gpus.setdefault(subject, {})[field.number] = links.get((subject, field.number), sample.value)
    return gpus
