import os
import shutil
import subprocess

import pytest

from fryer import cuda_order
from fryer.cuda_order import CudaEntry, list_cuda, read_driver
from watchdog.vocabulary.errors import SourceFailed, SourceMissing

DRIVER = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static int ask(const char *name) { const char *v = getenv(name); return v ? atoi(v) : 0; }
int cuInit(unsigned flags) { if (ask("FAKE_HANG")) sleep(600); return ask("FAKE_INIT"); }
int cuDeviceGetCount(int *n) { *n = 2; return 0; }
int cuDeviceGet(int *d, int ordinal) { *d = ordinal; return 0; }
int cuDeviceGetUuid_v2(unsigned char *u, int d) { for (int i = 0; i < 16; i++) u[i] = 16 * d + i; return 0; }
int cuDeviceGetName(char *s, int n, int d) { snprintf(s, n, "NVIDIA H100 80GB HBM3"); return 0; }
int cuDeviceGetPCIBusId(char *s, int n, int d) { snprintf(s, n, "0000:%02X:00.0", 0x2a - d); return 0; }
int cuDeviceTotalMem_v2(size_t *n, int d) { *n = 85899345920ul; return ask("FAKE_MEMORY"); }
"""
"""The CUDA driver's functions, with their real signatures, for two GPUs that CUDA numbers against the PCI order."""


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """A library in the place of libcuda.so.1; the process that asks is a real one."""
    if shutil.which("cc") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no C compiler: apt-get install gcc")
        pytest.skip("no C compiler to build the double of the CUDA driver")
    (tmp_path / "cuda.c").write_text(DRIVER)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "libcuda.so.1", tmp_path / "cuda.c"], check=True)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    return str(tmp_path / "libcuda.so.1")


ENTRIES = (
    CudaEntry(
        uuid="00010203-0405-0607-0809-0a0b0c0d0e0f",
        name="NVIDIA H100 80GB HBM3",
        pci_bus_id="0000:2a:00.0",
        memory_bytes=85899345920,
    ),
    CudaEntry(
        uuid="10111213-1415-1617-1819-1a1b1c1d1e1f",
        name="NVIDIA H100 80GB HBM3",
        pci_bus_id="0000:29:00.0",
        memory_bytes=85899345920,
    ),
)


def test_the_driver_is_asked_in_this_process_and_in_one_of_its_own(driver):
    assert read_driver(driver) == ENTRIES
    assert list_cuda() == ENTRIES


def test_a_machine_without_the_driver_says_so():
    with pytest.raises(SourceMissing, match="no CUDA driver"):
        read_driver("libcuda-of-no-machine.so.1")


def test_a_driver_that_hides_all_devices_gives_none(driver, monkeypatch):
    monkeypatch.setenv("FAKE_INIT", "100")
    assert list_cuda() == ()


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("FAKE_INIT", "802", "cuInit failed with CUDA error 802"),
        ("FAKE_MEMORY", "999", "cuDeviceTotalMem_v2 failed with CUDA"),
    ],
)
def test_a_driver_that_fails_is_quoted(driver, monkeypatch, name, code, words):
    monkeypatch.setenv(name, code)
    with pytest.raises(SourceFailed, match=words):
        list_cuda()


def test_a_driver_that_does_not_answer_is_left_at_the_deadline(driver, monkeypatch):
    monkeypatch.setenv("FAKE_HANG", "1")
    with pytest.raises(SourceFailed, match=r"did not say within 1\.5 s"):
        list_cuda(deadline_seconds=1.5)


def test_a_process_that_breaks_is_no_empty_answer(monkeypatch):
    monkeypatch.setattr(cuda_order, "__name__", "fryer.no_such_module")
    with pytest.raises(SourceFailed, match=r"exit code 1.*no_such_module"):
        list_cuda()
