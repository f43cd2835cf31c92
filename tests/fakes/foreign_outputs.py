"""Outputs of other tools as they print them, built from the few figures that a test is about.

Their forms are those of the tools' own sources; only nccl-tests', dcgmi's and nvidia-smi's are held to captured files.
"""

import json
from collections.abc import Mapping, Sequence

H100 = "NVIDIA H100 80GB HBM3"


def nccl_text(
    rows: Sequence[tuple[int, float, str]],
    *,
    operation: str = "all_reduce",
    hosts: Sequence[str] = ("n1",) * 8,
    part: str = H100,
    out_of_bounds: str = "0 OK",
) -> str:
    """``rows``: size in bytes, bus bandwidth in GB/s, and the cell below ``#wrong``."""
    ranks = len(hosts)
    lines = [
        f"# Collective test starting: {operation}_perf",
        "# nThread 1 nGpus 1 minBytes 8 maxBytes 8589934592 step: 2(factor) warmup iters: 5 iters: 20 validation: 1",
        "# Using devices",
        *(
            f"#  Rank {rank:2} Group  0 Pid {1000 + rank} on {host} device  {rank % 8} [0000:{rank + 16:02x}:00] {part}"
            for rank, host in enumerate(hosts)
        ),
        "#                                  out-of-place                  in-place",
        "#  size  count  type  redop  root  time  algbw  busbw #wrong  time  algbw  busbw #wrong",
        "#   (B)  (elements)                (us)  (GB/s)  (GB/s)         (us)  (GB/s)  (GB/s)",
    ]
    factor = 2 * (ranks - 1) / ranks if operation == "all_reduce" else (ranks - 1) / ranks
    for size, busbw, wrong in rows:
        algbw = busbw / factor
        half = f"{size / algbw / 1e3:.1f}  {algbw:.2f}  {busbw:.2f}  {wrong}"
        lines.append(f"{size:12} {size // 4:12} float sum -1  {half}  {half}")
    return "\n".join([*lines, f"# Out of bounds values : {out_of_bounds}", "# Avg bus bandwidth    : 100.0", "#", ""])


