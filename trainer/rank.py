"""One rank of a training: a process that opens its device, then trains. ``python -m trainer.rank OPTIONS PARENT``."""

import sys
import traceback
import warnings

from trainer import codes
from trainer.options import Options, parse_options
from trainer.parent import die_with_parent
from trainer.plan import load_plan
from trainer.stop import Stop
from trainer.world import World, read_world
from watchdog.vocabulary.errors import FryerError, UsageError


def run_rank(options: Options, world: World) -> int:
    """Train as that rank; the exit code. What is wrong is said once, by rank 0 where all ranks know it."""
    stop = Stop(_say_line if world.rank == 0 else None)
    # of what Megatron and torch plan for their own future, and of kernels that aren't installed: nothing to act on
    warnings.filterwarnings("ignore", module=r"(megatron|torch)\.")
    try:
        plan = load_plan(options.plan)
        from trainer.device.open import open_device  # noqa: PLC0415 - torch, after the plan is known to be right

        device = open_device(options.device, world.local_rank)
        from trainer.attempt import attempt  # noqa: PLC0415 - Megatron-core, after the device is open

        return attempt(plan, options, world, device, stop)
    except UsageError as error:
        _say(error, world)
        return codes.BAD_PLAN
    except FryerError as error:
        _say(error, world)
        return codes.PERSON
    except Exception:  # noqa: BLE001 - the process's own boundary: its rank must stand beside the traceback
        print(f"rank {world.rank}:\n{traceback.format_exc()}", file=sys.stderr, flush=True)  # noqa: T201
        return codes.FAILED


def _say(error: FryerError, world: World) -> None:
    if world.rank == 0:
        _say_line(str(error))


def _say_line(line: str) -> None:
    print(f"fryer: {line}", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    import os

    die_with_parent(int(sys.argv[2]))
    place = read_world(os.environ)
    assert place is not None
    sys.exit(run_rank(parse_options(sys.argv[1]), place))
