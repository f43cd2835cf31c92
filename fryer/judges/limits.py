"""Every threshold of the verdict, with where it comes from. What belongs to a product is in `fryer.parts`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Thresholds. Ratios are shares of what is compared with: 0.05 is five percent."""

    node_warn_ratio: float = 0.05
    """Below the median of the node's devices. Healthy GPUs of one node differ by 5 % (ml-engineering)."""
    node_fail_ratio: float = 0.10
    """gpu-fryer's limit, here against the median and not against the best."""
    node_least_devices: int = 3
    """A median of two says no more than the better of them."""
    best_warn_ratio: float = 0.10
    """Below the best of the node: says something where the median can't, since half of the node may be slow. Wider than
    against the median: among eight devices that vary by 2 % the best and the worst are 6 % apart on average."""
    best_fail_ratio: float = 0.20
    """Twice `best_warn_ratio`. The largest spread of healthy GPUs that was published is 22 %, over a whole cluster and
    not in a node (Sinha et al., "Not all GPUs are created equal", SC22)."""
    noise_factor: float = 3.0
    """A shortfall must also exceed this many standard deviations of the devices compared (from their median absolute
    deviation): one false alarm in 740 on a normal population, and then only where 10 % is noise."""
    past_warn_ratio: float = 0.03
    """Below the same device's last qualification. One GPU repeats itself within about 1 %; 3 % is what ambient
    temperature and library versions move it by (ours)."""
    past_fail_ratio: float = 0.07
    """Ours: above what a driver release moves, and below the node's 10 %: a device is its own best reference."""
    fleet_warn_ratio: float = 0.05
    """Below the median of the other devices of the part; SuperBench's usual limit."""
    fleet_fail_ratio: float = 0.10
    """Twice that. SC22 (see `best_fail_ratio`) found 8 % mean variation, which `noise_factor` allows for."""
    fleet_least_devices: int = 5
    """Others of the part that are needed for a median absolute deviation worth the name."""
    drift_inconclusive_ratio: float = 0.05
    """A series that moves on by more than this over the run has no figure to judge; by less, it is worth a look."""
    stutter_below_ratio: float = 0.90
    """Share of its own median below which an interval is a slow one: a settled GPU stays within a few percent."""
    stutter_share_ratio: float = 0.05
    """Share of slow intervals above which a device stutters; as `throttle_fail_ratio`."""
    stutter_least_points: int = 20
    """With fewer intervals a single slow one would be that share already."""
    stutter_fail_ratio: float = 0.10
    """Work lost against its own median; as `node_fail_ratio`: so far below the others a device fails, however it gets
    there."""
    throttle_fail_ratio: float = 0.05
    """Share of time slowed down: at 5 % a synchronous job waits for it one step in twenty (ours)."""
    throttle_fail_seconds: float = 2.0
    """And at least so long: a single look at once a second is no share."""
    throttle_ignore_seconds: float = 0.1
    """Less than this in the driver's counters is nothing: DCGM fails GPUs for "0.0 s" (NVIDIA/DCGM issue 242)."""
    margin_warn_celsius: float = 2.0
    """Degrees left to the slowdown threshold; the slowdown offset itself is 2 on an H100."""
    ecc_corrected_per_hour: float = 100.0
    """Ours: single corrected errors are normal, a stream of them precedes row remapping (Xid 92)."""
    ecc_corrected_least: int = 10
    """And at least so many, since a short run has a rate of its own."""
    link_warn_ratio: float = 0.92
    """Of what a healthy copy reaches over the slowest link of the path: 48 to 52 of 55 GB/s are the limits in use
    (azurehpc-health-checks, oci-hpc)."""
    link_fail_ratio: float = 0.80
    """Below it a link runs at a lower generation or width, or shares its path."""
    nvlink_fail_per_second: float = 100.0
    """DCGM_LIMIT_MAX_NVLINK_CRC_ERROR: "CRC errors only matter at rates of 100+ per second"."""
    pcie_bit_error_ratio: float = 1e-12
    """Errors a bit that the specification allows: 1.92 replays a minute and lane at Gen5 (DCGM, DcgmHealthWatch)."""
    pair_fail_ratio: float = 0.10
    """Below the median of all pairs on a switched fabric, whose pairs agree to 1 % (786 GB/s +- 0.3, Playbook)."""
    telemetry_readings_per_second: float = 0.05
    """Readings of a GPU needed while it is measured; the reader looks once a second, and slower only where it must."""
    busy_others_ratio: float = 0.10
    """Share of processor time used by others from which a slow processor proves nothing (ours)."""
    busy_steal_ratio: float = 0.05
    """Share of processor time taken by the hypervisor, likewise."""
    busy_pressure_ratio: float = 0.50
    """Stands in where the other two can't be read; our own threads alone cause some pressure."""