def nccl_json(busbw: float = 480.0, *, nwrong: float = 0, ranks: int = 8, **changes: object) -> str:
    """Version 3, one size of 8 GiB."""
    size = 8 << 30
    algbw = busbw / (2 * (ranks - 1) / ranks)
    half = {"time": size / algbw / 1e3, "alg_bw": algbw, "bus_bw": busbw, "nwrong": nwrong}
    devices = [
        {"rank": rank, "group": 0, "pid": 1, "hostname": "n1", "device": rank, "device_hex": "0", "device_info": H100}
        for rank in range(ranks)
    ]
    whole: dict[str, object] = {
        "version": 3,
        "start_time": "2026-01-01 00:00:00",
        "args": ["./build/all_reduce_perf", "-b", "8G", "-e", "8G"],
        "env": ["PATH=/bin"],
        "nccl_version": 22809,
        "config": {"nthreads": 1, "ngpus": 1, "validation": 1, "devices": devices},
        "results": [
            {"size": size, "count": size // 4, "type": "float", "redop": "sum", "root": "-1"}
            | {"out_of_place": half, "in_place": half, "actual_iterations": 20, "experiment_name": "default"}
        ],
        "out_of_bounds": {"count": int(nwrong > 0), "okay": "true" if nwrong == 0 else "false"},
        "average_bus_bandwidth": {"bandwidth": busbw, "okay": "unchecked"},
        "errors": [],
        "end_time": "2026-01-01 00:01:00",
    }
    return json.dumps({key: value for key, value in (whole | changes).items() if value is not None})


def dcgm3_json(tests: Mapping[str, Sequence[Mapping[str, object]]]) -> str:
    """DCGM 3: results by test name."""
    listed = [{"name": name, "results": list(results)} for name, results in tests.items()]
    inner = {
        "test_categories": [{"category": "Hardware", "tests": listed}],
        "version": "3.3.9",
        "Driver Version Detected": "560.35.03",
        "GPU Device IDs": ["2330"] * 4,
        "GPU Device Serials": {"0": "165012403159", "1": "165012403160"},
    }
    return json.dumps({"DCGM GPU Diagnostic": inner}, indent=1)


def dcgm4_json(tests: Mapping[str, Sequence[Mapping[str, object]]], *, num_gpus: int = 4) -> str:
    """DCGM 4: results by test name, each with its ``entity_id``."""
    listed = []
    for name, results in tests.items():
        worst = "Fail" if any(result["status"] == "Fail" for result in results) else results[0]["status"]
        own = [{"entity_group": "GPU", "entity_group_id": 1, **result} for result in results]
        listed.append({"name": name, "results": own, "test_summary": {"status": worst}})
    document = {
        "DCGM Diagnostic": {"test_categories": [{"category": "Hardware", "tests": listed}]},
        "entity_groups": [
            {
                "entity_group": "GPU",
                "entity_group_id": 1,
                "entities": [
                    {"entity_id": index, "device_id": "2330", "serial_num": f"16501{index}"}
                    for index in range(num_gpus)
                ],
            }
        ],
        "metadata": {"version": "4.4.2", "Driver Version Detected": "580.105.08"},
    }
    return json.dumps(document, indent=1)


def smi_text(*gpus: Mapping[str, str], attached: int | None = None) -> str:
    """``nvidia-smi -q`` of GPUs, each given by what differs from a healthy one: ``Remapped Rows/Pending``."""
    lines = ["", "==============NVSMI LOG==============", "", f"Attached GPUs{' ' * 29}: {attached or len(gpus)}"]
    for index, changes in enumerate(gpus):
        lines.append(f"GPU 00000000:{index + 16:02X}:00.0")
        printed: list[str] = []
        for path, value in ({**_HEALTHY, **changes}).items():
            *parents, key = path.split("/")
            for depth, parent in enumerate(parents):
                if printed[: depth + 1] != parents[: depth + 1]:
                    lines.append(f"{' ' * 4 * (depth + 1)}{parent}")
                    printed = parents[: depth + 1]
            printed = parents
            lines.append(f"{' ' * 4 * (len(parents) + 1)}{key} : {value}")
        lines.append("    Processes                             : None")
    return "\n".join([*lines, ""])


_HEALTHY = {
    "Product Name": H100,
    "Persistence Mode": "Enabled",
    "Serial Number": "1650124031592",
    "GPU UUID": "GPU-ee7954ec",
    "VBIOS Version": "96.00.74.00.0D",
    "GPU Reset Status/Reset Required": "No",
    "GPU Reset Status/Drain and Reset Recommended": "No",
    "GPU Recovery Action": "None",
    "PCI/GPU Link Info/PCIe Generation/Max": "5",
    "PCI/GPU Link Info/PCIe Generation/Current": "5",
    "PCI/GPU Link Info/PCIe Generation/Device Max": "5",
    "PCI/GPU Link Info/Link Width/Max": "16x",
    "PCI/GPU Link Info/Link Width/Current": "16x",
    "PCI/Replays Since Reset": "0",
    "Performance State": "P0",
    "Clocks Event Reasons/Idle": "Not Active",
    "Clocks Event Reasons/SW Power Cap": "Active",
    "Clocks Event Reasons/HW Slowdown": "Not Active",
    "Clocks Event Reasons/HW Slowdown/HW Thermal Slowdown": "Not Active",
    "Clocks Event Reasons/HW Slowdown/HW Power Brake Slowdown": "Not Active",
    "Clocks Event Reasons/SW Thermal Slowdown": "Not Active",
    "Utilization/Gpu": "100 %",
    "ECC Mode/Current": "Enabled",
    "ECC Mode/Pending": "Enabled",
    "ECC Errors/Volatile/SRAM Correctable": "0",
    "ECC Errors/Volatile/SRAM Uncorrectable Parity": "0",
    "ECC Errors/Volatile/DRAM Uncorrectable": "0",
    "ECC Errors/Aggregate/DRAM Uncorrectable": "0",
    "ECC Errors/Aggregate/SRAM Threshold Exceeded": "No",
    "Retired Pages/Single Bit ECC": "N/A",
    "Retired Pages/Pending Page Blacklist": "N/A",
    "Remapped Rows/Correctable Error": "0",
    "Remapped Rows/Uncorrectable Error": "0",
    "Remapped Rows/Pending": "No",
    "Remapped Rows/Remapping Failure Occurred": "No",
    "Temperature/GPU Current Temp": "65 C",
    "Temperature/GPU T.Limit Temp": "22 C",
    "Temperature/Memory Current Temp": "80 C",
    "GPU Power Readings/Power Draw": "690.00 W",
    "GPU Power Readings/Current Power Limit": "700.00 W",
    "GPU Power Readings/Default Power Limit": "700.00 W",
    "Clocks/SM": "1700 MHz",
    "Max Clocks/SM": "1980 MHz",
    "Fabric/State": "Completed",
    "Fabric/Status": "Success",
}


def nvbandwidth_text(
    host: Sequence[float] = (55.1,) * 4, pairs: Sequence[Sequence[float | None]] = (), *, part: str = H100
) -> str:
    """One case of host copies, and one of pairs where those are given; GB/s."""
    lines = ["nvbandwidth Version: v0.8", "Built from Git version: v0.8", "", "CUDA Runtime Version: 12080", ""]
    lines += [f"Device {index}: {part} (00000000:{index + 16:02x}:00)" for index in range(len(host))]
    lines += ["", "Running host_to_device_memcpy_ce.", "memcpy CE CPU(row) -> GPU(column) bandwidth (GB/s)"]
    lines += _matrix([host], "host_to_device_memcpy_ce")
    if pairs:
        lines += ["Running device_to_device_memcpy_read_ce.", "memcpy CE GPU(row) -> GPU(column) bandwidth (GB/s)"]
        lines += _matrix(pairs, "device_to_device_memcpy_read_ce")
    note = "NOTE: This tool reports current measured bandwidth on your system."
    return "\n".join([*lines, note, "Additional system-specific tuning may be required.", ""])


def _matrix(rows: Sequence[Sequence[float | None]], name: str) -> list[str]:
    total = sum(value or 0.0 for row in rows for value in row)
    return [
        "  " + "".join(f"{column:10}" for column in range(len(rows[0]))),
        *(
            f"{index:2}" + "".join(f"{'N/A':>10}" if value is None else f"{value:10.2f}" for value in row)
            for index, row in enumerate(rows)
        ),
        "",
        f"SUM {name} {total:.2f}",
        "",
    ]


def nvbandwidth_json(host: Sequence[float] = (55.1,) * 4, *, part: str = H100, **changes: object) -> str:
    """One case of host copies, GB/s."""
    inner: dict[str, object] = {
        "CUDA Runtime Version": 12080,
        "Driver Version": "570.86",
        "GPU Device list": [f"{index}: {part} (00000000:{index + 16:02x}:00): (n1)" for index in range(len(host))],
        "git_version": "v0.8",
        "version": "v0.8",
        "testcases": [
            {
                "bandwidth_description": "memcpy CE CPU(row) -> GPU(column) bandwidth (GB/s)",
                "bandwidth_matrix": [[f"{value:g}" for value in host]],
                "name": "host_to_device_memcpy_ce",
                "status": "Passed",
                "sum": sum(host),
            }
        ],
    }
    return json.dumps({"nvbandwidth": inner | changes}, indent=3)


def gpu_fryer(
    tflops: Sequence[float],
    *,
    part: str = H100,
    ticks: Sequence[Sequence[str | None]] = (),
    problems: Sequence[tuple[int, str]] = (),
    formats: Sequence[str] = ("bf16",),
) -> str:
    """``ticks``: for each second the throttle reason of each GPU."""
    gpus = range(len(tflops))
    documents: list[object] = [
        {
            "type": "detected_gpus",
            "detected_gpus": [{"index": index, "name": part, "uuid": f"GPU-{index}"} for index in gpus],
        },
        {"type": "feature_detection"}
        | {name: name in formats for name in ("bf16", "fp8", "fp32")}
        | {"gpu_memory_used": [{"gpu_idx": index, "memory_mb": 72000} for index in gpus]},
    ]
    for reasons in ticks or [[None] * len(tflops)] * 60:
        seen = [
            {
                "gpu_idx": i,
                "nops": 660,
                "flops": int(tflops[i] * 1e12),
                "temp_celsius": 65,
                "throttle_reason": reasons[i],
            }
            for i in gpus
        ]
        documents.append({"type": "progress", "gpus": seen})
    results = [
        {
            "burn_result": {
                "gpu_idx": index,
                "flops_max": int(tflops[index] * 1.01e12),
                "flops_min": int(tflops[index] * 0.99e12),
                "temp_max": 70,
                "temp_min": 50,
                "throttling_hw": 0,
                "throttling_thermal_sw": 0,
                "throttling_thermal_hw": 0,
            },
            "flops_avg": tflops[index] * 1e12,
        }
        for index in gpus
    ]
    documents.append({"type": "results", "gpus": results})
    documents.append({"type": "problems", "problems": [{"gpu_idx": gpu, "reason": why} for gpu, why in problems]})
    return "".join(json.dumps(document) + "\n" for document in documents)
