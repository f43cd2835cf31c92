import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchdog.simulator.fault import Fault
from watchdog.simulator.model import gpu_state, performance_factor
from watchdog.simulator.parts import PARTS
from watchdog.simulator.scenario import Fleet, Scenario

COUNTERS = (
    "energy_joules",
    "thermal_seconds",
    "power_brake_seconds",
    "ecc_corrected",
    "ecc_uncorrected",
    "remapped_corrected",
    "remapped_uncorrected",
    "nvlink_errors",
)
KINDS = ("slow", "throttle", "power_brake", "hot", "ecc", "row_remap", "xid", "nvlink_errors", "pcie_narrow")
NODE = "node001"


def scenario(*faults: Fault, seed: int = 7, part: str = "H100-SXM5-80GB") -> Scenario:
    return Scenario(seed=seed, fleet=Fleet(nodes="node[001-002]", part=part, noise=0.01), faults=faults)


def fault(kind: str, unit: str | None = "gpu0", **keys: object) -> Fault:
    return Fault(on=NODE, kind=kind, nodes=frozenset({NODE}), unit=unit, **keys)  # type: ignore[arg-type]


@st.composite
def faults(draw: st.DrawFn) -> Fault:
    return fault(
        draw(st.sampled_from(KINDS)),
        at_seconds=draw(st.floats(0, 50)),
        for_seconds=draw(st.none() | st.floats(0, 50)),
        factor=draw(st.none() | st.floats(0.1, 1.0)),
        per_second=draw(st.none() | st.floats(0.01, 10)),
        count=draw(st.none() | st.integers(1, 100)),
        corrected=draw(st.none() | st.booleans()),
    )


@given(st.lists(faults(), max_size=5), st.lists(st.floats(0, 200), min_size=2, max_size=8))
def test_counters_never_fall(some: list[Fault], times: list[float]) -> None:
    states = [gpu_state(scenario(*some), NODE, 0, at) for at in sorted(times)]
    for name in COUNTERS:
        values = [getattr(state, name) for state in states]
        assert values == sorted(values), name


@given(st.lists(faults(), max_size=5), st.floats(0, 200))
def test_no_counter_of_time_runs_ahead_of_time(some: list[Fault], at: float) -> None:
    state = gpu_state(scenario(*some), NODE, 0, at)
    assert 0 <= state.thermal_seconds <= at + 1e-9
    assert 0 <= state.power_brake_seconds <= at + 1e-9


@given(st.integers(0, 1000), st.floats(0, 1000), st.integers(0, 7))
def test_the_same_scenario_shows_the_same(seed: int, at: float, index: int) -> None:
    assert gpu_state(scenario(seed=seed), NODE, index, at) == gpu_state(scenario(seed=seed), NODE, index, at)
    assert performance_factor(scenario(seed=seed), NODE, index, at, "compute") == performance_factor(
        scenario(seed=seed), NODE, index, at, "compute"
    )


@given(st.sampled_from(sorted(PARTS)), st.floats(0, 1000))
def test_every_part_stays_within_its_own_limits(part: str, at: float) -> None:
    state = gpu_state(scenario(part=part), NODE, 3, at)
    assert 0 < state.power_watts <= PARTS[part].power_limit_watts
    assert 0 < state.sm_clock_hertz <= PARTS[part].sm_clock_max_hertz
    assert state.memory_temperature_celsius < PARTS[part].memory_limit_celsius


def test_gpus_differ_from_each_other_by_a_percent_and_for_good() -> None:
    factors = [
        performance_factor(scenario(), node, index, 5.0, "compute")
        for node in ("node001", "node002")
        for index in range(8)
    ]
    assert len(set(factors)) == 16
    assert all(0.97 < factor < 1.03 for factor in factors)
    assert factors[0] == performance_factor(scenario(), "node001", 0, 500.0, "compute")


