"""NVML hangs: for one GPU in its driver, and as a whole because its process is stopped. Everything else goes on."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from watched import HEALTHY, IS_LONG, Asking, Watched, say, wait_until

HANG_AT_SECONDS, FOUND_WITHIN_SECONDS = 4.0, 10.0
HUNG = f"""{HEALTHY}
[[fault]]
on = "node001/gpu6"
kind = "hang"
at = "{HANG_AT_SECONDS:g}s"
for = "20s"
"""
XID_48 = "NVRM: Xid (PCI:0000:1b:00): 48, pid=7, name=python3, An uncorrectable double bit error has occurred"


def silence(watched: Watched) -> dict[str, Any] | None:
    return watched.findings().get("nvml_unresponsive")


def incident(watched: Watched) -> dict[str, Any] | None:
    incidents = watched.ask("/v1/state")["incidents"]
    return next((one for one in incidents if one["root_code"] == "xid_48"), None)


def gpus_read_lately(watched: Watched) -> set[str]:
    """Subjects of GPUs with a temperature that is at most 5 s old."""
    state = watched.ask("/v1/state")
    rows = [row for row in state["rows"] if "temperature_celsius" in row["values"]]
    return {row["subject"] for row in rows if state["at"] - row["at"] <= 5}


def test_a_gpu_whose_calls_hang_is_told_within_ten_seconds_and_holds_up_nothing(
    make_watched: Callable[..., Watched],
) -> None:
    watched = make_watched(scenario=HUNG)
    watched.start()
    hung_at = float(watched.ask("/v1/state")["started_at"]) + HANG_AT_SECONDS
    before = watched.children()
    with Asking(watched).going_on() as asking:
        finding = wait_until("the finding", lambda: silence(watched))
        found_seconds = time.time() - hung_at
        watched.write(XID_48)
        begun = time.monotonic()
        wait_until("the incident of a kernel line", lambda: incident(watched), 2)
        judged_seconds = time.monotonic() - begun
        wait_until("seven others are read", lambda: len(gpus_read_lately(watched)) >= 7, 20)
    assert 0 < found_seconds <= FOUND_WITHIN_SECONDS
    assert finding["severity"] == "FAIL"
    assert finding["subject"].startswith("node001/gpu")
    assert asking.problems == []
    assert max(asking.seconds) < 1.0
    assert not set(before) & set(watched.children())
    say(
        f"a GPU's calls hang: told after {found_seconds:.1f} s, its child replaced; meanwhile a kernel line was an "
        f"incident after {judged_seconds * 1e3:.0f} ms; API: {asking.told()}"
    )
    if IS_LONG:
        wait_until("healed once the GPU answers again", lambda: not silence(watched), 90)
        say(f"the GPU answers from 20 s on: it was asked again and the finding gone at {time.time() - hung_at:.0f} s")


def test_a_reader_that_is_stopped_is_told_within_ten_seconds_and_replaced(watched: Watched) -> None:
    wait_until("eight GPUs are read", lambda: len(gpus_read_lately(watched)) == 8)
    (child,) = watched.children()
    with Asking(watched).going_on() as asking:
        os.kill(child, signal.SIGSTOP)
        begun = time.monotonic()
        finding = wait_until("the finding", lambda: silence(watched))
        found_seconds = time.monotonic() - begun
        watched.write(XID_48)
        wait_until("the incident of a kernel line", lambda: incident(watched), 2)
        wait_until("the finding gone", lambda: not silence(watched))
        healed_seconds = time.monotonic() - begun
    assert found_seconds <= FOUND_WITHIN_SECONDS
    assert (finding["severity"], finding["subject"]) == ("UNKNOWN", "node001")
    assert child not in watched.children()
    wait_until("eight GPUs are read again", lambda: len(gpus_read_lately(watched)) == 8)
    assert asking.problems == []
    assert max(asking.seconds) < 1.0
    say(
        f"NVML's child stopped by SIGSTOP: told after {found_seconds:.1f} s, all GPUs read again by a new child after "
        f"{healed_seconds:.1f} s; API: {asking.told()}"
    )


def test_sigterm_while_the_reader_hangs_ends_the_daemon_in_order_and_leaves_no_child(watched: Watched) -> None:
    wait_until("eight GPUs are read", lambda: len(gpus_read_lately(watched)) == 8)
    (child,) = watched.children()
    os.kill(child, signal.SIGSTOP)
    time.sleep(1.5)  # so that the daemon waits for the child
    code, seconds = watched.stop()
    assert code == 0
    assert seconds < 5.0
    wait_until("the child is gone", lambda: not is_alive(child), 5)
    assert watched.is_intact()
    say(f"SIGTERM while NVML's child is stopped: exit 0 after {seconds:.2f} s, no child left")


def is_alive(pid: int) -> bool:
    """Whether the process is there, and no zombie that its parent has yet to wait for."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
