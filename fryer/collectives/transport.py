"""What carried a collective: gloo's is known, NCCL's is read from its log."""

from collections.abc import Mapping
from pathlib import Path

from fryer.collectives.cases import CollectiveCase
from fryer.collectives.nccl_log import NcclLog

_FILE = "nccl.log"


class LogReader:
    """The log of one rank's NCCL in `folder`, read on as it grows."""

    def __init__(self, folder: str, *, is_nccl: bool) -> None:
        self._path = Path(folder) / _FILE
        self._is_nccl = is_nccl
        self._log = NcclLog()
        self._offset = 0

    def environment(self) -> Mapping[str, str]:
        """Makes NCCL write that log: what it connects ranks by, and which algorithm it picks."""
        return {
            "NCCL_DEBUG": "INFO",
            "NCCL_DEBUG_SUBSYS": "INIT,GRAPH,TUNING",
            "NCCL_DEBUG_FILE": str(self._path),
        }

    def transport(self, case: CollectiveCase) -> str:
        """``gloo tcp``; ``NCCL NVLS, P2P/CUMEM, NET/IB/GDRDMA``; empty where the log can't be read or says nothing."""
        if not self._is_nccl:
            return "gloo tcp"
        try:
            with self._path.open(encoding="utf-8", errors="replace") as file:
                file.seek(self._offset)
                text = file.read()
                self._offset = file.tell()
        except OSError:
            return ""
        self._log.read(text)
        return self._log.summary(case)
