"""Made-up sysfs trees with the links that a real one has: bus/pci/devices points into the tree of bridges."""

import shutil
from pathlib import Path

import pytest

from watchdog.collectors import Collected
from watchdog.collectors.pcie import Pcie, Settings
from watchdog.vocabulary.errors import SourceFailed, SourceMissing
from watchdog.vocabulary.subjects import Kind, Subject

NODE = "node001"
UUID = "GPU-5f3a0000-0000-0000-0000-000000000001"
BRIDGE = "pci0000:15/0000:15:01.0"
AER = "RxErr 0\nBadTLP {tlp}\nBadDLLP 0\nRollover 0\nTimeout 0\nNonFatalErr 0\nTOTAL_ERR_COR {tlp}"


def write(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in files.items():
        (folder / name).write_text(f"{value}\n", encoding="utf-8")


def device(root: Path, bus_id: str, pci_class: str, vendor: str, *, parent: str = BRIDGE, **files: object) -> Path:
    """A device behind a port, linked at generation 5 and 16 lanes, with `files` in place of its own."""
    link = {"current_link_speed": "32.0 GT/s PCIe", "current_link_width": 16}
    most = {"max_link_speed": "32.0 GT/s PCIe", "max_link_width": 16}
    folder = root / "sys/devices" / parent / bus_id
    write(folder.parent, **most, aer_dev_correctable=AER.format(tlp=2))
    write(folder, **{"class": pci_class, "vendor": vendor, **link, **most, **files})
    listed = root / "sys/bus/pci/devices"
    listed.mkdir(parents=True, exist_ok=True)
    (listed / bus_id).symlink_to(folder)
    return folder


def gpu(root: Path, bus_id: str = "0000:18:00.0", uuid: str = UUID, **files: object) -> Path:
    write(
        root / "proc/driver/nvidia/gpus" / bus_id, information=f"Model: \t\t NVIDIA H100\nGPU UUID: \t {uuid}\nIRQ: 7"
    )
    return device(root, bus_id, "0x030200", "0x10de", **files)


def collector(root: Path) -> Pcie:
    return Pcie(NODE, Settings(sysfs=root / "sys", procfs=root / "proc"))


def values(collected: Collected, kind: Kind, name: str) -> dict[str, float]:
    (found,) = [dict(row.values) for row in collected.rows if row.subject == Subject(NODE, kind, name)]
    return found


def test_a_gpu_is_its_uuid_with_its_link_and_the_errors_of_both_ends(tmp_path: Path) -> None:
    nonfatal = "Undefined 0\nCmpltTO 1\nTOTAL_ERR_NONFATAL 1"
    files = {"aer_dev_correctable": AER.format(tlp=5), "aer_dev_nonfatal": nonfatal}
    gpu(tmp_path, aer_dev_fatal="TOTAL_ERR_FATAL 0", **files)
    collected = collector(tmp_path).collect(0.0)
    assert values(collected, "gpu", UUID) == {
        "pcie_generation": 5,
        "pcie_width": 16,
        "aer_correctable_total": 5,
        "aer_nonfatal_total": 1,
        "aer_fatal_total": 0,
        "aer_upstream_correctable_total": 2,
    }
    assert collected.facts[Subject(NODE, "gpu", UUID)] == {
        "pci_bus_id": "0000:18:00.0",
        "pcie_generation_max": 5,
        "pcie_width_max": 16,
        "pcie_upstream": "0000:15:01.0",
        "aer": {"BadTLP": 5, "CmpltTO": 1},
    }


def test_a_link_can_do_what_both_its_ends_can(tmp_path: Path) -> None:
    folder = gpu(tmp_path)
    write(folder.parent, max_link_speed="16.0 GT/s PCIe", max_link_width=8)
    facts = collector(tmp_path).collect(0.0).facts[Subject(NODE, "gpu", UUID)]
    assert (facts["pcie_generation_max"], facts["pcie_width_max"]) == (4, 8)


def test_a_device_that_answers_with_ones_has_no_width_and_no_generation(tmp_path: Path) -> None:
    gpu(tmp_path, current_link_speed="Unknown", current_link_width=63)
    assert values(collector(tmp_path).collect(0.0), "gpu", UUID) == {"aer_upstream_correctable_total": 2}


def test_a_gpu_that_has_not_told_its_uuid_is_counted_and_nothing_more(tmp_path: Path) -> None:
    gpu(tmp_path, uuid="GPU-????????-????-????-????-????????????")
    (row,) = collector(tmp_path).collect(0.0).rows
    assert row.subject == Subject(NODE)
    assert row.values == {"gpus_on_bus": 1, "nics_on_bus": 0, "switches_on_bus": 0, "nvmes_on_bus": 0}


def test_adapters_drives_and_switches_have_the_names_by_which_people_know_them(tmp_path: Path) -> None:
    write(device(tmp_path, "0000:19:00.0", "0x020700", "0x15b3") / "infiniband/mlx5_0")
    write(device(tmp_path, "0000:20:00.0", "0x020000", "0x8086") / "net/eth0")
    write(device(tmp_path, "0000:21:00.0", "0x010802", "0x144d") / "nvme/nvme0")
    device(tmp_path, "0000:22:00.0", "0x068000", "0x10de")
    device(tmp_path, "0000:23:00.0", "0x060400", "0x8086")
    virtual = device(tmp_path, "0000:19:00.1", "0x020700", "0x15b3")
    (virtual / "physfn").symlink_to("../0000:19:00.0")
    collected = collector(tmp_path).collect(0.0)
    assert [str(row.subject) for row in collected.rows] == [
        "node001/nic:mlx5_0",
        "node001/nic:eth0",
        "node001/disk:nvme0",
        "node001/switch:0000:22:00.0",
        "node001",
    ]
    assert collected.rows[-1].values == {"gpus_on_bus": 0, "nics_on_bus": 2, "switches_on_bus": 1, "nvmes_on_bus": 1}


def test_a_virtual_device_without_a_link_is_counted_and_has_no_row(tmp_path: Path) -> None:
    folder = device(tmp_path, "0000:00:03.0", "0x020000", "0x1af4", parent="pci0000:00")
    for name in ("current_link_speed", "current_link_width", "max_link_speed", "max_link_width"):
        (folder / name).unlink()
    (row,) = collector(tmp_path).collect(0.0).rows
    assert (row.subject, row.values["nics_on_bus"]) == (Subject(NODE), 1)


def test_facts_come_again_only_when_an_error_is_new(tmp_path: Path) -> None:
    folder = gpu(tmp_path, aer_dev_correctable=AER.format(tlp=0))
    pcie = collector(tmp_path)
    pcie.collect(0.0)
    assert pcie.collect(1.0).facts == {}
    write(folder, aer_dev_correctable=AER.format(tlp=1))
    assert pcie.collect(2.0).facts[Subject(NODE, "gpu", UUID)]["aer"] == {"BadTLP": 1}


def test_no_device_is_no_such_source_and_none_left_is_a_failure(tmp_path: Path) -> None:
    device(tmp_path, "0000:23:00.0", "0x060400", "0x8086")
    pcie = collector(tmp_path)
    with pytest.raises(SourceMissing, match="no GPU, network adapter"):
        pcie.collect(0.0)
    gpu(tmp_path)
    pcie.collect(1.0)
    shutil.rmtree(tmp_path / "sys/bus")
    with pytest.raises(SourceFailed, match="has none now"):
        pcie.collect(2.0)
