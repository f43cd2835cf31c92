"""The kernel log as the daemon reads it: the real ring where that is allowed, files, FIFOs, storms, cursors."""

import os
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from watchdog.collectors.kmsg import KmsgCollector, KmsgLimits
from watchdog.collectors.kmsg_bursts import MOST_WORDINGS
from watchdog.vocabulary.errors import SourceFailed, SourceMissing
from watchdog.vocabulary.samples import Event
from watchdog.vocabulary.subjects import Subject

DEVICE = Path("/dev/kmsg")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
LOST = "NVRM: Xid (PCI:0000:3b:00): 79, pid=1234, name=python, GPU has fallen off the bus."
NOW = 1_800_000_000.0


def xid(code: int, pci: str = "0000:3b:00", message: str = "x") -> str:
    return f"NVRM: Xid (PCI:{pci}): {code}, pid=1, name=python, {message}"


def append(path: Path, *lines: str) -> None:
    with path.open("a") as file:
        file.writelines(line + "\n" for line in lines)


def codes(events: tuple[Event, ...]) -> list[int | None]:
    return [event.code for event in events]


@pytest.fixture
def boot_id(tmp_path: Path) -> Path:
    path = tmp_path / "boot_id"
    path.write_text("boot-one\n")
    return path


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "kern.log"
    path.touch()
    return path


class Reader:
    """Makes collectors, reads until lines come, and closes them."""

    def __init__(self) -> None:
        self.made: list[KmsgCollector] = []

    def __call__(
        self, path: Path, *, most_records: int = 4096, wait_seconds: float = 0.1, **more: object
    ) -> KmsgCollector:
        limits = KmsgLimits(most_records=most_records, wait_seconds=wait_seconds)
        collector = KmsgCollector(path, node="n1", limits=limits, **more)  # type: ignore[arg-type]
        self.made.append(collector)
        return collector


@pytest.fixture
def reader() -> Iterator[Reader]:
    made = Reader()
    yield made
    for collector in made.made:
        collector.close()


def test_lines_that_are_in_a_file_become_events_of_their_subjects(log: Path, reader: Reader):
    append(
        log,
        LOST,
        "usb 1-1: new device",
        "nvidia-nvswitch1: SXid (PCI:0000:06:00.0): 20034, Fatal, Link 48 LTSSM Fault Up",
        "nvidia-nvswitch1: SXid (PCI:0000:06:00.0): 20034, Severity 1 Engine instance 37 Sub-engine instance 00",
        "nvme nvme4: Disabling device after reset failure: -19",
        "mlx5_core 0000:5e:00.0: device's health compromised - reached miss count",
        "INFO: task jfsmount:136986 blocked for more than 120 seconds.",
    )
    events = reader(log).collect(NOW).events
    assert [(event.kind, event.code, event.severity) for event in events] == [
        ("xid", 79, "fatal"),
        ("sxid", 20034, "critical"),
        ("nvme", None, "critical"),
        ("mlx5", None, "critical"),
        ("hung_task", None, "warning"),
    ]
    assert [event.subject for event in events] == [
        Subject("n1", "gpu", "0000:3b:00"),
        Subject("n1", "switch", "0000:06:00"),
        Subject("n1", "disk", "nvme4"),
        Subject("n1", "nic", "0000:5e:00"),
        Subject("n1"),
    ]
    assert events[0].line == LOST
    assert events[0].data["pid"] == 1234


def test_a_gpu_is_named_by_its_uuid_where_nvml_or_the_log_knows_it(log: Path, reader: Reader):
    append(log, "NVRM: GPU at PCI:0000:4c:00: GPU-00000000-0000-0000-0000-000000000001", LOST, xid(79, "0000:4c:00"))
    collected = reader(log, uuid_of={"0000:3b:00": "GPU-a"}.get).collect(NOW)
    assert [event.subject.name for event in collected.events] == ["GPU-a", "GPU-00000000-0000-0000-0000-000000000001"]
    assert [event.data["pci"] for event in collected.events] == ["0000:3b:00", "0000:4c:00"]
    named = Subject("n1", "gpu", "GPU-00000000-0000-0000-0000-000000000001")
    assert collected.facts == {named: {"pci_bus_id": "0000:4c:00.0"}}


