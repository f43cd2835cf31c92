"""Made-up sysfs trees, one of them read by the real ibstat too."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from watchdog.collectors import Collected
from watchdog.collectors.infiniband import COUNTERS, Infiniband, Settings
from watchdog.vocabulary.errors import SourceFailed, SourceMissing
from watchdog.vocabulary.subjects import Subject

NODE = "node001"


def write(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in files.items():
        (folder / name).write_text(f"{value}\n", encoding="utf-8")


def port(sysfs: Path, device: str, number: int = 1, **files: object) -> Path:
    """A healthy port of 400 Gb/s, with `files` in place of its own."""
    folder = sysfs / "class/infiniband" / device
    write(folder, fw_ver="28.39.1002", board_id="MT_0000000838", node_type="1: CA", hca_type="MT4129", hw_rev="0")
    write(folder, node_guid="4d54:0100:0000:0000", sys_image_guid="4d54:0100:0000:0000", node_desc=f"test {device}")
    one = folder / "ports" / str(number)
    healthy = {"state": "4: ACTIVE", "phys_state": "5: LinkUp", "rate": "400 Gb/sec (4X NDR)"}
    write(one, **{**healthy, "link_layer": "InfiniBand", **files})
    write(one, lid="0x1", sm_lid="0x1", sm_sl="0", lid_mask_count="0", cap_mask="0xa651e848")
    write(one / "gids", **{"0": "fe80:0000:0000:0000:4d54:0100:0000:0000"})
    write(one / "pkeys", **{"0": "0xffff"})
    write(one / "counters", **dict.fromkeys(COUNTERS, 0), port_xmit_data=10, port_rcv_data=20)
    return one


def collect(sysfs: Path, **settings: object) -> Collected:
    return Infiniband(NODE, Settings(sysfs=sysfs, **settings)).collect(7.0)  # type: ignore[arg-type]


def values(collected: Collected, name: str = "mlx5_0:1") -> dict[str, float]:
    (found,) = [dict(row.values) for row in collected.rows if row.subject == Subject(NODE, "nic", name)]
    return found


def test_a_healthy_port_is_up_at_its_rate_with_its_counters(tmp_path: Path) -> None:
    write(port(tmp_path, "mlx5_0") / "hw_counters", out_of_sequence=3, rnr_nak_retry_err=4)
    found = values(collect(tmp_path))
    assert found == {
        "link_up": 1,
        "port_state": 4,
        "physical_state": 5,
        "rate_bytes_per_second": 50e9,
        "transmit_bytes_total": 40,
        "receive_bytes_total": 80,
        "saturated_counters": 0,
        "out_of_sequence_total": 3,
        "rnr_nak_retry_errors_total": 4,
        **dict.fromkeys(COUNTERS.values(), 0),
    }


@pytest.mark.parametrize(
    "files", [{"state": "1: DOWN", "phys_state": "3: Disabled"}, {"state": "2: INIT"}, {"phys_state": "2: Polling"}]
)
def test_a_port_that_is_not_active_is_down_and_has_no_rate(tmp_path: Path, files: dict[str, str]) -> None:
    port(tmp_path, "mlx5_0", rate="10 Gb/sec (4X SDR)", **files)
    found = values(collect(tmp_path))
    assert found["link_up"] == 0
    assert "rate_bytes_per_second" not in found


def test_counters_at_their_end_are_counted_and_named(tmp_path: Path) -> None:
    write(port(tmp_path, "mlx5_0") / "counters", link_downed=255, symbol_error=65535, link_error_recovery=254)
    collected = collect(tmp_path)
    found = values(collected)
    assert (found["link_downed_total"], found["symbol_errors_total"], found["saturated_counters"]) == (255, 65535, 2)
    facts = collected.facts[Subject(NODE, "nic", "mlx5_0:1")]
    assert facts["saturated"] == ["symbol_errors_total", "link_downed_total"]


def test_what_a_port_does_not_tell_is_absent_and_not_zero(tmp_path: Path) -> None:
    one = port(tmp_path, "mlx5_0")
    shutil.rmtree(one / "counters")
    (one / "phys_state").unlink()
    write(one / "hw_counters", out_of_sequence="Invalid argument")
    assert values(collect(tmp_path)) == {"saturated_counters": 0}


def test_facts_say_who_the_port_is_and_come_again_only_when_they_changed(tmp_path: Path) -> None:
    one = port(tmp_path, "mlx5_0")
    bus = tmp_path / "devices/pci0000:15/0000:15:01.0/0000:18:00.0"
    bus.mkdir(parents=True)
    (tmp_path / "class/infiniband/mlx5_0/device").symlink_to(bus)
    subject = Subject(NODE, "nic", "mlx5_0:1")
    collector = Infiniband(NODE, Settings(sysfs=tmp_path))
    assert collector.collect(0.0).facts[subject] == {
        "link_layer": "InfiniBand",
        "rate": "400 Gb/sec (4X NDR)",
        "port_state": "4: ACTIVE",
        "board": "MT_0000000838",
        "firmware": "28.39.1002",
        "pci_bus_id": "0000:18:00.0",
        "saturated": [],
    }
    assert collector.collect(1.0).facts == {}
    write(one, state="1: DOWN")
    assert collector.collect(2.0).facts[subject]["port_state"] == "1: DOWN"


def test_ports_that_are_not_used_are_left_out_and_the_node_counts_the_others(tmp_path: Path) -> None:
    for device, number in (("mlx5_0", 1), ("mlx5_1", 1), ("mlx5_1", 2)):
        port(tmp_path, device, number)
    collected = collect(tmp_path, ignored=("mlx5_1:2",))
    assert [str(row.subject) for row in collected.rows] == ["node001/nic:mlx5_0:1", "node001/nic:mlx5_1:1", "node001"]
    assert collected.rows[-1].values == {"nic_ports_visible": 2}


def test_a_machine_without_a_port_has_no_such_source_and_one_that_lost_all_has_failed(tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match="no port"):
        collect(tmp_path)
    port(tmp_path, "mlx5_0")
    collector = Infiniband(NODE, Settings(sysfs=tmp_path))
    collector.collect(0.0)
    shutil.rmtree(tmp_path / "class/infiniband/mlx5_0")
    with pytest.raises(SourceFailed, match="had ports and has none now"):
        collector.collect(1.0)


def test_ibstat_reads_the_same_from_the_same_tree(tmp_path: Path) -> None:
    """The tree is laid over /sys/class in a mount namespace of its own."""
    if shutil.which("ibstat") is None or os.geteuid() != 0:
        if os.environ.get("CI") == "true":
            pytest.fail("ibstat (infiniband-diags) and root are needed here")
        pytest.skip("needs ibstat (infiniband-diags) and root")
    port(tmp_path, "mlx5_0")
    port(tmp_path, "mlx5_1", state="2: INIT", rate="200 Gb/sec (4X HDR)")
    for index in (0, 1):
        write(tmp_path / f"class/infiniband_mad/umad{index}", ibdev=f"mlx5_{index}", port="1")
    write(tmp_path / "class/infiniband_mad", abi_version="5")
    commands = f"mount --make-rprivate / && mount --bind {tmp_path}/class /sys/class && exec ibstat"
    done = subprocess.run(
        ["unshare", "--mount", "--fork", "sh", "-c", commands], capture_output=True, text=True, timeout=60, check=True
    )
    blocks = re.split(r"^CA '", done.stdout, flags=re.MULTILINE)[1:]
    told = {block.partition("'")[0]: dict(re.findall(r"^\s*([\w ]+): (.*)$", block, re.MULTILINE)) for block in blocks}
    ours = {row.subject.name.partition(":")[0]: row.values for row in collect(tmp_path).rows if row.subject.name}
    assert {name: (state["State"] == "Active", state["Physical state"]) for name, state in told.items()} == {
        name: (value["link_up"] == 1, "LinkUp" if value["physical_state"] == 5 else "?") for name, value in ours.items()
    }
    assert [float(told["mlx5_0"]["Rate"]) * 1e9 / 8] == [ours["mlx5_0"]["rate_bytes_per_second"]]
    assert told["mlx5_1"]["State"] == "Initializing"
