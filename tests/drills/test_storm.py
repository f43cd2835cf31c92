"""The kernel prints the same line hundreds of thousands of times."""

import statistics
import threading
import time

from watched import IS_LONG, Asking, Watched, say, wait_until

LINES = 250_000 if IS_LONG else 50_000
CHUNK = 5_000
MOST_BYTES = 50 << 20
XID_79 = "NVRM: Xid (PCI:0000:1b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."


def test_a_storm_of_lines_is_one_incident_in_bounded_memory_while_the_api_answers(watched: Watched) -> None:
    watched.write(XID_79.replace("1b", "2b"))
    wait_until("the first judgement", lambda: watched.ask("/v1/state")["incidents"])
    time.sleep(2)
    before, most, over = watched.rss_bytes(), 0, threading.Event()

    def weigh() -> None:
        nonlocal most
        while not over.wait(0.05):
            most = max(most, watched.rss_bytes())

    weighing = threading.Thread(target=weigh)
    weighing.start()
    try:
        with Asking(watched, target="/v1/state").going_on() as asking:
            begun = time.monotonic()
            for _ in range(LINES // CHUNK):
                watched.write(*[XID_79] * CHUNK)
            wait_until("every line is counted", lambda: counted(watched) == LINES + 1, 120)
            seconds = time.monotonic() - begun
            time.sleep(2)
    finally:
        over.set()
        weighing.join()
    incidents = watched.ask("/v1/state")["incidents"]
    assert sum(one["count"] for one in incidents) == LINES + 1
    assert len(incidents) == 1
    assert asking.problems == []
    assert most - before < MOST_BYTES
    assert statistics.median(asking.seconds) < 0.1
    assert max(asking.seconds) < 2.0
    say(
        f"{LINES} lines of Xid 79: one incident, counted whole after {seconds:.1f} s; memory grew by at most "
        f"{(most - before) / 2**20:.1f} MiB from {before / 2**20:.0f}; API: {asking.told()}"
    )


def counted(watched: Watched) -> int:
    lines = watched.ask("/metrics").splitlines()
    return sum(int(float(line.rpartition(" ")[2])) for line in lines if line.startswith("fryer_gpu_xid_events_total{"))