def test_a_following_reader_gives_only_what_is_new(log: Path, reader: Reader):
    collector = reader(log)
    append(log, xid(13))
    assert codes(collector.collect(NOW).events) == [13]
    append(log, xid(31), xid(43))
    assert codes(collector.collect(NOW).events) == [31, 43]


def test_a_call_with_nothing_new_returns_nothing(log: Path, reader: Reader):
    collector = reader(log)
    assert collector.collect(NOW).events == ()
    assert collector.cursor is None


def test_a_line_without_its_end_waits_for_it(log: Path, reader: Reader):
    collector = reader(log)
    with log.open("a") as file:
        file.write(LOST[:40])
        file.flush()
        assert collector.collect(NOW).events == ()
        file.write(LOST[40:] + "\n")
    assert codes(collector.collect(NOW).events) == [79]


def test_a_cursor_goes_on_where_another_reader_stopped(log: Path, reader: Reader):
    append(log, *(xid(code) for code in (13, 31, 43)))
    first = reader(log, most_records=2)
    assert codes(first.collect(NOW).events) == [13, 31]
    append(log, xid(45))
    assert codes(reader(log, cursor=first.cursor).collect(NOW).events) == [43, 45]


def test_every_line_has_a_position_of_its_own(log: Path, reader: Reader):
    append(log, *(xid(code) for code in (13, 31, 43)))
    events = reader(log).collect(NOW).events
    assert len({(event.data["boot_id"], event.data["seq"]) for event in events}) == 3


def test_a_file_that_was_cut_short_is_read_from_its_start(log: Path, reader: Reader):
    collector = reader(log)
    append(log, xid(13), xid(31))
    before = collector.collect(NOW).events
    log.write_text(xid(43) + "\n")
    after = collector.collect(NOW).events
    assert codes(after) == [43]
    assert {event.data["boot_id"] for event in before}.isdisjoint(event.data["boot_id"] for event in after)
    assert codes(reader(log, cursor=collector.cursor).collect(NOW).events) == []


def test_a_file_that_was_cut_short_while_nobody_read_is_read_from_its_start(log: Path, reader: Reader):
    append(log, xid(13), xid(31))
    collector = reader(log)
    collector.collect(NOW)
    log.write_text(xid(43) + "\n")
    assert codes(reader(log, cursor=collector.cursor).collect(NOW).events) == [43]


def test_a_rotated_file_is_read_to_its_end_and_then_the_new_one(log: Path, reader: Reader):
    collector = reader(log)
    append(log, xid(13))
    collector.collect(NOW)
    append(log, xid(31))
    log.rename(log.with_suffix(".1"))
    log.write_text(xid(43) + "\n")
    assert codes(collector.collect(NOW).events) == [31]
    assert codes(collector.collect(NOW).events) == [43]


def test_a_file_that_is_gone_for_a_moment_is_waited_for(log: Path, reader: Reader):
    collector = reader(log)
    append(log, xid(13))
    collector.collect(NOW)
    log.unlink()
    assert collector.collect(NOW).events == ()
    append(log, xid(31))
    assert codes(collector.collect(NOW).events) == [31]


def test_a_reader_from_the_end_skips_what_was_there(log: Path, reader: Reader):
    append(log, xid(13))
    collector = reader(log, from_end=True)
    assert collector.collect(NOW).events == ()
    append(log, xid(31))
    assert codes(collector.collect(NOW).events) == [31]


def test_bytes_that_are_no_text_and_lines_without_end_stop_nothing(log: Path, reader: Reader):
    log.write_bytes(b"\xff\xfe\x00\n" + b"x" * 2_500_000 + b"\n" + xid(13).encode() + b"\n")
    collector = reader(log)
    found: list[int | None] = []
    for _ in range(6):
        found += codes(collector.collect(NOW).events)
        if found:
            break
    assert found == [13]


def test_a_storm_of_equal_lines_is_one_event_with_a_count_and_bounded_in_a_call(log: Path, reader: Reader):
    append(log, *[LOST] * 10_000)
    collector = reader(log, most_records=4096)
    counts = [[event.data["count"] for event in collector.collect(NOW).events] for _ in range(3)]
    assert counts == [[4096], [4096], [1808]]


