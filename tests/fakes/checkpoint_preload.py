"""Imported once by the fork server of `checkpoint_runs`: torch and Megatron-core are there before a rank is forked."""

import warnings

warnings.simplefilter("ignore")

import torch  # noqa: E402

from trainer.device.open import open_device  # noqa: E402

torch.set_num_threads(1)
device = open_device("cpu")

import trainer.checkpoints.planning  # noqa: E402
import trainer.checkpoints.sharded  # noqa: E402
import trainer.model.apply  # noqa: E402
import trainer.model.build  # noqa: E402
import trainer.model.passes  # noqa: E402
import trainer.model.state  # noqa: E402, F401
