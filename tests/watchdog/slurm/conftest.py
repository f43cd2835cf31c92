"""The cluster of `real_slurm`."""

from real_slurm import slurm as slurm  # noqa: PLC0414 - fixtures are found by their names
from real_slurm import slurm_conf as slurm_conf  # noqa: PLC0414