def test_a_storm_of_different_lines_of_one_code_is_bounded_too(log: Path, reader: Reader):
    append(log, *(xid(13, message=f"ESR {i:#x}") for i in range(1000)), xid(31))
    events = reader(log).collect(NOW).events
    assert codes(events) == [13] * MOST_WORDINGS + [31]
    assert sum(event.data.get("count", 1) for event in events) == 1001


def test_lines_that_came_while_reading_are_of_now_and_older_ones_of_their_stamp(log: Path, reader: Reader):
    append(log, f"2025-01-21T04:41:44+00:00 node kernel: {xid(13)}", f"Jan 21 04:41:44 node kernel: {xid(31)}")
    collector = reader(log)
    old = collector.collect(NOW).events
    assert [event.at for event in old] == [1737434504.0, 1768970504.0]
    append(log, f"2025-01-21T04:41:44+00:00 node kernel: {xid(43)}")
    (new,) = collector.collect(NOW).events
    assert NOW <= new.at < NOW + 2


def test_no_line_is_of_the_future(log: Path, reader: Reader):
    append(log, f"[99999999999.0] {xid(13)}", f"2099-01-21T04:41:44+00:00 {xid(31)}")
    assert all(event.at <= NOW + 1 for event in reader(log).collect(NOW).events)


def test_a_fifo_gives_records_that_came_joined_or_in_parts(tmp_path: Path, reader: Reader, boot_id: Path):
    path = tmp_path / "kmsg"
    os.mkfifo(path)
    collector = reader(path, boot_id_path=boot_id)
    collector.collect(NOW)
    with path.open("w") as file:
        file.write(f"3,1,5,-;{xid(13)}\n3,2,6,-;{xid(31)}\n{xid(43)[:30]}")
        file.flush()
        assert codes(collector.collect(NOW).events) == [13, 31]
        file.write(xid(43)[30:] + "\n")
        file.flush()
        assert codes(collector.collect(NOW).events) == [43]
    assert collector.collect(NOW).events == ()
    assert collector.cursor == ("fifo:boot-one", 3)


def test_a_reader_that_waits_is_woken_by_a_line(tmp_path: Path, reader: Reader):
    path = tmp_path / "kmsg"
    os.mkfifo(path)
    writer = threading.Timer(0.1, path.write_text, (LOST + "\n",))
    writer.start()
    events = reader(path, wait_seconds=10.0).collect(NOW).events
    writer.join()
    assert codes(events) == [79]


def test_a_log_that_is_not_there_is_missing(tmp_path: Path, reader: Reader):
    with pytest.raises(SourceMissing, match="does not exist"):
        reader(tmp_path / "nothing").collect(NOW)


def test_a_folder_is_no_log(tmp_path: Path, reader: Reader):
    with pytest.raises(SourceFailed, match="neither a character device, nor a file, nor a FIFO"):
        reader(tmp_path).collect(NOW)


def test_a_device_that_can_t_be_read_as_a_log_fails_and_says_so(reader: Reader):
    """/proc/self/mem is a file that stats well and reads badly."""
    collector = reader(Path("/proc/self/mem"))
    with pytest.raises(SourceFailed, match="can't be read"):
        collector.collect(NOW)


def test_an_ordinary_user_is_told_what_to_do(log: Path, reader: Reader):
    """Not missing: the log is there, and what it says is not known."""
    log.chmod(0o000)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        with pytest.raises(SourceFailed, match="run as root, or with CAP_SYSLOG"):
            reader(log).collect(NOW)
    finally:
        if is_root:
            os.seteuid(0)


def test_the_collector_s_row_says_how_much_was_read_and_lost(log: Path, reader: Reader):
    append(log, LOST)
    collector = reader(log)
    (row,) = collector.collect(NOW).rows
    assert row.subject == Subject("n1", "process", "collector:kmsg")
    assert row.values == {"lost_records_total": 0.0, "records_total": 1.0}
    append(log, LOST)
    assert collector.collect(NOW + 1).rows == ()
    append(log, LOST)
    assert collector.collect(NOW + 100).rows[0].values["records_total"] == 3.0


