"""Disk that the daemon's store takes in a week, and what writing costs: 8 GPUs at 1 Hz, and all that is around them.

Two hours on a fast clock are written and rolled up for real, in one transaction a second with its fsync, as the daemon
does. The bytes of readings, minutes and steps are then told apart by taking them away one after the other, and a week
is that many of each as `Retention` keeps.
"""

import random
import struct
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.show import show
from watchdog.store import Retention, Store, Writer
from watchdog.store.connection import reading
from watchdog.store.items import Item
from watchdog.store.upkeep import SPARE_BYTES, pack_steps, prune, roll_up
from watchdog.vocabulary.runs import Step
from watchdog.vocabulary.samples import Event, Row
from watchdog.vocabulary.subjects import Subject

HOURS = 2
START = 472_222 * 3600
"""The beginning of some hour."""
GPUS = 8
STEP_SECONDS = 2
ROLL_UP_SECONDS = 600
WEEK_HOURS = 168
BUDGET_MB = 50


def main() -> None:
    """Print MB a week, by what they are for and in all, and rows and CPU seconds."""
    for has_run in (False, True):
        with TemporaryDirectory() as directory:
            measure(Store.open(Path(directory)), has_run)


def measure(store: Store, has_run: bool) -> None:
    """Write, take away one kind after the other, print."""
    empty = used_bytes(store)
    num_rows, wall_seconds, cpu_seconds, log_bytes = write(store, has_run)
    retention, end = Retention(), START + HOURS * 3600.0
    loose = used_bytes(store)
    pack_steps(store, end, Retention(steps_seconds=0.0))
    packed = used_bytes(store)
    prune(store, end + 1.0, Retention(rows_seconds=0.0))
    rest = used_bytes(store)
    per_hour = {
        "readings": (packed - rest, retention.rows_seconds / 3600),
        "steps of all ranks": (loose - packed, retention.steps_seconds / 3600),
        "minutes, steps of one rank, events": (rest - empty, WEEK_HOURS),
    }
    megabytes = {name: size / HOURS * hours / 1e6 for name, (size, hours) in per_hour.items()}
    title = f"store, 8 GPUs at 1 Hz, {'a step of 8 ranks each 2 s' if has_run else 'no run'}:"
    print(title)
    for name, size in megabytes.items():
        show(f"  MB of {name}, {per_hour[name][1]:g} h", [size], "")
    total = sum(megabytes.values()) + (empty + log_bytes + SPARE_BYTES) / 1e6
    show("  MB after a week, log and spare pages included", [total], f"budget <= {BUDGET_MB}")
    show("  readings written a second", [num_rows / wall_seconds], "each second's in one transaction, with fsync")
    show("  CPU of writing and rolling up / time written for", [cpu_seconds / (HOURS * 3600)], "budget < 0.01")


def write(store: Store, has_run: bool) -> tuple[int, float, float, int]:
    """Write `HOURS`; (rows, wall-clock seconds, CPU seconds, largest size of the log)."""
    chance = random.Random(1)
    writer = Writer(store, period_seconds=3600.0).start()
    num_rows = log_bytes = 0
    wall, cpu = 0.0, 0.0
    for second in range(HOURS * 3600):
        items = tick(chance, second)
        if has_run:
            items += run(chance, second)
        num_rows += sum(isinstance(item, Row) for item in items)
        began, cpu_began = time.perf_counter(), time.process_time()
        writer.submit(items, at_once=True).result()
        if second % ROLL_UP_SECONDS == ROLL_UP_SECONDS - 1:
            roll_up(store)
        wall += time.perf_counter() - began
        cpu += time.process_time() - cpu_began
        log_bytes = max(log_bytes, store.path.with_name(store.path.name + "-wal").stat().st_size)
    roll_up(store)
    writer.close(60.0)
    return num_rows, wall, cpu, log_bytes


