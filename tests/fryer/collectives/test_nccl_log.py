"""Lines of logs of NCCL as people published them (issues 754, 1189, 1357, 1453 of NVIDIA/nccl; 252 of nccl-tests)."""

from pathlib import Path

import pytest

from fryer.collectives.cases import CollectiveCase
from fryer.collectives.nccl_log import Choice, NcclLog, parse_choice
from fryer.collectives.transport import LogReader

INSIDE = "kolyoz1:27223:27908 [1] NCCL INFO Channel 00/0 : 1[1] -> 2[2] via P2P/CUMEM"
BETWEEN = "H20-GPU-06:4015539:4015652 [0] NCCL INFO Channel 07/0 : 0[0] -> 2[0] [receive] via NET/IB/3/GDRDMA"
RINGS = "lab:2220001:2220001 [0] NCCL INFO Connected all rings, use ring PXN 0 GDR 0"
TREES = "kolyoz1:27225:27907 [3] NCCL INFO Trees [0] -1/-1/-1->3->2 [1] 0/-1/-1->3->2"
ORDER = "server1:730585:730604 [0] NCCL INFO Channel 00/06 :    0   1"
NVLS = "node-0:1:1 [0] NCCL INFO AllReduce: 2097152 Bytes -> Algo NVLS proto SIMPLE channel{Lo..Hi}={0..15}"
ALL_REDUCE = CollectiveCase(operation="all_reduce", size_bytes=2097152)


@pytest.mark.parametrize(
    ("via", "transport"),
    [
        ("P2P/CUMEM", "P2P/CUMEM"),
        ("P2P/CUMEM/read", "P2P/CUMEM/read"),
        ("P2P/IPC", "P2P/IPC"),
        ("SHM/direct/direct", "SHM/direct/direct"),
        ("NET/IB/3/GDRDMA", "NET/IB/GDRDMA"),
        ("NET/IB/3(2)/GDRDMA", "NET/IB/GDRDMA"),
        ("NET/IBext_v8/0/GDRDMA", "NET/IBext_v8/GDRDMA"),
        ("NET/Socket/0", "NET/Socket"),
        ("NET/Socket/0/Shared", "NET/Socket/Shared"),
    ],
)
def test_a_transport_is_told_without_the_number_of_its_nic(via: str, transport: str) -> None:
    log = NcclLog()
    log.read(f"host:1:2 [0] NCCL INFO Channel 00/0 : 1[0] -> 0[0] [receive] via {via}\n")
    assert list(log.transports) == [transport]


@pytest.mark.parametrize(
    ("line", "choice"),
    [
        (NVLS, Choice(operation="all_reduce", size_bytes=2097152, algorithm="NVLS", protocol="Simple")),
        (
            "2: node-0:309:309 [0] NCCL INFO AllGather: 37756928 Bytes -> Algo 1 proto 2 time 2860.208008",
            Choice(operation="all_gather", size_bytes=37756928, algorithm="Ring", protocol="Simple"),
        ),
        (
            "h100clust-worker-1:497888:497888 [0] NCCL INFO 262144 Bytes -> Algo 0 proto 1 time 54.707825",
            Choice(operation="", size_bytes=262144, algorithm="Tree", protocol="LL128"),
        ),
        (
            "AllReduce: 8388608 Bytes -> Algo NVLS_TREE proto LL128 channel{Lo..Hi}={0..15}",
            Choice(operation="all_reduce", size_bytes=8388608, algorithm="NVLSTree", protocol="LL128"),
        ),
        (
            "Broadcast:    32768 Bytes -> Algo RING proto SIMPLE channel{Lo..Hi}={0..0}",
            Choice(operation="broadcast", size_bytes=32768, algorithm="Ring", protocol="Simple"),
        ),
        (
            "AllReduce: 8 Bytes -> Algo 9 proto NEW channel{Lo..Hi}={0..0}",
            Choice(operation="all_reduce", size_bytes=8, algorithm="9", protocol="NEW"),
        ),
    ],
)
def test_a_choice_is_read_in_the_forms_of_all_versions(line: str, choice: Choice) -> None:
    assert parse_choice(line) == choice


@pytest.mark.parametrize("line", [INSIDE, BETWEEN, RINGS, TREES, ORDER, ""])
def test_other_lines_tell_of_no_choice(line: str) -> None:
    assert parse_choice(line) is None


def test_the_summary_has_the_algorithm_and_every_transport_once() -> None:
    log = NcclLog()
    log.read("\n".join([ORDER, TREES, INSIDE, BETWEEN, INSIDE, RINGS, NVLS]))
    assert log.summary(ALL_REDUCE) == "NCCL NVLS Simple, P2P/CUMEM, NET/IB/GDRDMA"


def test_sends_and_receives_have_no_algorithm() -> None:
    log = NcclLog()
    log.read("\n".join([INSIDE, NVLS]))
    assert log.summary(CollectiveCase(operation="sendrecv", size_bytes=8)) == "NCCL P2P/CUMEM"


def test_the_newest_choice_counts() -> None:
    log = NcclLog()
    log.read(NVLS)
    log.read(NVLS.replace("NVLS", "RING"))
    choice = log.choice("all_reduce")
    assert choice is not None
    assert choice.algorithm == "Ring"


def test_a_log_that_says_nothing_gives_nothing() -> None:
    assert NcclLog().summary(ALL_REDUCE) == ""


def test_a_growing_log_is_read_on(tmp_path: Path) -> None:
    reader = LogReader(str(tmp_path), is_nccl=True)
    assert reader.transport(ALL_REDUCE) == ""
    path = Path(reader.environment()["NCCL_DEBUG_FILE"])
    path.write_text(INSIDE + "\n")
    assert reader.transport(ALL_REDUCE) == "NCCL P2P/CUMEM"
    with path.open("a") as file:
        file.write(NVLS + "\n")
    assert reader.transport(ALL_REDUCE) == "NCCL NVLS Simple, P2P/CUMEM"


def test_gloo_has_no_log(tmp_path: Path) -> None:
    assert LogReader(str(tmp_path), is_nccl=False).transport(ALL_REDUCE) == "gloo tcp"
