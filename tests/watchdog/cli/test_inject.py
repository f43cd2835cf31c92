"""``fryer inject``: from a kernel line to an incident of a real daemon, and what it refuses."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from commanded import Daemon, end, fryer, start

XID_79 = ("--xid", "79", "--pci", "0000:1b:00.0")


@pytest.fixture(scope="module")
def real_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon of this machine itself, whose kernel log is a FIFO so that nothing real is touched."""
    folder = tmp_path_factory.mktemp("r")
    os.mkfifo(folder / "fifo")
    started = start(folder, folder / "fifo")
    yield started
    end(started)


def test_a_line_to_a_simulated_daemon_opens_the_incident_that_it_rehearses(daemon: Daemon) -> None:
    done = daemon.ask("inject", *XID_79, "--to", daemon.kmsg)
    assert done.returncode == 0, done.stderr
    assert "NVRM: Xid (PCI:0000:1b:00): 79, pid=" in done.stdout
    assert "fatal, reboot_node" in done.stdout
    incident = daemon.incident("xid_79")
    assert incident["action"] == "reboot_node"
    assert incident["root"].startswith("node001/gpu:GPU-"), "the GPU at this address, by its UUID"
    assert "name=fryer-inject" in incident["evidence"][0]["line"]


def test_a_line_of_one_s_own_arrives_as_it_stands(daemon: Daemon) -> None:
    line = "NVRM: Xid (PCI:0000:2a:00): 95, pid=1, name=mine, Uncontained: FBHUB. RST: Yes, D-RST: No"
    assert daemon.ask("inject", "--kmsg", line, "--to", daemon.kmsg).returncode == 0
    assert daemon.incident("xid_95")["evidence"][0]["line"] == line


def test_on_real_hardware_it_is_refused_with_what_would_happen_and_done_with_yes_really(real_daemon: Daemon) -> None:
    done = real_daemon.ask("inject", *XID_79, "--to", real_daemon.kmsg)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    for words in ("refused: the daemon at", "watches real hardware", "drains the node", "--yes-really"):
        assert words in done.stderr
    assert "xid_79" not in [one["root_code"] for one in real_daemon.incidents()]
    assert real_daemon.ask("inject", *XID_79, "--to", real_daemon.kmsg, "--yes-really").returncode == 0
    assert real_daemon.incident("xid_79")["root"].endswith("/gpu:0000:1b:00")


def test_the_kernel_s_own_log_is_refused_even_next_to_a_simulated_daemon(daemon: Daemon) -> None:
    done = daemon.ask("inject", *XID_79, "--to", "/dev/kmsg")
    assert done.returncode == 2
    assert "own kernel log" in done.stderr


def test_a_fifo_that_another_reads_than_the_daemon_asked_is_refused(daemon: Daemon, tmp_path: Path) -> None:
    other = tmp_path / "other"
    os.mkfifo(other)
    done = daemon.ask("inject", *XID_79, "--to", other)
    assert done.returncode == 2
    assert "somebody else reads" in done.stderr


def test_a_fifo_whose_daemon_is_not_known_is_refused_and_without_a_reader_exits_3(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    refused = fryer("inject", *XID_79, "--to", fifo, "--socket", tmp_path / "none")
    assert refused.returncode == 2
    assert "name that daemon's --socket" in refused.stderr
    unread = fryer("inject", *XID_79, "--to", fifo, "--socket", tmp_path / "none", "--yes-really")
    assert unread.returncode == 3
    assert "nobody reads the FIFO" in unread.stderr


def test_a_socket_that_does_not_answer_is_no_proof_of_a_simulation(tmp_path: Path) -> None:
    log, socket = tmp_path / "log", tmp_path / "s"
    log.touch()
    socket.touch()
    done = fryer("inject", *XID_79, "--to", log, "--socket", socket)
    assert done.returncode == 2
    assert "whether the daemon is simulated is not known" in done.stderr
    assert log.read_text() == ""


def test_a_file_collects_lines_that_scan_reads(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()
    for arguments in (XID_79, ("--sxid", "20034", "--pci", "06:00.0"), ("--ready", "oom")):
        assert fryer("inject", *arguments, "--to", log, "--socket", tmp_path / "none").returncode == 0
    done = fryer("scan", "--kmsg", log)
    assert done.returncode == 1
    assert [line.split()[2] for line in done.stdout.splitlines()[1:4]] == ["xid", "sxid", "oom_kill"]


def test_a_line_can_be_printed_only() -> None:
    done = fryer("inject", "--ready", "aer_fatal", "--pci", "0000:00:02.0", "--to", "-")
    assert done.stdout == "pcieport 0000:00:02.0: AER: Uncorrected (Fatal) error received: id=0010\n"


def test_the_ready_lines_are_listed() -> None:
    done = fryer("inject", "--list")
    assert done.returncode == 0
    names = {line.split()[0] for line in done.stdout.splitlines()[1:]}
    assert names >= {"xid_79", "xid_48", "xid_94", "xid_63", "xid_119", "xid_154", "sxid_20034", "aer_fatal", "oom"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "give one of --kmsg LINE"),
        (("--xid", "79", "--ready", "oom"), "give one of --kmsg LINE"),
        (("--xid", "79"), "give --pci BUS"),
        (("--xid", "79", "--pci", "gpu0"), "is no PCI address"),
        (("--ready", "omm"), "did you mean 'oom'"),
        (("--kmsg", "a\nb"), "one line"),
        (("--kmsg", "a", "--pci", "1b:00.0"), "does not go with --kmsg"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_2(arguments: tuple[str, ...], words: str) -> None:
    done = fryer("inject", *arguments, "--to", "-")
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert words in done.stderr


@pytest.mark.parametrize("target", ["nothing/here", ".", "/dev/null"])
def test_what_is_no_kernel_log_is_refused(target: str, tmp_path: Path) -> None:
    done = fryer("inject", *XID_79, "--to", tmp_path / target, "--socket", tmp_path / "none", "--yes-really")
    assert done.returncode == 2
    assert done.stderr.startswith("fryer: --to: ")
