import subprocess
import sys
from dataclasses import replace

import pytest

from fryer import platform
from fryer.cuda_order import CudaEntry
from fryer.platform import discover, find_gpus, versions
from watchdog.collectors.readings import GpuIdentity
from watchdog.vocabulary.errors import SourceFailed, SourceMissing

HEX = "{0}{0}{0}{0}{0}{0}{0}{0}-0000-0000-0000-000000000000"


def identity(index):
    """GPU `index` in the order of NVML."""
    return GpuIdentity(
        index=index,
        uuid=f"GPU-{HEX.format(index)}",
        name="NVIDIA H100 80GB HBM3",
        serial=f"16500{index}",
        pci_bus_id=f"0000:{0x18 + index:02x}:00.0",
        vbios="96.00.99.00.01",
        driver="570.00",
        memory_bytes=85 << 30,
        power_limit_watts=700.0,
        sm_clock_max_hertz=1.98e9,
    )


def entry(index):
    """The same GPU as CUDA shows it."""
    return CudaEntry(
        uuid=HEX.format(index),
        name="NVIDIA H100 80GB HBM3",
        pci_bus_id=f"0000:{0x18 + index:02x}:00.0",
        memory_bytes=84 << 30,
    )


def slice_of(index, number):
    return replace(
        entry(index), uuid=HEX.format("abcdef"[number]), name="NVIDIA H100 80GB HBM3 MIG 3g.40gb", memory_bytes=40 << 30
    )


def ordinals(found):
    return {gpu.info.name: gpu.cuda_ordinal for gpu in found}


def test_gpus_are_joined_by_uuid_and_not_by_position():
    found = find_gpus([identity(0), identity(1), identity(2)], [entry(2), entry(0), entry(1)], is_limited=False)
    assert ordinals(found) == {"gpu0": 1, "gpu1": 2, "gpu2": 0}
    assert [gpu.info.uuid for gpu in found] == [identity(index).uuid for index in range(3)]


def test_gpus_that_the_user_hid_are_left_out_and_the_others_keep_their_names():
    found = find_gpus([identity(0), identity(1), identity(2)], [entry(2), entry(1)], is_limited=True)
    assert ordinals(found) == {"gpu1": 1, "gpu2": 0}


def test_a_gpu_that_cuda_lost_is_kept_without_an_ordinal():
    """So that it gets its own error; a node of seven out of eight would pass otherwise."""
    assert ordinals(find_gpus([identity(0), identity(1)], [entry(1)], is_limited=False)) == {"gpu0": None, "gpu1": 0}


@pytest.mark.parametrize("is_limited", [False, True])
def test_all_gpus_are_kept_where_cuda_does_not_answer(is_limited):
    assert ordinals(find_gpus([identity(0), identity(1)], None, is_limited=is_limited)) == {"gpu0": None, "gpu1": None}


def test_slices_are_devices_of_their_own_with_the_serial_of_their_gpu():
    found = find_gpus([identity(0), identity(1)], [slice_of(0, 0), slice_of(0, 1), entry(1)], is_limited=False)
    assert ordinals(found) == {"gpu0mig0": 0, "gpu0mig1": 1, "gpu1": 2}
    info = found[1].info
    assert (info.uuid, info.part, info.serial, info.memory_bytes) == (
        f"MIG-{HEX.format('b')}",
        "NVIDIA H100 80GB HBM3 MIG 3g.40gb",
        "165000",
        40 << 30,
    )


def test_a_gpu_without_nvml_is_described_by_cuda():
    (found,) = find_gpus((), [entry(3)], is_limited=False)
    assert (found.cuda_ordinal, found.info.name, found.info.uuid, found.info.serial) == (
        0,
        "gpu0",
        identity(3).uuid,
        None,
    )


def test_what_nvml_knows_of_a_gpu_is_kept():
    (found,) = find_gpus([identity(5)], [entry(5)], is_limited=False)
    assert (
        found.info.name,
        found.info.kind,
        found.info.serial,
        found.info.vbios,
        found.info.driver,
        found.info.clock_max_hertz,
        found.info.memory_bytes,
    ) == ("gpu5", "cuda", "165005", "96.00.99.00.01", "570.00", 1.98e9, 85 << 30)