@pytest.mark.parametrize(
    ("kind", "keys", "slowed"),
    [
        ("slow", {"factor": 0.5}, {"compute"}),
        ("slow", {"factor": 0.5, "what": "memory"}, {"memory"}),
        ("slow", {"factor": 0.5, "what": "link"}, {"link", "peer"}),
        ("throttle", {"factor": 0.5}, {"compute"}),
        ("power_brake", {"factor": 0.5}, {"compute"}),
        ("hot", {"factor": 0.5, "celsius": 98.0, "sensor": "memory"}, {"memory"}),
        ("hot", {"factor": 0.5, "celsius": 90.0}, {"compute"}),
        ("pcie_narrow", {"width": 8}, {"link"}),
        ("pcie_narrow", {"generation": 4}, {"link"}),
    ],
)
def test_a_fault_slows_what_it_is_about_and_nothing_else(kind: str, keys: dict[str, object], slowed: set[str]) -> None:
    one = scenario(fault(kind, **keys))
    for what in ("compute", "memory", "link", "peer"):
        for index in range(2):
            healthy = performance_factor(scenario(), NODE, index, 5.0, what)
            expected = 0.5 if what in slowed and index == 0 else 1.0
            assert performance_factor(one, NODE, index, 5.0, what) / healthy == pytest.approx(expected)


def test_without_nvlink_a_narrow_link_slows_the_way_to_peers_too() -> None:
    narrow = scenario(fault("pcie_narrow", width=8), part="H100-PCIe")
    healthy = performance_factor(scenario(part="H100-PCIe"), NODE, 0, 5.0, "peer")
    assert performance_factor(narrow, NODE, 0, 5.0, "peer") / healthy == pytest.approx(0.5)


@pytest.mark.parametrize("kind", ["throttle", "power_brake"])
def test_the_clock_falls_with_the_rate_where_a_reason_is_shown(kind: str) -> None:
    state = gpu_state(scenario(fault(kind, factor=0.5)), NODE, 0, 5.0)
    healthy = gpu_state(scenario(), NODE, 0, 5.0)
    assert state.sm_clock_hertz / healthy.sm_clock_hertz == pytest.approx(0.5, abs=0.01)
    assert (healthy.reasons, bool(state.reasons & ~healthy.reasons)) == (0x4, True)


def test_a_gpu_that_is_slow_for_no_reason_shows_a_healthy_clock() -> None:
    state = gpu_state(scenario(fault("slow", factor=0.5)), NODE, 0, 5.0)
    assert (state.reasons, state.sm_clock_hertz) == (0x4, gpu_state(scenario(), NODE, 0, 5.0).sm_clock_hertz)


def test_hot_memory_shows_no_reason() -> None:
    state = gpu_state(scenario(fault("hot", celsius=98.0, sensor="memory")), NODE, 0, 5.0)
    assert (state.memory_temperature_celsius, state.reasons, state.thermal_seconds) == (98.0, 0x4, 0.0)


def test_time_counters_stop_with_the_fault_and_overlaps_count_once() -> None:
    two = scenario(*(fault("throttle", at_seconds=at, for_seconds=4.0) for at in (2.0, 4.0)))
    assert [gpu_state(two, NODE, 0, at).thermal_seconds for at in (1, 3, 5, 8, 100)] == [0, 1, 3, 6, 6]


def test_errors_grow_from_their_beginning() -> None:
    growing = scenario(fault("ecc", at_seconds=2.0, per_second=0.5, count=3))
    assert [gpu_state(growing, NODE, 0, at).ecc_uncorrected for at in (1.9, 2, 4, 12)] == [0, 3, 4, 8]


def test_a_fault_of_the_whole_node_is_on_every_gpu_and_not_on_the_next_node() -> None:
    lost = scenario(fault("lost", unit=None))
    assert all(gpu_state(lost, NODE, index, 1.0).is_lost for index in range(8))
    assert not gpu_state(lost, "node002", 0, 1.0).is_lost
