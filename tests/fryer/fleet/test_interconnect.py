"""What a worker says of its links, over a sysfs made as the kernel makes it."""

from pathlib import Path

import pytest

from fryer.cuda_order import CudaEntry
from fryer.fleet.interconnect import read_interconnect, read_nics
from fryer.fleet.orders import Interconnect


def port(sysfs: Path, device: str, rate: str = "400 Gb/sec (4X NDR)", state: str = "4: ACTIVE") -> None:
    folder = sysfs / "class" / "infiniband" / device / "ports" / "1"
    folder.mkdir(parents=True)
    (folder / "rate").write_text(f"{rate}\n")
    (folder / "state").write_text(f"{state}\n")


def gpus(number: int, name: str = "NVIDIA H100 80GB HBM3", has_multicast: bool | None = True) -> list[CudaEntry]:
    return [
        CudaEntry(uuid=str(i), name=name, pci_bus_id="", memory_bytes=1, has_multicast=has_multicast)
        for i in range(number)
    ]


def test_a_board_of_eight_says_its_links(tmp_path: Path) -> None:
    for index in range(8):
        port(tmp_path, f"mlx5_{index}")
    assert read_interconnect(gpus(8), tmp_path) == Interconnect(
        nvlink_bytes_per_second=450e9, has_switch=True, has_nvls=True, num_nics=8, nic_bytes_per_second=50e9
    )


def test_a_node_without_gpus_and_ports_knows_nothing(tmp_path: Path) -> None:
    assert read_interconnect([], tmp_path) == Interconnect()


@pytest.mark.parametrize("name", ["NVIDIA L40S", "NVIDIA A100 80GB PCIe"])
def test_of_a_product_without_nvlink_or_without_figures_nothing_is_known(tmp_path: Path, name: str) -> None:
    found = read_interconnect(gpus(8, name, has_multicast=False), tmp_path)
    assert (found.nvlink_bytes_per_second, found.has_switch, found.has_nvls) == (None, None, False)


def test_four_gpus_are_wired_without_a_switch(tmp_path: Path) -> None:
    assert read_interconnect(gpus(4, "NVIDIA A100-SXM4-80GB", has_multicast=None), tmp_path) == Interconnect(
        nvlink_bytes_per_second=300e9, has_switch=False, has_nvls=None
    )


def test_slower_ports_and_those_that_are_down_do_not_count(tmp_path: Path) -> None:
    port(tmp_path, "mlx5_0")
    port(tmp_path, "mlx5_1", rate="100 Gb/sec (4X EDR)")
    port(tmp_path, "mlx5_2", rate="10 Gb/sec (4X SDR)", state="1: DOWN")
    assert read_nics(1, tmp_path) == (1, 50e9)


@pytest.mark.parametrize(("number", "counted"), [(4, 4), (8, 8), (10, 8), (16, 16)])
def test_more_nics_than_gpus_that_are_no_multiple_are_of_the_storage_network(
    tmp_path: Path, number: int, counted: int
) -> None:
    for index in range(number):
        port(tmp_path, f"mlx5_{index}")
    assert read_nics(8, tmp_path) == (counted, 50e9)


def test_of_other_makes_nothing_is_expected(tmp_path: Path) -> None:
    port(tmp_path, "efa_0", rate="100 Gb/sec (4X EDR)")
    assert read_nics(8, tmp_path) == (None, None)


@pytest.mark.parametrize("rate", ["", "fast"])
def test_a_rate_that_is_none_is_not_known(tmp_path: Path, rate: str) -> None:
    port(tmp_path, "mlx5_0", rate=rate)
    assert read_nics(8, tmp_path) == (None, None)