# The kernel's own ring


@pytest.fixture
def tag() -> str:
    """Skips where the ring can't be written: not root, or a machine that has none."""
    try:
        with DEVICE.open("w") as file:
            file.write("<7>fryer test\n")
        with DEVICE.open():
            pass
    except OSError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"{DEVICE} can't be read and written here: {error}")
    return f"fryer-test-{uuid.uuid4().hex[:8]}"


def say(*lines: str) -> None:
    """Write to the ring; a new descriptor for each line, since the kernel limits the rate of each."""
    for line in lines:
        with DEVICE.open("w") as file:
            file.write(f"<3>{line}\n")


def tagged(events: tuple[Event, ...], tag: str) -> list[Event]:
    return [event for event in events if tag in event.line]


def test_a_line_in_the_real_ring_becomes_an_event_of_now(tag: str, reader: Reader):
    collector = reader(DEVICE, from_end=True)
    collector.collect(time.time())
    say(xid(79, message=tag))
    before = time.time()
    (event,) = tagged(collector.collect(before).events, tag)
    assert (event.code, event.subject.name) == (79, "0000:3b:00")
    assert abs(event.at - before) < 5
    assert collector.cursor is not None
    assert event.data["boot_id"] == BOOT_ID.read_text().strip() == collector.cursor[0]
    assert event.data["seq"] <= collector.cursor[1]


def test_a_reader_of_the_ring_that_waits_is_woken(tag: str, reader: Reader):
    collector = reader(DEVICE, from_end=True, wait_seconds=1.0)
    collector.collect(time.time())
    writer = threading.Timer(0.1, say, (xid(31, message=tag),))
    writer.start()
    events: list[Event] = []
    for _ in range(10):  # lines of others may come first
        events += tagged(collector.collect(time.time()).events, tag)
        if events:
            break
    writer.join()
    assert codes(tuple(events)) == [31]
    assert abs(events[0].at - time.time()) < 5


def test_the_ring_is_read_on_from_a_cursor_and_from_the_start_in_a_new_boot(tag: str, reader: Reader):
    first = reader(DEVICE, from_end=True)
    first.collect(time.time())
    say(xid(13, message=tag))
    assert codes(tuple(tagged(first.collect(time.time()).events, tag))) == [13]
    say(xid(31, message=tag))

    def all_after(cursor: tuple[str, int]) -> list[Event]:
        collector = reader(DEVICE, cursor=cursor, most_records=100_000)
        return list(collector.collect(time.time()).events)

    assert first.cursor is not None
    assert codes(tuple(tagged(tuple(all_after(first.cursor)), tag))) == [31]
    after_reboot = all_after(("another-boot", first.cursor[1] + 10**6))
    assert codes(tuple(tagged(tuple(after_reboot), tag))) == [13, 31]
    assert after_reboot[0].kind == "boot"
    assert after_reboot[0].data["previous_boot_id"] == "another-boot"


def test_records_that_the_ring_overwrote_are_counted_and_the_rest_is_read(tag: str, reader: Reader):
    collector = reader(DEVICE, from_end=True)
    collector.collect(time.time())
    say(f"{tag} first")
    collector.collect(time.time())
    assert collector.cursor is not None
    before = collector.cursor[1]
    size = ring_bytes()
    num_lines = size // 900 + 50
    if num_lines > 2000:
        pytest.skip(f"the ring of {size} bytes is too large to be filled in a test")
    say(*(f"{tag} {i} {'x' * 900}" for i in range(num_lines)), xid(79, message=tag))
    events: list[Event] = []
    rows = []
    for _ in range(20):
        collected = collector.collect(time.time())
        events += tagged(collected.events, tag)
        rows += collected.rows
        if events:
            break
    assert codes(tuple(events)) == [79]
    assert 0 < collector.num_lost < events[0].data["seq"] - before
    assert rows[-1].values["lost_records_total"] == collector.num_lost


def ring_bytes() -> int:
    """Size of the ring, as syslog(2) tells it (SYSLOG_ACTION_SIZE_BUFFER)."""
    import ctypes

    return int(ctypes.CDLL(None).klogctl(10, None, 0))