@pytest.fixture
def no_cuda(monkeypatch):
    def missing():
        raise SourceMissing("no CUDA driver")

    monkeypatch.setattr(platform, "list_cuda", missing)


def test_a_gpu_is_told_with_its_slowest_link_and_its_nearest_processors(tmp_path, monkeypatch):
    monkeypatch.setattr(platform, "list_cuda", lambda: (entry(0),))
    folder = tmp_path / "sys/bus/pci/devices/0000:18:00.0"
    folder.mkdir(parents=True)
    (folder / "max_link_speed").write_text("32.0 GT/s PCIe\n")
    (folder / "max_link_width").write_text("16\n")
    (folder / "local_cpulist").write_text("0,5000\n")
    monkeypatch.setattr(platform.os, "sched_getaffinity", lambda _: {0, 1})
    (found,) = discover("n1", [identity(0)], tmp_path)
    assert found.info.link == "PCIe 5.0 x16 at 0000:18:00.0"
    assert found.info.link_bytes_per_second == pytest.approx(63.015e9, rel=1e-4)
    assert found.processors == (0,)


def test_a_driver_that_fails_does_not_turn_a_gpu_node_into_a_cpu_node(tmp_path, monkeypatch):
    def fail():
        raise SourceFailed("cuInit failed")

    monkeypatch.setattr(platform, "list_cuda", fail)
    assert [gpu.info.kind for gpu in discover("n1", [identity(0)], tmp_path)] == ["cuda"]


def test_without_a_gpu_each_socket_is_a_device(no_cuda):
    found = discover("n1", None)
    assert [device.info.name for device in found] == [f"cpu{index}" for index in range(len(found))]
    assert {device.info.kind for device in found} == {"cpu"}
    assert all(device.processors and device.info.cores for device in found)
    assert all(device.info.num_processors == len(device.processors) for device in found)


def test_a_user_who_hides_all_gpus_gets_the_processors(monkeypatch):
    monkeypatch.setattr(platform, "list_cuda", lambda: ())
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert {device.info.kind for device in discover("n1", [identity(0)])} == {"cpu"}


def test_a_processor_is_known_by_a_hash_of_the_machine_id(no_cuda, tmp_path):
    machine_id = "0123456789abcdef0123456789abcdef"
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/machine-id").write_text(f"{machine_id}\n")
    (first,), (again,) = discover("n1", None, tmp_path), discover("another name", None, tmp_path)
    assert first.info.uuid == again.info.uuid
    assert machine_id not in first.info.uuid.replace("-", "")
    (tmp_path / "etc/machine-id").write_text("f" * 32)
    assert discover("n1", None, tmp_path)[0].info.uuid != first.info.uuid


def test_a_machine_without_an_id_is_known_by_its_name(no_cuda, tmp_path):
    assert discover("n1", None, tmp_path)[0].info.uuid == discover("n1", None, tmp_path)[0].info.uuid
    assert discover("n1", None, tmp_path)[0].info.uuid != discover("n2", None, tmp_path)[0].info.uuid


def test_versions_name_what_is_there_and_leave_out_what_is_not(tmp_path):
    assert {"fryer", "torch", "python", "kernel"} <= set(versions(tmp_path))
    assert "driver" not in versions(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024",
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.15  Release Build  (builder)",
    ],
)
def test_the_driver_version_is_read_from_both_kinds_of_kernel_module(tmp_path, line):
    (tmp_path / "proc/driver/nvidia").mkdir(parents=True)
    (tmp_path / "proc/driver/nvidia/version").write_text(f"{line}\nGCC version: gcc 12.2.0\n")
    assert versions(tmp_path)["driver"] == "550.54.15"


def test_the_platform_is_known_without_importing_torch():
    code = (
        "import sys; from fryer.platform import discover, versions; versions(); discover('n1', None);"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
