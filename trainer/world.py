"""Which rank this process is, from what torchrun, Slurm or Fryer's own launcher say in the environment."""

from collections.abc import Mapping
from dataclasses import dataclass

from ClusterShell.NodeSet import NodeSet, NodeSetException

from watchdog.vocabulary.errors import UsageError

SLURM_PORT = 29_400
"""Of the rendezvous under srun, where MASTER_PORT is not given; below the range that kernels hand out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One process of a training."""

    rank: int
    size: int
    local_rank: int
    host: str
    """Where rank 0 listens."""
    port: int
    attempt: int = 0
    """How many times its launcher has started it before."""


def read_world(environment: Mapping[str, str]) -> World | None:
    """This process's place, or None where nobody started it as one of many. Raises `UsageError` for half a place."""
    if "RANK" in environment:
        return _of_torchrun(environment)
    # a task of srun; the batch script itself has a SLURM_PROCID too, but no step
    if "SLURM_PROCID" in environment and environment.get("SLURM_STEP_ID", "").isdigit():
        return _of_slurm(environment)
    return None


def _of_torchrun(environment: Mapping[str, str]) -> World:
    return World(
        rank=_number(environment, "RANK"),
        size=_number(environment, "WORLD_SIZE"),
        local_rank=_number(environment, "LOCAL_RANK"),
        host=_word(environment, "MASTER_ADDR"),
        port=_number(environment, "MASTER_PORT"),
        attempt=int(environment.get("TORCHELASTIC_RESTART_COUNT", "0")),
    )


def _of_slurm(environment: Mapping[str, str]) -> World:
    return World(
        rank=_number(environment, "SLURM_PROCID"),
        size=_number(environment, "SLURM_NTASKS"),
        local_rank=_number(environment, "SLURM_LOCALID"),
        host=environment.get("MASTER_ADDR") or _first_node(_word(environment, "SLURM_STEP_NODELIST")),
        port=int(environment.get("MASTER_PORT", SLURM_PORT)),
        attempt=int(environment.get("SLURM_RESTART_COUNT", "0")),
    )


def _first_node(nodes: str) -> str:
    try:
        return str(NodeSet(nodes)[0])
    except (NodeSetException, IndexError) as error:
        raise UsageError(f"SLURM_STEP_NODELIST is {nodes!r}, which names no node ({error})") from error


def _word(environment: Mapping[str, str], name: str) -> str:
    if value := environment.get(name):
        return value
    raise UsageError(f"RANK or SLURM_PROCID is set but {name} is not; start with torchrun or srun, or unset it")


def _number(environment: Mapping[str, str], name: str) -> int:
    value = _word(environment, name)
    if value.isdigit():
        return int(value)
    raise UsageError(f"{name} is {value!r} and must be a whole number")
