"""What nodes said near an event: incidents in force, and readings that changed."""

from collections.abc import Iterator

from watchdog.attribution import changes_near, incidents_near
from watchdog.vocabulary.findings import Severity
from watchdog.vocabulary.incidents import Incident, IncidentState
from watchdog.vocabulary.samples import Row
from watchdog.vocabulary.subjects import Subject

AT = 100_000.0
DISK, GPU, NIC = (
    Subject("node7", "disk", "/scratch"),
    Subject("node7", "gpu", "GPU-1"),
    Subject("node7", "nic", "mlx5_0:1"),
)


def rows(subject: Subject, metric: str, before: float, after: float, since: float = AT - 40) -> Iterator[Row]:
    """A reading a minute from an hour before on; `after` from `since` on."""
    for at in range(int(AT) - 3600, int(AT) + 61, 20):
        yield Row(subject=subject, at=float(at), values={metric: before if at < since else after})


def incident(
    code: str, opened_at: float, closed_at: float | None = None, severity: Severity = Severity.FAIL
) -> Incident:
    return Incident(
        id=code,
        node="node7",
        opened_at=opened_at,
        updated_at=opened_at,
        state=IncidentState.OPEN,
        severity=severity,
        root=GPU,
        root_code=code,
        title=f"{code} on GPU-1",
        action="inspect",
        closed_at=closed_at,
    )


def test_storage_that_got_slow_is_a_change_and_a_gpu_that_did_not_is_calm() -> None:
    found, seen = changes_near(
        [*rows(DISK, "read_latency_seconds", 0.02, 0.24), *rows(GPU, "sm_clock_hertz", 1.98e9, 1.95e9)], AT
    )
    assert [(change.cause, change.at, change.message) for change in found] == [
        ("storage", AT - 40, "read latency on /scratch of node7 rose 12x (0.02 to 0.24)")
    ]
    assert seen == {"storage", "gpu"}


def test_a_clock_that_fell_and_a_counter_that_grew_are_changes() -> None:
    errors = [
        Row(subject=NIC, at=AT - 3600 + 20 * tick, values={"symbol_errors_total": 0.0 if tick < 178 else 500.0})
        for tick in range(184)
    ]
    found, _ = changes_near([*rows(GPU, "sm_clock_hertz", 2.0e9, 1.2e9), *errors], AT)
    assert [(change.cause, change.subject) for change in found] == [("gpu", GPU), ("network", NIC)]
    assert found[0].message == "SM clock of GPU-1 of node7 fell to 60% (2e+09 to 1.2e+09)"


def test_readings_without_a_past_say_nothing() -> None:
    late = [Row(subject=DISK, at=AT - 10, values={"read_latency_seconds": 9.0})]
    assert changes_near(late, AT) == ([], frozenset())


def test_a_counter_that_was_reset_is_no_growth() -> None:
    reset = [
        Row(subject=NIC, at=AT - 3600 + 20 * tick, values={"link_downed_total": 900.0 if tick < 178 else 0.0})
        for tick in range(184)
    ]
    assert changes_near(reset, AT) == ([], frozenset({"network"}))


def test_incidents_in_force_near_it_are_told_by_what_they_are_of() -> None:
    found = incidents_near(
        [
            incident("thermal_throttle", AT - 300),
            incident("storage_slow", AT - 60, severity=Severity.WARN),
            incident("ib_link_down", AT + 30),
            incident("xid_79", AT - 9000, closed_at=AT - 8000),
            incident("xid_48", AT + 3000),
            incident("xid_13", AT),
            incident("loss_spike", AT),
        ],
        AT,
    )
    assert [(change.cause, change.is_grave) for change in found] == [
        ("gpu", True),
        ("storage", False),
        ("network", True),
    ]
