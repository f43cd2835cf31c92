import pytest

from trainer.world import SLURM_PORT, World, read_world
from watchdog.vocabulary.errors import UsageError

TORCHRUN = {"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "MASTER_ADDR": "node001", "MASTER_PORT": "29500"}
SRUN = {
    "SLURM_PROCID": "9",
    "SLURM_NTASKS": "16",
    "SLURM_LOCALID": "1",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NODELIST": "node[007-008]",
}


def test_a_process_that_nobody_started_as_one_of_many_has_no_place() -> None:
    assert read_world({"PATH": "/bin"}) is None


def test_the_batch_script_of_slurm_is_no_rank() -> None:
    assert read_world({"SLURM_PROCID": "0", "SLURM_NTASKS": "16"}) is None


def test_torchrun_gives_the_place_and_how_often_it_has_begun() -> None:
    assert read_world(TORCHRUN | {"TORCHELASTIC_RESTART_COUNT": "2"}) == World(
        rank=3, size=8, local_rank=1, host="node001", port=29500, attempt=2
    )


def test_under_srun_rank_0_is_on_the_first_node_of_the_step() -> None:
    assert read_world(SRUN) == World(rank=9, size=16, local_rank=1, host="node007", port=SLURM_PORT)


def test_an_address_that_was_given_is_taken_under_srun() -> None:
    assert read_world(SRUN | {"MASTER_ADDR": "10.0.0.7", "MASTER_PORT": "29999"}) == World(
        rank=9, size=16, local_rank=1, host="10.0.0.7", port=29999
    )


def test_half_a_place_says_what_is_missing() -> None:
    with pytest.raises(UsageError, match="RANK or SLURM_PROCID is set but WORLD_SIZE is not; start with torchrun"):
        read_world({"RANK": "0"})


def test_a_place_that_is_no_number_is_named() -> None:
    with pytest.raises(UsageError, match="LOCAL_RANK is 'x' and must be a whole number"):
        read_world(TORCHRUN | {"LOCAL_RANK": "x"})


def test_a_node_list_that_names_no_node_is_named() -> None:
    with pytest.raises(UsageError, match="SLURM_STEP_NODELIST is 'node\\[', which names no node"):
        read_world(SRUN | {"SLURM_STEP_NODELIST": "node["})
