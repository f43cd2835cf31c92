"""Loaded once by the fork server, so that each worker starts with torch and the burns in place."""

import fryer.burns.gemm
import fryer.burns.hbm
import fryer.burns.memory
import fryer.burns.p2p
import fryer.burns.pcie
import fryer.burns.soak
import fryer.collectives.rank
import fryer.collectives.warden
import fryer.devices.cpu
import fryer.devices.cuda
import fryer.devices.simulated  # noqa: F401 - imported to be in memory when a worker is forked
