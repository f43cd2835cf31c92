import os

import pytest

from fryer.sockets import Socket, parse_cpulist, read_cpu_part, read_isa, read_sockets


@pytest.fixture
def machine(tmp_path):
    """Two sockets of two cores with two threads each, numbered as Linux does: threads of a core four apart."""
    for processor in range(8):
        folder = tmp_path / f"sys/devices/system/cpu/cpu{processor}/topology"
        folder.mkdir(parents=True)
        (folder / "physical_package_id").write_text(f"{processor % 4 // 2}\n")
        (folder / "die_id").write_text("0\n")
        (folder / "core_id").write_text(f"{processor % 2}\n")
    for node, processors in enumerate(("0-1,4-5", "2-3,6-7")):
        folder = tmp_path / f"sys/devices/system/node/node{node}"
        folder.mkdir(parents=True)
        (folder / "cpulist").write_text(f"{processors}\n")
        (folder / "meminfo").write_text(f"Node {node} MemTotal:       {1000 * (node + 1)} kB\n")
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal:           3000 kB\nMemFree: 5 kB\n")
    return tmp_path


def test_processors_are_grouped_by_socket_with_cores_and_memory(machine):
    assert read_sockets(range(8), machine) == (
        Socket(package=0, processors=(0, 1, 4, 5), cores=2, memory_bytes=1000 * 1024),
        Socket(package=1, processors=(2, 3, 6, 7), cores=2, memory_bytes=2000 * 1024),
    )


def test_only_processors_that_we_may_run_on_count(machine):
    assert read_sockets({0, 4, 3}, machine) == (
        Socket(package=0, processors=(0, 4), cores=1, memory_bytes=1000 * 1024),
        Socket(package=1, processors=(3,), cores=1, memory_bytes=2000 * 1024),
    )


def test_one_socket_alone_has_the_memory_of_the_machine(machine):
    (socket,) = read_sockets({2, 3}, machine)
    assert (socket.package, socket.memory_bytes) == (1, 3000 * 1024)


def test_a_machine_that_says_minus_one_or_nothing_is_one_socket(machine):
    for processor in range(4):
        (machine / f"sys/devices/system/cpu/cpu{processor}/topology/physical_package_id").write_text("-1\n")
    (socket,) = read_sockets((0, 1, 2, 3, 20), machine)
    assert socket.processors == (0, 1, 2, 3, 20)
    assert socket.cores == 3


def test_this_machine_has_a_socket_with_all_our_processors():
    sockets = read_sockets()
    assert {processor for socket in sockets for processor in socket.processors} == os.sched_getaffinity(0)
    assert all(1 <= socket.cores <= len(socket.processors) for socket in sockets)


@pytest.mark.parametrize(("text", "processors"), [("0-2,8\n", (0, 1, 2, 8)), ("5", (5,)), ("\n", ())])
def test_processor_lists_are_read_as_the_kernel_writes_them(text, processors):
    assert parse_cpulist(text) == processors


def test_the_part_is_the_model_name_without_the_padding(machine):
    (machine / "proc/cpuinfo").write_text("processor\t: 0\nmodel name\t: Intel(R) Xeon(R)  Platinum 8480C\nflags: a\n")
    assert read_cpu_part(machine) == "Intel(R) Xeon(R) Platinum 8480C"


def test_a_processor_without_a_model_name_is_known_by_its_numbers(machine):
    (machine / "proc/cpuinfo").write_text("processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd4f\n")
    assert read_cpu_part(machine).endswith("implementer 0x41 part 0xd4f")


def test_a_machine_that_tells_nothing_still_has_a_part(tmp_path):
    assert read_cpu_part(tmp_path).endswith(" processor")
    assert read_isa(tmp_path) is None
