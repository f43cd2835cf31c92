"""The catalogue of NVIDIA's Xids (GPU) and SXids (NVSwitch): what a code means, how grave it is, and what to do.

Pure, standard library only: the rows are data files of the package (`xids.csv`, `sxids.csv`), read once. It judges a
code and the words of its line, never a node: that is for detectors.
"""

from watchdog.xids.catalogue import sxid, sxids, xid, xids
from watchdog.xids.entry import Entry
from watchdog.xids.recovery import Recovery, recovery

__all__ = ["Entry", "Recovery", "recovery", "sxid", "sxids", "xid", "xids"]