def tick(chance: random.Random, second: int) -> list[Item]:
    """What the collectors give in a second: GPUs each second, the others with periods of their own."""
    at = START + second + chance.random() * 0.01
    items: list[Item] = [Row(subject=Subject("n1", "gpu", f"GPU-{n}"), at=at, values=gpu(chance)) for n in range(GPUS)]
    if second % 5 == 0:
        names = ("cpu_busy_ratio", "cpu_pressure_ratio", "memory_pressure_ratio", "io_pressure_ratio")
        values = {name: chance.randrange(10_000) / 10_000 for name in names}
        values |= {"memory_available_bytes": chance.randrange(10**12), "memory_total_bytes": 2e12}
        items.append(Row(subject=Subject("n1"), at=at, values=values))
    if second % 10 == 0:
        counters = {"link_up": 1.0, "rate_bytes_per_second": 5e10, "link_downed_total": 0.0, "symbol_errors_total": 3.0}
        items += [Row(subject=Subject("n1", "nic", f"mlx5_{n}:1"), at=at, values=counters) for n in range(8)]
        health = [Subject("n1", "process", f"collector:{name}") for name in "abcdefgh"]
        items += [Row(subject=one, at=at, values={"duration_seconds": chance.random(), "success": 1}) for one in health]
    if second % 60 == 0:
        disk = {"free_bytes": float(chance.randrange(10**12)), "total_bytes": 7e12, "read_latency_seconds": 1e-4}
        items += [Row(subject=Subject("n1", "disk", name), at=at, values=disk) for name in ("/", "/scratch")]
        items.append(Event(kind="nvrm", subject=Subject("n1"), at=at, message=f"a line {second}", line="x" * 120))
    return items


def run(chance: random.Random, second: int) -> list[Item]:
    """What a training run gives in a second."""
    if second % STEP_SECONDS:
        return []
    at = START + second + chance.random() * 0.01
    values = {"step": second / STEP_SECONDS, "loss": single(chance.random()), "tokens_per_second": chance.random()}
    items: list[Item] = [step(chance, second // STEP_SECONDS, rank, at) for rank in range(GPUS)]
    return [*items, Row(subject=Subject("n1", "run", "r"), at=at, values=values)]


def gpu(chance: random.Random) -> dict[str, float]:
    """A busy H100: what varies does so as there, to the resolution of NVML (mW, degrees, 15 MHz, percent, KB/s)."""
    return {
        "power_watts": round(chance.gauss(650.0, 15.0), 3),
        "temperature_celsius": float(chance.randint(60, 63)),
        "memory_temperature_celsius": float(chance.randint(70, 72)),
        "temperature_margin_celsius": float(chance.randint(24, 27)),
        "sm_clock_hertz": 1.98e9 - 15e6 * chance.randint(0, 5),
        "memory_clock_hertz": 2.619e9,
        "clock_event_reasons": float(chance.choice([0, 4])),
        "thermal_throttle_seconds": 0.0,
        "power_brake_seconds": 0.0,
        "utilization_ratio": chance.randint(95, 100) / 100,
        "memory_utilization_ratio": chance.randint(40, 60) / 100,
        "memory_used_bytes": 7.5e10 + 2097152.0 * chance.randint(0, 9),
        "pcie_rx_bytes_per_second": 1000.0 * chance.randint(0, 10**6),
        "pcie_tx_bytes_per_second": 1000.0 * chance.randint(0, 10**6),
        "pcie_generation": 5.0,
        "pcie_width": 16.0,
        **dict.fromkeys(("ecc_corrected_total", "ecc_uncorrected_total", "remap_pending", "remap_failed"), 0.0),
        **dict.fromkeys(("remapped_rows_corrected", "remapped_rows_uncorrected", "recovery_action", "lost"), 0.0),
        **dict.fromkeys(("nvlink_errors_total", "pcie_replays_total", "remap_banks_none", "remap_banks_low"), 0.0),
        "nvlink_links_up": 18.0,
        "fabric_state": 3.0,
    }


def step(chance: random.Random, number: int, rank: int, at: float) -> Step:
    """A step of a rank: times of its own, loss and norm that all ranks have agreed on."""
    shared = random.Random(number)
    sections = ("data", "forward", "backward", "communication", "optimizer", "checkpoint")
    return Step(
        run="r",
        rank=rank,
        step=number,
        at=at + chance.random() * 0.01,
        seconds=chance.gauss(2.0, 0.01),
        tokens=1 << 22,
        loss=single(shared.random() + 2.0),
        grad_norm=single(shared.random()),
        lr=3e-4,
        times={section: chance.random() for section in sections},
        batch_id=f"main/{number}",
    )


def single(value: float) -> float:
    """As a tensor of 32 bits holds it."""
    (rounded,) = struct.unpack("<f", struct.pack("<f", value))
    return float(rounded)


def used_bytes(store: Store) -> int:
    """Pages in use: what the file would be without its free ones."""
    with reading(store.engine) as connection:
        size, pages, free = (
            int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
            for name in ("page_size", "page_count", "freelist_count")
        )
    return size * (pages - free)


if __name__ == "__main__":
    main()
